import type { Backup, BackupPolicy } from '../../api/kinds.ts';
import { nextSlot, previousSlot, type Schedule } from '../../domain/schedule.ts';
import { readStamp, stamp } from '../../domain/stamp.ts';
import { earliest } from '../action.ts';
import { findCondition, type ConditionChange } from '../conditions.ts';
import { endedRuns, endOf, resultOf } from '../outcome.ts';

export interface Health {
  readonly condition: ConditionChange;
  /** When a slot becomes overdue, or a run counts as stuck, if nothing happens. */
  readonly wakeAt: number | undefined;
}

/**
 * True: the last run that ended succeeded, no slot is overdue (slot + jitter + startingDeadline + deadline without any run ended
 * since), and no run is stuck. Unknown before the first. A failed best-effort destination leaves it True, with a reason.
 */
export function judgeHealth(seen: {
  readonly nowMs: number;
  readonly policy: BackupPolicy;
  readonly schedule: Schedule | undefined;
  readonly backups: readonly Backup[];
  /** When a run counts as stuck, if something keeps it from starting. */
  readonly stuckAt: (backup: Backup) => number | undefined;
  readonly scheduledSince: number;
}): Health {
  const { nowMs, policy, schedule, backups, stuckAt, scheduledSince } = seen;
  const ended = endedRuns(backups);
  const promise = schedule === undefined || policy.spec.suspend ? undefined : schedule;
  const allowedMs = allowanceOf(policy);
  const kept = Math.max(
    scheduledSince,
    readStamp(policy.status?.lastSuccessTime) ?? 0,
    ...ended.slice(0, 100).map(({ spec, status }) => readStamp(spec.slot) ?? readStamp(status?.startedAt) ?? 0),
  );
  const overdue = promise && previousSlot(promise, nowMs - allowedMs);
  const base = { type: 'Healthy', observedGeneration: policy.metadata.generation } as const;
  if (overdue !== undefined && overdue > kept) {
    const message = `no run has ended since the slot of ${stamp(overdue)}`;
    return { condition: { ...base, status: 'False', reason: 'Overdue', message }, wakeAt: undefined };
  }
  const following = promise && nextSlot(promise, kept);
  const overdueAt = following === undefined ? undefined : following + allowedMs;
  const stuck = findFirstStuck(backups, stuckAt);
  if (stuck !== undefined && nowMs >= stuck.at) {
    const { reason = '', message = '' } = findCondition(stuck.backup.status?.conditions, 'Succeeded') ?? {};
    const text = `${stuck.backup.metadata.name} cannot start: ${reason}: ${message}`;
    return { condition: { ...base, status: 'False', reason: 'RunStuck', message: text }, wakeAt: overdueAt };
  }
  const wakeAt = earliest(overdueAt, stuck?.at);
  const [last] = ended;
  if (last === undefined) {
    return { condition: { ...base, status: 'Unknown', reason: 'NoRunYet', message: 'no run has ended yet' }, wakeAt };
  }
  return { condition: { ...base, ...judgeLast(last) }, wakeAt };
}

/** The run that counts, or will count, as stuck before the others. */
function findFirstStuck(
  backups: readonly Backup[],
  stuckAt: (backup: Backup) => number | undefined,
): { readonly backup: Backup; readonly at: number } | undefined {
  const found = backups.flatMap((backup) => {
    const at = stuckAt(backup);
    return at === undefined ? [] : [{ backup, at }];
  });
  return found.toSorted((a, b) => a.at - b.at || a.backup.metadata.name.localeCompare(b.backup.metadata.name))[0];
}

function judgeLast(last: Backup): Pick<ConditionChange, 'status' | 'reason' | 'message'> {
  const succeeded = findCondition(last.status?.conditions, 'Succeeded');
  const name = last.metadata.name;
  if (resultOf(last) !== 'Succeeded') {
    const message = `${name}: ${succeeded?.reason ?? ''}: ${succeeded?.message ?? ''}`;
    return { status: 'False', reason: 'LastRunFailed', message };
  }
  const failed = last.status?.destinations?.filter(({ outcome }) => outcome === 'Failed') ?? [];
  if (failed.length === 0) return { status: 'True', reason: 'LastRunSucceeded', message: `${name} succeeded` };
  const message = `${name} succeeded, but not at ${failed.map(({ location }) => location).join(', ')}`;
  return { status: 'True', reason: 'BestEffortFailed', message };
}

/** How long after its slot a run may end at the latest. */
function allowanceOf({ spec }: BackupPolicy): number {
  return (spec.jitterSeconds + (spec.startingDeadlineSeconds ?? 0) + spec.runner.deadlineSeconds) * 1000;
}

/** The last successful run, if there is one. */
export function lastSuccess(backups: readonly Backup[]): { readonly backup: Backup; readonly end: number } | undefined {
  const good = endedRuns(backups).find((backup) => resultOf(backup) === 'Succeeded');
  const end = good && endOf(good);
  return good === undefined || end === undefined ? undefined : { backup: good, end };
}
