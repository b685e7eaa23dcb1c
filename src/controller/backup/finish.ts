import type { BackupStatus, DestinationStatus } from '../../api/backup.ts';
import type { Backup } from '../../api/kinds.ts';
import type { FailureReason, Reason } from '../../api/reasons.ts';
import { manifestKey } from '../../domain/layout.ts';
import type { BackupVerdict, DatabaseResult, ResultLine } from '../../domain/report.ts';
import { stamp } from '../../domain/stamp.ts';
import type { BackupTask } from '../../domain/task.ts';
import { cutText, setCondition } from '../conditions.ts';
import { programsCondition } from '../programs-condition.ts';
import { fitStatus } from '../fit-status.ts';

export interface Ending {
  readonly status: 'True' | 'False';
  readonly reason: Reason;
  readonly message: string;
}

/** The status of a Backup whose runner has spoken. `results` undefined: the log could not be read, details stay absent. */
export function finishWithVerdict(
  backup: Backup,
  verdict: BackupVerdict,
  task: BackupTask | undefined,
  results: readonly ResultLine[] | undefined,
  nowMs: number,
): { readonly status: BackupStatus; readonly ending: Ending } {
  const destinations = mergeDestinations(backup, verdict, task);
  const databases = results && readDatabases(results);
  const ending = judgeVerdict(verdict, destinations, databases);
  const status = judgePrograms(backup, verdict, endedStatus(backup, ending, verdict.completedAt, nowMs), nowMs);
  return {
    ending,
    status: fitStatus({
      ...status,
      startedAt: verdict.startedAt,
      attempt: cutText(verdict.attempt, 16),
      plainBytes: verdict.plainBytes,
      storedBytes: verdict.storedBytes,
      destinations,
      databases,
      notes: verdict.notes,
    }),
  };
}

/** The status of a Backup whose runner has said nothing. */
export function finishSilently(backup: Backup, reason: FailureReason, message: string, nowMs: number): BackupStatus {
  return endedStatus(backup, { status: 'False', reason, message }, stamp(nowMs), nowMs);
}

function endedStatus(backup: Backup, ending: Ending, completedAt: string, nowMs: number): BackupStatus {
  const { progress: _, ...before } = backup.status ?? {};
  const condition = { type: 'Succeeded', observedGeneration: backup.metadata.generation, ...ending };
  const failed =
    ending.reason === 'DestinationFailed' || ending.reason === 'DatabaseFailed' ? 'PartlyFailed' : 'Failed';
  return {
    ...before,
    conditions: setCondition(before.conditions, condition, nowMs),
    observedGeneration: backup.metadata.generation,
    phase: ending.status === 'True' ? 'Succeeded' : failed,
    completedAt,
  };
}

/** A dump by programs that are older than their server is told by a condition of its own. */
function judgePrograms(backup: Backup, { notes }: BackupVerdict, status: BackupStatus, nowMs: number): BackupStatus {
  const outdated = notes?.find(({ reason }) => reason === 'ProgramsOutdated');
  if (outdated === undefined) return status;
  const change = programsCondition(backup.metadata.generation, outdated);
  return { ...status, conditions: setCondition(status.conditions, change, nowMs) };
}

/**
 * Succeeded needs more than the word: every destination that was required must be there in the verdict, and no database failed.
 * What contradicts itself is no success.
 */
function judgeVerdict(
  verdict: BackupVerdict,
  destinations: readonly DestinationStatus[],
  databases: BackupStatus['databases'],
): Ending {
  const text = [verdict.message, verdict.hint].filter((part) => part !== undefined).join('; ');
  if (verdict.verdict === 'Failed') {
    return { status: 'False', reason: verdict.reason ?? 'Internal', message: text || 'the run failed' };
  }
  const failed = destinations.filter(({ outcome }) => outcome === 'Failed');
  const names = failed.map(({ location, reason }) => `${location} (${reason ?? 'no reason given'})`).join(', ');
  if (verdict.verdict === 'PartlyFailed') {
    const fallback = failed.length > 0 ? 'DestinationFailed' : 'DatabaseFailed';
    return { status: 'False', reason: verdict.reason ?? fallback, message: text || `stored in part; failed: ${names}` };
  }
  const stored = destinations.filter(({ outcome }) => outcome !== 'Failed');
  if (failed.some(({ required }) => required !== false) || stored.length === 0) {
    return { status: 'False', reason: 'DestinationFailed', message: `not stored at ${names || 'any destination'}` };
  }
  if (databases !== undefined && databases.failed.length > 0) {
    const lost = databases.failed.map(({ name }) => name).join(', ');
    return { status: 'False', reason: 'DatabaseFailed', message: `not stored: ${lost}` };
  }
  if (failed.length > 0) return { status: 'True', reason: 'BestEffortFailed', message: `not stored at ${names}` };
  const places = stored.map(({ location }) => location).join(', ');
  return { status: 'True', reason: 'Succeeded', message: `${verdict.storedBytes} bytes stored at ${places}` };
}

/** What was asked for (the task) with what became of it (the verdict), and destinations that no run could be sent to. */
function mergeDestinations(backup: Backup, verdict: BackupVerdict, task: BackupTask | undefined): DestinationStatus[] {
  const key = task && manifestKey(task.namespace, task.policy.name, backup.metadata.name);
  const asked = task?.destinations.map(({ location, required }) => ({ name: location.name, required }));
  const wanted = asked ?? verdict.destinations.map(({ location }) => ({ name: location, required: true }));
  const merged = wanted.map(({ name, required }): DestinationStatus => {
    const said = verdict.destinations.find(({ location }) => location === name);
    if (said === undefined) {
      const outcome = { outcome: 'Failed', reason: verdict.reason ?? 'Internal' } as const;
      return { location: name, required, ...outcome, message: 'the runner said nothing about it' };
    }
    return {
      location: name,
      required,
      outcome: said.outcome,
      reason: said.reason,
      message: said.message === undefined ? undefined : cutText(said.message, 1024),
      bytes: said.bytes,
      readBackBytes: said.readBackBytes,
      manifestKey: said.outcome === 'Failed' ? undefined : key,
      manifestSha256: /^[0-9a-f]{64}$/.test(said.manifestSha256 ?? '') ? said.manifestSha256 : undefined,
    };
  });
  const before = backup.status?.destinations ?? [];
  return [...merged, ...before.filter(({ location }) => !wanted.some(({ name }) => name === location))].slice(0, 8);
}

/** At most so many failed databases tell their whole message: a status has its limits. */
const messagesMax = 100;

function readDatabases(results: readonly ResultLine[]): NonNullable<BackupStatus['databases']> {
  const lines = results.filter((line): line is DatabaseResult => line.kind === 'database');
  const failed = lines.filter(({ outcome }) => outcome === 'failed');
  return {
    stored: lines.filter(({ outcome }) => outcome === 'stored').map(({ name }) => name),
    failed: failed.map(({ name, reason, detail }, index) => ({
      name,
      reason: reason ?? 'DumpFailed',
      message: detail === undefined || index >= messagesMax ? undefined : cutText(detail, 400),
    })),
  };
}
