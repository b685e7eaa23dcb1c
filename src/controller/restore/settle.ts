import { finalizer, type RestoreRequest } from '../../api/kinds.ts';
import type { RestoreRequestStatus } from '../../api/restore-request.ts';
import { cleanupJobName } from '../../domain/names.ts';
import { parseVerdict, type RestoreVerdict } from '../../domain/report.ts';
import { readStamp, stamp } from '../../domain/stamp.ts';
import { earliest, type Action, type CreateAction, type Plan } from '../action.ts';
import { deleteJob } from '../run/delete-job.ts';
import { isControlledBy, isFinished, runnerState, type JobSeen, type PodSeen } from '../run/pods.ts';
import { judgeRun } from '../run/run-state.ts';
import { mayComeYet } from '../run/await-results.ts';
import { describeFailure } from '../describe-failure.ts';
import { endRequest, setStatus, waitingStatus } from './conclude.ts';
import { finishChanged, finishRecovered, finishSilently, finishWithVerdict } from './finish.ts';
import { createCleanupJob } from './job.ts';
import type { RestoreSeen } from './observe.ts';

export type RememberedFailure = NonNullable<RestoreRequestStatus['failure']>;

const lookEveryMs = 10_000;
/**
 * How long the pods of a Job that is over may still be there before the cleanup begins. On a node that does not answer they stay; the
 * server itself then keeps a runner that lives on from swapping what the cleanup has dropped.
 */
const podsEndMs = 10 * 60_000;
/** After this, with the deadline of the cleanup's Job and the time until it was made in it, nobody is waited for any more. */
const settleBudgetMs = 60 * 60_000;

export function isHeld({ metadata }: RestoreRequest): boolean {
  return metadata.finalizers?.includes(finalizer) ?? false;
}

/** A runner has been there: seen by its pods, counted by the Job, or noted before. */
export function hasRun({ request, run, pods }: RestoreSeen): boolean {
  if (request.object.status?.startedAt !== undefined || (run.job?.status?.failed ?? 0) > 0) return true;
  return hasBegun({ run, pods });
}

/** A runner is or was in one of the pods that are seen. */
export function hasBegun({ run, pods }: Pick<RestoreSeen, 'run' | 'pods'>): boolean {
  return [...pods, ...run.pods].some((pod) => {
    const state = runnerState(pod);
    return state?.running !== undefined || state?.terminated !== undefined;
  });
}

/**
 * A run has ended without a word, or nobody wants it any more: its Job is ended, and when no pod of it works any more, a cleanup finds
 * out what the target is and drops what was left beside it.
 */
export function planSettling(seen: RestoreSeen, request: RestoreRequest, failure: RememberedFailure): Plan {
  const { nowMs, run } = seen;
  const committed = findCommitted(seen);
  if (committed !== undefined)
    return endRequest(seen, request, finishWithVerdict(request, committed, undefined, nowMs));
  const job = run.job !== undefined && isControlledBy(run.job, request.metadata.uid) ? run.job : undefined;
  const patientUntil = (readStamp(failure.at) ?? nowMs) + podsEndMs;
  const goesOn = job !== undefined && !isFinished(job);
  if ((goesOn || seen.pods.some(isAlive)) && nowMs < patientUntil) {
    const stops = goesOn && job.metadata.deletionTimestamp === undefined;
    return {
      actions: [
        ...setStatus(request, settlingStatus(seen, request, failure, 'waits until its runner has ended')),
        ...(stops ? [deleteJob(job, 'Foreground')] : []),
      ],
      wakeAt: Math.min(nowMs + lookEveryMs, patientUntil),
    };
  }
  if (!hasRun(seen)) return endRequest(seen, request, finishSilently(request, failure, 'Untouched', nowMs));
  return planCleanup(seen, request, failure);
}

/** Committed is committed, whatever became of the pod. What a failed one said counts no more: another may have come after it. */
function findCommitted({ pods, run }: RestoreSeen) {
  for (const pod of [...pods, ...run.pods]) {
    const verdict = parseVerdict(runnerState(pod)?.terminated?.message);
    if (verdict?.kind === 'restore' && verdict.verdict !== 'Failed' && !isHollow(verdict)) return verdict;
  }
  return undefined;
}

/** It says of none of its targets that something was done, nor that nothing was to be done. */
export function isHollow({ target, unchanged }: RestoreVerdict): boolean {
  return target === 'Untouched' && unchanged !== true;
}

/** A runner ended with exit code 0, whatever else of it can be read. */
export function endedWell({ pods, run }: Pick<RestoreSeen, 'pods' | 'run'>): boolean {
  return [...pods, ...run.pods].some((pod) => runnerState(pod)?.terminated?.exitCode === 0);
}

function isAlive(pod: PodSeen): boolean {
  const { phase } = pod.status ?? {};
  return phase !== 'Succeeded' && phase !== 'Failed' && runnerState(pod)?.terminated === undefined;
}

