import type { Condition } from '../../api/parts.ts';
import { isAhead, pastOnly } from '../../domain/clocks.ts';
import { nextSlot, previousSlot, type Schedule } from '../../domain/schedule.ts';
import { readStamp, stamp } from '../../domain/stamp.ts';
import { earliest } from '../action.ts';
import { findCondition, type ConditionChange } from '../conditions.ts';
import { endedRuns, type Run, type Scheduler } from './run.ts';

export interface Health {
  readonly condition: ConditionChange;
  /** When a slot becomes overdue, or a run counts as stuck, if nothing happens. */
  readonly wakeAt: number | undefined;
}

/**
 * True: the last run that ended succeeded, no slot is overdue (slot + jitter + startingDeadline + deadline without any run ended
 * since), no run is stuck, runs can be made, and it was not suspended for too long. Unknown before the first. A failed best-effort destination leaves it True, with a reason. A run that
 * waits for a server, a store or a key changes nothing of that yet: what it waits for is in the message.
 */
export function judgeHealth<R extends Run<WithConditions>>(seen: {
  readonly nowMs: number;
  readonly policy: Scheduler;
  /** How long a run may take. */
  readonly deadlineSeconds: number;
  readonly schedule: Schedule | undefined;
  readonly runs: readonly R[];
  /** When a run counts as stuck, if something keeps it from starting. */
  readonly stuckAt: (run: R) => number | undefined;
  readonly scheduledSince: number;
  /** Why no run can be made at all. */
  readonly blocked: { readonly reason: string; readonly message: string } | undefined;
  /** A suspended policy is no longer healthy when its last good run is older than this. */
  readonly suspendedMostMs?: number;
  /** What a good run left undone, if it is worth a word. */
  readonly flawOf?: (run: R) => string | undefined;
}): Health {
  const { nowMs, policy, schedule, runs, stuckAt, scheduledSince, flawOf = () => undefined } = seen;
  const ended = endedRuns(runs);
  const promise = schedule === undefined || policy.spec.suspend ? undefined : schedule;
  const { jitterSeconds, startingDeadlineSeconds = 0 } = policy.spec;
  // How long after its slot a run may end at the latest.
  const allowedMs = (jitterSeconds + startingDeadlineSeconds + seen.deadlineSeconds) * 1000;
  const latestOf = (some: readonly R[]): number =>
    Math.max(
      scheduledSince,
      pastOnly(readStamp(policy.status?.lastSuccessTime), nowMs) ?? 0,
      ...some
        .slice(0, 100)
        .map(({ keptFor }) => keptFor)
        .filter((time) => !isAhead(time, nowMs)),
    );
  const kept = latestOf(ended);
  const overdue = promise && previousSlot(promise, nowMs - allowedMs);
  const base = { type: 'Healthy', observedGeneration: policy.metadata.generation } as const;
  if (seen.blocked !== undefined) {
    const { reason, message } = seen.blocked;
    return { condition: { ...base, status: 'False', reason, message }, wakeAt: undefined };
  }
  const good = latestOf(ended.filter(({ isGood }) => isGood));
  const wornAt = policy.spec.suspend && seen.suspendedMostMs !== undefined ? good + seen.suspendedMostMs : undefined;
  if (wornAt !== undefined && nowMs >= wornAt) {
    const message = `suspended, and no run has succeeded since ${stamp(good)}`;
    return { condition: { ...base, status: 'False', reason: 'SuspendedLong', message }, wakeAt: undefined };
  }
  if (overdue !== undefined && overdue > kept) {
    const message = [`no run has ended since the slot of ${stamp(overdue)}`, ...tellWaiting(runs)].join('; ');
    return { condition: { ...base, status: 'False', reason: 'Overdue', message }, wakeAt: undefined };
  }
  const following = promise && nextSlot(promise, kept);
  const overdueAt = following === undefined ? undefined : following + allowedMs;
  const stuck = findFirstStuck(runs, stuckAt);
  if (stuck !== undefined && nowMs >= stuck.at) {
    const { reason = '', message = '' } = findCondition(stuck.run.object.status?.conditions, 'Succeeded') ?? {};
    const text = `${stuck.run.name} cannot start: ${reason}: ${message}`;
    return { condition: { ...base, status: 'False', reason: 'RunStuck', message: text }, wakeAt: overdueAt };
  }
  const wakeAt = earliest(overdueAt, stuck?.at, wornAt);
  const [last] = ended;
  const judged =
    last === undefined
      ? ({ status: 'Unknown', reason: 'NoRunYet', message: 'no run has ended yet' } as const)
      : judgeLast(last, flawOf(last));
  // What people see in a list: that nothing is scheduled, unless something is worse.
  const reason = policy.spec.suspend && judged.status !== 'False' ? 'Suspended' : judged.reason;
  return {
    condition: { ...base, ...judged, reason, message: [judged.message, ...tellWaiting(runs)].join('; ') },
    wakeAt,
  };
}

/** What the newest run that goes on waits for. */
function tellWaiting(runs: readonly Run<WithConditions>[]): readonly string[] {
  const going = runs.filter(({ result }) => result === undefined).toSorted((a, b) => b.start - a.start)[0];
  const { status, reason = '', message } = findCondition(going?.object.status?.conditions, 'Succeeded') ?? {};
  if (going === undefined || status !== 'Unknown' || !reason.startsWith('WaitingFor')) return [];
  return [`${going.name} waits: ${reason}: ${message}`];
}

interface WithConditions {
  readonly status?: { readonly conditions?: readonly Condition[] | undefined } | undefined;
}

/** The run that counts, or will count, as stuck before the others. */
function findFirstStuck<R extends Run>(
  runs: readonly R[],
  stuckAt: (run: R) => number | undefined,
): { readonly run: R; readonly at: number } | undefined {
  const found = runs.flatMap((run) => {
    const at = stuckAt(run);
    return at === undefined ? [] : [{ run, at }];
  });
  return found.toSorted((a, b) => a.at - b.at || a.run.name.localeCompare(b.run.name))[0];
}

function judgeLast(
  { name, object, isGood }: Run<WithConditions>,
  flaw: string | undefined,
): Pick<ConditionChange, 'status' | 'reason' | 'message'> {
  const succeeded = findCondition(object.status?.conditions, 'Succeeded');
  if (!isGood) {
    const message = `${name}: ${succeeded?.reason ?? ''}: ${succeeded?.message ?? ''}`;
    return { status: 'False', reason: 'LastRunFailed', message };
  }
  if (flaw === undefined) return { status: 'True', reason: 'LastRunSucceeded', message: `${name} succeeded` };
  return { status: 'True', reason: 'BestEffortFailed', message: `${name} succeeded, but ${flaw}` };
}
