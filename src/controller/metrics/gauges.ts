import { isCopy } from '../../api/backup.ts';
import { probeOperations } from '../../api/probe.ts';
import { runResults } from '../../api/backup-policy.ts';
import type { Backup, BackupLocation, BackupPolicy, RestorePolicy, RestoreRequest } from '../../api/kinds.ts';
import { expectedIntervalMs, parseSchedule } from '../../domain/schedule.ts';
import { readStamp, stamp } from '../../domain/stamp.ts';
import { findCondition } from '../conditions.ts';
import { endOf, resultOf, startOf } from '../run/outcome.ts';
import { runsOf } from '../policy/backup-run.ts';
import { endedRuns } from '../schedule/run.ts';
import { samplesOfRestorePolicy } from '../restore-policy/gauges.ts';
import { samples, secondsOf, truthOf, type GaugeSample, type IntervalOf } from './samples.ts';

export interface GaugesSeen {
  readonly nowMs: number;
  /** Those whose spec can be read. */
  readonly policies: readonly BackupPolicy[];
  readonly locations: readonly BackupLocation[];
  /** All that name it. */
  readonly backupsOf: (policy: BackupPolicy) => readonly Backup[];
  /** Those that ended and did not get there. */
  readonly backupsFailedAt: (location: BackupLocation) => readonly Backup[];
  readonly restorePolicies: readonly RestorePolicy[];
  /** All that bear its label. */
  readonly restoresOf: (policy: RestorePolicy) => readonly RestoreRequest[];
  readonly queue: {
    readonly depth: number;
    readonly oldestMs: number;
    readonly longestRunMs: number;
    readonly retries: number;
  };
}

/** Turns objects into samples, one object after the other. What is not known is absent, never 0. */
export function* listSamples(seen: GaugesSeen, intervalOf = rememberIntervals()): Generator<GaugeSample> {
  for (const policy of seen.policies) {
    yield* samplesOfPolicy(policy, seen.backupsOf(policy), intervalOf(policy, seen.nowMs));
  }
  for (const location of seen.locations) yield* samplesOfLocation(location, seen.backupsFailedAt(location).length);
  for (const policy of seen.restorePolicies) {
    yield* samplesOfRestorePolicy(policy, seen.restoresOf(policy), intervalOf(policy, seen.nowMs));
  }
  yield* samples(
    {},
    {
      queue_depth: seen.queue.depth,
      queue_oldest_seconds: seen.queue.oldestMs / 1000,
      queue_longest_look_seconds: seen.queue.longestRunMs / 1000,
      queue_retries_total: seen.queue.retries,
    },
  );
}

function samplesOfPolicy(
  policy: BackupPolicy,
  backups: readonly Backup[],
  intervalMs?: number,
): readonly GaugeSample[] {
  const { metadata, spec, status } = policy;
  const labels = { namespace: metadata.namespace, policy: metadata.name };
  const ended = endedRuns(runsOf(policy, backups)).map(({ object }) => object);
  const good = ended.filter((backup) => resultOf(backup) === 'Succeeded');
  const [last] = ended;
  const [lastGood] = good;
  const active = backups.filter((backup) => backup.spec.import === undefined && resultOf(backup) === undefined);
  const made = active.flatMap(({ metadata: { creationTimestamp } }) => secondsOf(creationTimestamp) ?? []);
  return [
    ...samples({ ...labels, schedule: spec.schedule ?? '', timezone: spec.timeZone }, { policy_info: 1 }),
    ...samples(labels, {
      policy_suspended: spec.suspend ? 1 : 0,
      policy_expected_interval_seconds: intervalMs === undefined ? undefined : intervalMs / 1000,
      policy_ready: truthOf(policy, 'Ready'),
      policy_healthy: truthOf(policy, 'Healthy'),
      policy_next_run_timestamp_seconds: secondsOf(status?.nextScheduleTime),
      policy_created_timestamp_seconds: secondsOf(metadata.creationTimestamp),
      last_attempt_timestamp_seconds: last && startOf(last) / 1000,
      last_attempt_succeeded: last && (resultOf(last) === 'Succeeded' ? 1 : 0),
      oldest_active_run_timestamp_seconds: made.length === 0 ? undefined : Math.min(...made),
      last_duration_seconds: lastGood && durationOf(lastGood),
      size_median_bytes: median(good.slice(0, 7).flatMap(({ status: each }) => each?.plainBytes ?? [])),
      throughput_bytes_per_second: lastGood && throughputOf(lastGood),
      missed_runs_total: status?.missedRuns,
    }),
    ...runResults.flatMap((result) => samples({ ...labels, result }, { runs_total: status?.runs?.[result] })),
    ...samples({ ...labels, stage: 'plain' }, { last_size_bytes: lastGood?.status?.plainBytes }),
    ...samples({ ...labels, stage: 'stored' }, { last_size_bytes: lastGood?.status?.storedBytes }),
    ...(lastGood?.status?.notes ?? []).flatMap(({ reason, count }) =>
      samples({ ...labels, reason }, { last_notes: count }),
    ),
    ...(status?.repairs ?? []).flatMap(({ location, missing, copied, failures }) =>
      samples(
        { ...labels, location },
        { repair_missing: missing, repair_copied_total: copied, repair_failures_total: failures },
      ),
    ),
    ...(status?.prunes ?? []).flatMap((prune) =>
      samples(
        { ...labels, location: prune.location },
        {
          retention_kept: prune.kept,
          retention_removable: prune.removable,
          retention_deferred: prune.deferred,
          retention_deleted_total: prune.removed,
          retention_freed_bytes_total: prune.freedBytes,
          retention_failures_total: prune.failures,
          retention_last_success_timestamp_seconds: secondsOf(prune.lastTime),
        },
      ),
    ),
    ...lastSuccesses(ended).flatMap(([location, end]) => {
      return samples({ ...labels, location }, { last_success_timestamp_seconds: end / 1000 });
    }),
  ];
}