function planCleanup(seen: RestoreSeen, request: RestoreRequest, failure: RememberedFailure): Plan {
  const { nowMs, cleanup, mode } = seen;
  const { job } = cleanup;
  const giveUpAt = (readStamp(failure.at) ?? nowMs) + settleBudgetMs;
  if (job !== undefined && isControlledBy(job, request.metadata.uid)) {
    return planCleaning(seen, request, failure, job, giveUpAt);
  }
  const problem = job === undefined ? cleanup.refused : `the Job ${job.metadata.name} belongs to something else`;
  // Nothing can be made in a namespace that is going.
  const isHopeless = problem?.includes('being terminated') ?? false;
  if (nowMs >= giveUpAt || isHopeless) return giveUp(seen, request, failure, problem ?? 'no Job could be made in time');
  const wait = (why: string): Plan => ({
    actions: setStatus(request, settlingStatus(seen, request, failure, why)),
    wakeAt: Math.min(nowMs + lookEveryMs, giveUpAt),
  });
  // What a request owns that is being deleted in the foreground goes at once, its cleanup too.
  const isEmptied = request.metadata.finalizers?.includes('foregroundDeletion') ?? false;
  if (isEmptied || job !== undefined) return wait(problem ?? 'waits until what it owns is gone');
  // Noted before the Job is made: whatever keeps it from being made, the reason and the budget stand.
  if (request.status?.failure === undefined) {
    return { ...wait('a Job is made that clears up'), wakeAt: nowMs + 1000 };
  }
  let create: CreateAction;
  try {
    create = createCleanupJob(request, mode);
  } catch (error) {
    return giveUp(seen, request, failure, describeFailure(error).message);
  }
  if (problem !== undefined) {
    const waiting = wait(`the Job of the cleanup is refused: ${problem}`);
    return { ...waiting, actions: [...waiting.actions, create] };
  }
  const jobName = cleanupJobName(request.metadata.name);
  const message = `the Job ${jobName} clears up`;
  const status = { ...settlingStatus(seen, request, failure, message), cleanupJob: jobName };
  return {
    actions: [
      create,
      ...setStatus(request, status),
      { type: 'tell', about: request, level: 'Warning', reason: 'CleaningUp', message },
    ],
    wakeAt: nowMs + lookEveryMs,
  };
}

function planCleaning(
  seen: RestoreSeen,
  request: RestoreRequest,
  failure: RememberedFailure,
  job: JobSeen,
  giveUpAt: number,
): Plan {
  const { nowMs, cleanup, mode } = seen;
  const { pods, progress, trouble } = cleanup;
  const { startBudgetMs } = mode;
  const state = judgeRun({ nowMs, kind: 'cleanup', job, pods, progress, trouble, startBudgetMs });
  if (state.phase === 'ended' && state.verdict.kind === 'cleanup') {
    const { verdict } = state;
    const { source, completedAt, target, refused } = verdict;
    if (verdict.verdict === 'Succeeded' && (target === 'Restored' || target === 'Changed')) {
      const { results } = cleanup;
      if (mayComeYet(state.pod, verdict, results, nowMs)) return { actions: [], wakeAt: nowMs + 5000 };
      if (target === 'Changed') return endRequest(seen, request, finishChanged(request, failure, results, nowMs));
      const found = { message: tellFailure(failure), source, completedAt, refused, results };
      return endRequest(seen, request, finishRecovered(request, found, nowMs));
    }
    if (verdict.verdict === 'Succeeded' && target === 'Untouched') {
      // Who ends with 0 has restored. That nothing tells of it any more is no proof that nothing was done.
      const state = endedWell(seen) ? undefined : ('Untouched' as const);
      return endRequest(seen, request, finishSilently(request, failure, state, nowMs));
    }
    return giveUp(seen, request, failure, `${verdict.reason ?? ''}: ${verdict.message ?? 'the cleanup failed'}`);
  }
  if (state.phase === 'failed' || nowMs >= giveUpAt) {
    const why = state.phase === 'failed' ? `${state.reason}: ${state.message}` : 'it took too long';
    const stop = isFinished(job) ? [] : [deleteJob(job, 'Background')];
    const given = giveUp(seen, request, failure, why);
    return { ...given, actions: [...given.actions, ...stop] };
  }
  const message = state.phase === 'going' ? state.message : 'its answer is read';
  const recheckAt = state.phase === 'going' ? state.recheckAt : undefined;
  const status = settlingStatus(seen, request, failure, `cleanup: ${message}`);
  return {
    actions: setStatus(request, { ...status, cleanupJob: job.metadata.name }),
    wakeAt: earliest(recheckAt, nowMs + lookEveryMs, giveUpAt),
  };
}

/** Ends without knowing: the original failure stands, and what may be left is named. */
function giveUp(seen: RestoreSeen, request: RestoreRequest, failure: RememberedFailure, why: string): Plan {
  const left = `what the runner left on the server could not be cleared up (${why}): databases named pgbackup_restore_… or pgbackup_replaced_… may be there`;
  const message = `${failure.message}; ${left}`;
  const finished = finishSilently(request, { reason: failure.reason, message }, undefined, seen.nowMs);
  const ended = endRequest(seen, request, finished);
  const tell: Action = { type: 'tell', about: request, level: 'Warning', reason: 'CleanupFailed', message: left };
  return { ...ended, actions: [...ended.actions, tell] };
}

const tellFailure = ({ reason, message }: RememberedFailure): string => `${reason}: ${message}`;

function settlingStatus(
  seen: RestoreSeen,
  request: RestoreRequest,
  failure: RememberedFailure,
  what: string,
): RestoreRequestStatus {
  const { progress: _, ...status } = waitingStatus(
    seen,
    request,
    'CleaningUp',
    `${tellFailure(failure)}; ${what}`,
    'CleaningUp',
  );
  const startedAt = status.startedAt ?? (hasRun(seen) ? stamp(seen.nowMs) : undefined);
  return { ...status, failure, startedAt };
}
