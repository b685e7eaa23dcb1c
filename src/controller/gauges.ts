import type { Backup, BackupLocation, BackupPolicy } from '../api/kinds.ts';
import { runResults } from '../api/backup-policy.ts';
import { expectedIntervalMs, parseSchedule } from '../domain/schedule.ts';

/** A metric as it is at this moment; the shape of support/metrics.ts, which prints it. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'gauge' | 'counter';
  readonly samples: readonly Sample[];
}
interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface SeenObjects {
  readonly policies: readonly BackupPolicy[];
  readonly backups: readonly Backup[];
  readonly locations: readonly BackupLocation[];
  readonly nowMs: number;
}

/** How many good runs the median of the size is taken over. */
const medianRuns = 7;

/**
 * Metrics that are made from objects when they are scraped: they survive restarts, and what is not known is absent, never 0.
 * No name of a Backup is ever a label.
 */
export function gatherGauges(seen: SeenObjects, intervalMs = expectedInterval()): readonly Family[] {
  const families = new Map<string, { help: string; type: 'gauge' | 'counter'; samples: Sample[] }>();
  const add = (
    type: 'gauge' | 'counter',
    name: string,
    help: string,
    labels: Sample['labels'],
    value: number | undefined,
  ): void => {
    if (value === undefined || !Number.isFinite(value)) return;
    const family = families.get(name) ?? { help, type, samples: [] };
    family.samples.push({ labels, value });
    families.set(name, family);
  };
  const runs = groupByPolicy(seen.backups);
  for (const policy of seen.policies) {
    addPolicy(add, policy, intervalMs(policy, seen.nowMs));
    addRuns(add, policy, runs.get(`${policy.metadata.namespace}/${policy.metadata.name}`) ?? []);
  }
  for (const location of seen.locations) addLocation(add, location, seen.backups);
  return [...families].map(([name, family]) => ({ name, ...family }));
}

type Add = (
  type: 'gauge' | 'counter',
  name: string,
  help: string,
  labels: Sample['labels'],
  value: number | undefined,
) => void;

function addPolicy(add: Add, policy: BackupPolicy, intervalMs: number | undefined): void {
  const { spec, status, metadata } = policy;
  const labels = { namespace: metadata.namespace, policy: metadata.name };
  const described = { ...labels, schedule: spec.schedule ?? '', timezone: spec.timeZone };
  add('gauge', 'pgbackup_policy_info', 'A policy with its schedule; always 1.', described, 1);
  add('gauge', 'pgbackup_policy_suspended', '1 while the policy is suspended.', labels, spec.suspend ? 1 : 0);
  const interval = intervalMs === undefined ? undefined : intervalMs / 1000;
  add(
    'gauge',
    'pgbackup_policy_expected_interval_seconds',
    'The longest time between two slots of the schedule.',
    labels,
    interval,
  );
  const next = seconds(status?.nextScheduleTime);
  add('gauge', 'pgbackup_policy_next_run_timestamp_seconds', 'The next slot.', labels, next);
  const created = seconds(metadata.creationTimestamp);
  add('gauge', 'pgbackup_policy_created_timestamp_seconds', 'When the policy was made.', labels, created);
  for (const result of runResults) {
    const help = 'Ended runs since the policy was made, by result.';
    add('counter', 'pgbackup_runs_total', help, { ...labels, result }, status?.runs?.[result] ?? 0);
  }
  add('counter', 'pgbackup_missed_runs_total', 'Slots that were never run.', labels, status?.missedRuns ?? 0);
  for (const kind of ['Ready', 'Healthy']) {
    const condition = status?.conditions?.find((each) => each.type === kind);
    if (condition === undefined || condition.status === 'Unknown') continue;
    const help = `1 while condition ${kind} is True, 0 while it is False.`;
    add('gauge', `pgbackup_policy_${kind.toLowerCase()}`, help, labels, condition.status === 'True' ? 1 : 0);
  }
}

/** From the Backup objects of a policy, found ones included, the newest first. */
function addRuns(add: Add, policy: BackupPolicy, backups: readonly Backup[]): void {
  const labels = { namespace: policy.metadata.namespace, policy: policy.metadata.name };
  const ended = backups.filter((backup) => outcome(backup) !== undefined);
  const good = ended.filter((backup) => outcome(backup) === true);
  const [last] = ended;
  const [lastGood] = good;

  const attempted = last?.status?.startedAt ?? last?.status?.completedAt;
  add('gauge', 'pgbackup_last_attempt_timestamp_seconds', 'Start of the last ended run.', labels, seconds(attempted));
  if (last !== undefined) {
    const help = '1 if the last ended run succeeded, else 0.';
    add('gauge', 'pgbackup_last_attempt_succeeded', help, labels, outcome(last) === true ? 1 : 0);
  }
  for (const destination of policy.spec.destinations) {
    const holds = ended.find((backup) => outcome(backup) === true && isStoredAt(backup, destination.location));
    const where = { ...labels, location: destination.location };
    const help = 'End of the last succeeded run whose copy is at this destination.';
    add('gauge', 'pgbackup_last_success_timestamp_seconds', help, where, seconds(holds?.status?.completedAt));
  }
  const { startedAt, completedAt, plainBytes, storedBytes } = lastGood?.status ?? {};
  const duration = difference(startedAt, completedAt);
  add('gauge', 'pgbackup_last_duration_seconds', 'Time of the last good run.', labels, duration);
  const sizeHelp = 'Size of the last good run: plain as pg_dump wrote it, stored as one copy takes.';
  add('gauge', 'pgbackup_last_size_bytes', sizeHelp, { ...labels, stage: 'plain' }, plainBytes);
  add('gauge', 'pgbackup_last_size_bytes', sizeHelp, { ...labels, stage: 'stored' }, storedBytes);
  const sizes = good.slice(0, medianRuns).flatMap((backup) => backup.status?.plainBytes ?? []);
  const medianHelp = `Median of the plain size of the last ${medianRuns} good runs.`;
  add('gauge', 'pgbackup_size_median_bytes', medianHelp, labels, median(sizes));
  const rate = plainBytes === undefined || duration === undefined || duration <= 0 ? undefined : plainBytes / duration;
  add('gauge', 'pgbackup_throughput_bytes_per_second', 'Plain bytes per second of the last good run.', labels, rate);
}