/** Remembers what schedules answered: they are asked at every scrape, and the answer changes with the months at most. */
export function rememberIntervals(): IntervalOf {
  const known = new Map<string, number | undefined>();
  return ({ spec }, nowMs) => {
    if (spec.schedule === undefined) return undefined;
    const month = stamp(nowMs).slice(0, 7);
    const key = `${spec.schedule}|${spec.timeZone}|${month}`;
    if (known.has(key)) return known.get(key);
    if (known.size > 10_000) known.clear();
    let interval: number | undefined;
    try {
      interval = expectedIntervalMs(parseSchedule(spec.schedule, spec.timeZone), Date.parse(`${month}-01T00:00:00Z`));
    } catch {
      // A schedule that cannot be read promises nothing; the policy's Ready condition says so.
      interval = undefined;
    }
    known.set(key, interval);
    return interval;
  };
}

/** Only runs that said when they began and ended have a duration. */
function durationOf({ status }: Backup): number | undefined {
  const [start, end] = [readStamp(status?.startedAt), readStamp(status?.completedAt)];
  return start === undefined || end === undefined || end < start ? undefined : (end - start) / 1000;
}

function throughputOf(backup: Backup): number | undefined {
  const seconds = durationOf(backup);
  const bytes = backup.status?.plainBytes;
  return seconds === undefined || seconds === 0 || bytes === undefined ? undefined : bytes / seconds;
}

function median(values: readonly number[]): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.floor((sorted.length - 1) / 2)];
  return upper === undefined || lower === undefined ? undefined : (upper + lower) / 2;
}

/**
 * For each location the end of the newest backup that is whole there. A run that only another destination failed is good news here:
 * which copy is behind is what the label is for. One with failed databases is not.
 */
function lastSuccesses(ended: readonly Backup[]): readonly (readonly [string, number])[] {
  const found = new Map<string, number>();
  for (const backup of ended) {
    const reason = findCondition(backup.status?.conditions, 'Succeeded')?.reason;
    const isWhole = resultOf(backup) === 'Succeeded' || reason === 'DestinationFailed';
    const end = endOf(backup) ?? startOf(backup);
    if (!isWhole || (backup.status?.databases?.failed.length ?? 0) > 0) continue;
    for (const { location } of (backup.status?.destinations ?? []).filter(isCopy)) {
      found.set(location, Math.max(found.get(location) ?? 0, end));
    }
  }
  return [...found].toSorted(([a], [b]) => a.localeCompare(b));
}

function samplesOfLocation({ metadata, status }: BackupLocation, failed: number): readonly GaugeSample[] {
  const labels = { namespace: metadata.namespace, location: metadata.name };
  // What lies there is said by the last complete catalogue; before the first nothing is known.
  const states = {
    committed: status?.backups,
    damaged: status?.damagedManifests,
    failed: status?.backups === undefined ? undefined : failed,
  };
  const latencies = status?.latencies ?? {};
  return [
    ...samples(labels, {
      location_available: truthOf({ status }, 'Available'),
      location_last_probe_timestamp_seconds: secondsOf(status?.lastProbeTime),
      stored_bytes: status?.storedBytes,
      location_remains_objects: status?.remains?.objects,
      location_remains_bytes: status?.remains?.bytes,
      location_remains_oldest_timestamp_seconds: secondsOf(status?.remains?.oldestTime),
      location_unfinished_uploads: status?.remains?.unfinishedUploads,
      location_remains_removed_total: status?.remains?.removedObjects,
    }),
    ...Object.entries(states).flatMap(([state, backups]) => samples({ ...labels, state }, { backups })),
    ...probeOperations.flatMap((operation) => {
      const ms = latencies[`${operation}Milliseconds`];
      return samples(
        { ...labels, operation },
        {
          location_operation_seconds: ms === undefined ? ms : ms / 1000,
          location_errors_total: status?.probeErrors?.[operation],
        },
      );
    }),
  ];
}
