/** Every metric of the controller (docs and alerts name them; names are binding). Never the name of a Backup in a label. */
interface Definition {
  readonly name: string;
  readonly help: string;
  readonly type: 'gauge' | 'counter' | 'histogram';
  readonly labels: readonly string[];
  readonly buckets?: readonly number[];
}

type DerivedDefinition = Definition & { readonly type: 'gauge' | 'counter' };

const policy = ['namespace', 'policy'] as const;
const location = ['namespace', 'location'] as const;

const define = (
  type: 'gauge' | 'counter',
  name: string,
  labels: readonly string[],
  help: string,
): DerivedDefinition => ({
  name: `pgbackup_${name}`,
  help,
  type,
  labels,
});

/** Computed from objects at each scrape; what is not known is absent. Counters are kept in the status of their object. */
export const derivedMetrics: readonly DerivedDefinition[] = [
  define('gauge', 'policy_info', [...policy, 'schedule', 'timezone'], '1 for each policy.'),
  define('gauge', 'policy_suspended', policy, '1 while spec.suspend is set.'),
  define('gauge', 'policy_ready', policy, '1 while condition Ready is True, 0 while it is False.'),
  define('gauge', 'policy_healthy', policy, '1 while condition Healthy is True, 0 while it is False.'),
  define('gauge', 'policy_expected_interval_seconds', policy, 'Longest time between slots of the schedule.'),
  define('gauge', 'policy_next_run_timestamp_seconds', policy, 'The next slot.'),
  define('gauge', 'policy_created_timestamp_seconds', policy, 'When the policy was made.'),
  define(
    'gauge',
    'last_success_timestamp_seconds',
    [...policy, 'location'],
    'End of the newest good backup at a location.',
  ),
  define('gauge', 'last_attempt_timestamp_seconds', policy, 'Start of the newest run that ended.'),
  define('gauge', 'last_attempt_succeeded', policy, '1 if the newest run that ended succeeded.'),
  define('gauge', 'oldest_active_run_timestamp_seconds', policy, 'Creation of the oldest run that has not ended.'),
  define('counter', 'runs_total', [...policy, 'result'], 'Runs that ended.'),
  define('gauge', 'last_duration_seconds', policy, 'How long the newest good backup took.'),
  define('gauge', 'last_size_bytes', [...policy, 'stage'], 'Size of the newest good backup, as dumped and as stored.'),
  define('gauge', 'size_median_bytes', policy, 'Median of the dumped sizes of the last seven good backups.'),
  define('gauge', 'throughput_bytes_per_second', policy, 'Dumped bytes per second of the newest good backup.'),
  define(
    'gauge',
    'backups',
    [...location, 'state'],
    'committed and damaged by the last complete catalogue; failed: Backups that did not get there.',
  ),
  define('gauge', 'stored_bytes', location, 'Bytes of the committed backups at the last complete catalogue.'),
  define(
    'gauge',
    'last_notes',
    [...policy, 'reason'],
    'What the newest good backup has to say about itself, by reason; absent when nothing.',
  ),
  define('gauge', 'retention_kept', [...policy, 'location'], 'Backups that retention keeps at a location.'),
  define(
    'gauge',
    'retention_removable',
    [...policy, 'location'],
    'Backups that no rule keeps and that are still there.',
  ),
  define('gauge', 'retention_deferred', [...policy, 'location'], 'Backups that a lock of the location keeps for now.'),
  define('counter', 'retention_deleted_total', [...policy, 'location'], 'Backups that retention removed.'),
  define('counter', 'retention_freed_bytes_total', [...policy, 'location'], 'Their size.'),
  define('counter', 'retention_failures_total', [...policy, 'location'], 'Prunes that failed.'),
  define(
    'gauge',
    'retention_last_success_timestamp_seconds',
    [...policy, 'location'],
    'When a prune last ended well, or nothing was to be removed.',
  ),
  define('gauge', 'repair_missing', [...policy, 'location'], 'Backups that a location lacks and another one can give.'),
  define('counter', 'repair_copied_total', [...policy, 'location'], 'Backups that repair copied to a location.'),
  define('counter', 'repair_failures_total', [...policy, 'location'], 'Copies that failed.'),
  define('counter', 'missed_runs_total', policy, 'Slots that were never run.'),
  define('gauge', 'location_available', location, '1 available, 0 not; absent while not known.'),
  define('gauge', 'location_last_probe_timestamp_seconds', location, 'End of the last inspection.'),
  define('gauge', 'location_operation_seconds', [...location, 'operation'], 'What the last probe took.'),
  define('counter', 'location_errors_total', [...location, 'operation'], 'Failed probes.'),
  define('gauge', 'location_remains_objects', location, 'Volumes that no manifest names, of runs that are over.'),
  define('gauge', 'location_remains_bytes', location, 'Their size.'),
  define('gauge', 'location_remains_oldest_timestamp_seconds', location, 'When the oldest of them was written.'),
  define('gauge', 'location_unfinished_uploads', location, 'Unfinished uploads and temporary files of runs.'),
  define('counter', 'location_remains_removed_total', location, 'Such volumes that inspections removed.'),
  define('gauge', 'restore_policy_info', [...policy, 'schedule', 'timezone'], '1 for each RestorePolicy.'),
  define('gauge', 'restore_policy_suspended', policy, '1 while spec.suspend is set.'),
  define('gauge', 'restore_policy_ready', policy, '1 while condition Ready is True, 0 while it is False.'),
  define('gauge', 'restore_policy_healthy', policy, '1 while condition Healthy is True, 0 while it is False.'),
  define('gauge', 'restore_policy_expected_interval_seconds', policy, 'Longest time between slots of the schedule.'),
  define('gauge', 'restore_policy_next_run_timestamp_seconds', policy, 'The next slot.'),
  define('gauge', 'restore_policy_created_timestamp_seconds', policy, 'When the RestorePolicy was made.'),
  define('gauge', 'last_restore_success_timestamp_seconds', policy, 'End of the newest request that succeeded.'),
  define('gauge', 'last_restore_attempt_timestamp_seconds', policy, 'Start of the newest request that ended.'),
  define('gauge', 'last_restore_attempt_succeeded', policy, '1 if the newest request that ended succeeded.'),
  define('gauge', 'last_restore_duration_seconds', policy, 'How long the newest restore took that succeeded.'),
  define(
    'gauge',
    'oldest_active_restore_timestamp_seconds',
    policy,
    'Creation of the oldest request that has not ended.',
  ),
  define('counter', 'restore_runs_total', [...policy, 'result'], 'RestoreRequests of RestorePolicies that ended.'),
  define('counter', 'missed_restores_total', policy, 'Slots of RestorePolicies that were never run.'),
  define('gauge', 'controller_leader', [], '1 while this process decides and writes, 0 while it stands by.'),
  define(
    'gauge',
    'controller_clock_ahead_seconds',
    [],
    "How far this process's clock is ahead of the API server's; negative: behind. Absent before the first answer that bears a date.",
  ),
  define(
    'gauge',
    'watch_contact_age_seconds',
    ['kind'],
    'Time since the API server last answered about this kind; about three minutes at most when all is well.',
  ),
  define('gauge', 'queue_depth', [], 'Keys that could be looked at now.'),
  define('gauge', 'queue_oldest_seconds', [], 'How long the oldest of them waits.'),
  define('gauge', 'queue_longest_look_seconds', [], 'How long the longest look has been going on.'),
  define('counter', 'queue_retries_total', [], 'Keys that were put back after a failure.'),
];

/** Counted while the process lives. */
export const liveMetrics: readonly Definition[] = [
  define('counter', 'reconcile_total', ['kind'], 'Looks at an object.'),
  define('counter', 'reconcile_errors_total', ['kind'], 'Looks that failed and are repeated.'),
  {
    name: 'pgbackup_reconcile_duration_seconds',
    help: 'How long looks took.',
    type: 'histogram',
    labels: ['kind'],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 30],
  },
  {
    name: 'pgbackup_reconcile_deciding_seconds',
    help: 'How long it took until a look knew what is to be done; the rest of a look is writing.',
    type: 'histogram',
    labels: ['kind'],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 30],
  },
  define('counter', 'api_requests_total', ['verb', 'resource', 'code'], 'Requests to the API server.'),
];