function addLocation(add: Add, location: BackupLocation, backups: readonly Backup[]): void {
  const { status, metadata } = location;
  const labels = { namespace: metadata.namespace, location: metadata.name };
  const available = status?.conditions?.find((condition) => condition.type === 'Available');
  if (available !== undefined && available.status !== 'Unknown') {
    const help = '1 while the location passes its probe, else 0.';
    add('gauge', 'pgbackup_location_available', help, labels, available.status === 'True' ? 1 : 0);
  }
  const probed = seconds(status?.lastProbeTime);
  add('gauge', 'pgbackup_location_last_probe_timestamp_seconds', 'End of the last inspection.', labels, probed);
  for (const operation of ['put', 'get', 'list', 'delete'] as const) {
    const took = status?.latencies?.[`${operation}Milliseconds`];
    const time = took === undefined ? undefined : took / 1000;
    const by = { ...labels, operation };
    add('gauge', 'pgbackup_location_operation_seconds', 'Time of an operation in the last probe.', by, time);
    const errors = status?.probeErrors?.[operation] ?? 0;
    add('counter', 'pgbackup_location_errors_total', 'Failed probes, by the operation that failed.', by, errors);
  }
  add('gauge', 'pgbackup_stored_bytes', 'Bytes of committed backups there.', labels, status?.storedBytes);
  if (status?.backups === undefined) return;
  const states: Record<string, number> = { committed: status.backups, damaged: status.damagedManifests ?? 0 };
  states['failed'] = backups.filter(
    (backup) =>
      backup.metadata.namespace === metadata.namespace &&
      backup.status?.destinations?.some((each) => each.location === metadata.name && each.outcome === 'Failed'),
  ).length;
  for (const [state, value] of Object.entries(states)) {
    const help =
      'Backups: committed and damaged by the last catalogue, failed by the Backup objects that did not get there.';
    add('gauge', 'pgbackup_backups', help, { ...labels, state }, value);
  }
}

/** Remembers what schedules answered: they are asked at every scrape, and change once a month at most. */
export function expectedInterval(): (policy: BackupPolicy, nowMs: number) => number | undefined {
  const known = new Map<string, number | undefined>();
  return ({ spec }, nowMs) => {
    if (spec.schedule === undefined) return undefined;
    const month = new Date(nowMs).toISOString().slice(0, 7);
    const key = `${spec.schedule}|${spec.timeZone}|${month}`;
    if (known.has(key)) return known.get(key);
    if (known.size > 10_000) known.clear();
    let interval: number | undefined;
    try {
      interval = expectedIntervalMs(parseSchedule(spec.schedule, spec.timeZone), Date.parse(`${month}-01T00:00:00Z`));
    } catch {
      // Said by the policy's condition Ready already; the metric is absent.
      interval = undefined;
    }
    known.set(key, interval);
    return interval;
  };
}

function groupByPolicy(backups: readonly Backup[]): ReadonlyMap<string, readonly Backup[]> {
  const groups = Map.groupBy(backups, (backup) => `${backup.metadata.namespace}/${backup.spec.policy}`);
  for (const group of groups.values()) group.sort((a, b) => endOf(b) - endOf(a));
  return groups;
}

function endOf(backup: Backup): number {
  return seconds(backup.status?.completedAt) ?? 0;
}

function outcome(backup: Backup): boolean | undefined {
  const status = backup.status?.conditions?.find((condition) => condition.type === 'Succeeded')?.status;
  return status === undefined || status === 'Unknown' ? undefined : status === 'True';
}

function isStoredAt(backup: Backup, location: string): boolean {
  return backup.status?.destinations?.some((each) => each.location === location && each.outcome !== 'Failed') ?? false;
}

function seconds(time: string | undefined): number | undefined {
  return time === undefined ? undefined : Date.parse(time) / 1000;
}

function difference(start: string | undefined, end: string | undefined): number | undefined {
  const [from, to] = [seconds(start), seconds(end)];
  return from === undefined || to === undefined ? undefined : to - from;
}

function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.floor(sorted.length / 2)]];
  return low === undefined || high === undefined ? undefined : (low + high) / 2;
}
