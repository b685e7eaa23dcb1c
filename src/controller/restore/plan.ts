import type { RestoreRequest } from '../../api/kinds.ts';
import type { FailureReason, Reason } from '../../api/reasons.ts';
import type { RestoreRequestStatus } from '../../api/restore-request.ts';
import { pastOnly } from '../../domain/clocks.ts';
import { restoreJobName } from '../../domain/names.ts';
import { readStamp, stamp } from '../../domain/stamp.ts';
import { earliest, type Action, type CreateAction, type Plan } from '../action.ts';
import { mayComeYet } from '../run/await-results.ts';
import { cutText, findCondition } from '../conditions.ts';
import { deleteJob } from '../run/delete-job.ts';
import { isControlledBy, isFinished, runnerState, type JobSeen } from '../run/pods.ts';
import { tellProgress } from '../run/progress.ts';
import { resources } from '../resources.ts';
import { judgeRun, type RunState } from '../run/run-state.ts';
import { describeFailure } from '../describe-failure.ts';
import { awaitGone, giveUpJob, isReplaced, noteRebuild, shouldRebuild, tellStays } from '../run/rebuild.ts';
import { countTries, tellRun } from '../run/tell-run.ts';
import { endRequest, setStatus, waitingStatus } from './conclude.ts';
import { finishSilently, finishWithVerdict, targetNames } from './finish.ts';
import { createRestoreJob, originOfRestore } from './job.ts';
import type { RestoreSeen } from './observe.ts';
import { restoreEndOf, restoreResultOf } from './outcome.ts';
import { resolveSource, type ResolvedSource } from './resolve-source.ts';
import { endedWell, hasBegun, hasRun, isHeld, isHollow, planSettling } from './settle.ts';
import { manifestUidOf } from './task.ts';
import { findGitTool } from './find-git-tool.ts';

/** How long a Job may take to be marked as finished after its runner has spoken. */
const settleMs = 2 * 60_000;
const progressEveryMs = 10_000;

/** Runs a RestoreRequest once, and never again after Succeeded is True or False. */
export function planRestore(seen: RestoreSeen): Plan {
  const { nowMs } = seen;
  const { object: request, fault } = seen.request;
  const isDeleted = request.metadata.deletionTimestamp !== undefined;
  if (isDeleted && !isHeld(request)) return { actions: [] };
  if (restoreResultOf(request) !== undefined) return planEnded(seen, request);

  const { job } = seen.run;
  const isForeign = job !== undefined && !isControlledBy(job, request.metadata.uid);
  const wasMade = request.status?.job !== undefined || (job !== undefined && !isForeign);
  if (isDeleted && !wasMade) return { actions: [release(request)] };
  if (fault !== undefined && wasMade) {
    if (job !== undefined && !isDeleted) {
      return wait(seen, request, 'SpecInvalid', `${fault}; its Job is judged by a version that can read this`);
    }
    // What it meant can no longer be read, so nothing can be judged by it or cleared up.
    return endRequest(
      seen,
      request,
      finishSilently(request, { reason: 'SpecInvalid', message: fault }, undefined, nowMs),
    );
  }
  const { failure } = request.status ?? {};
  if (failure !== undefined) {
    // A budget that begins in the future would not end.
    const isReadable = pastOnly(readStamp(failure.at), nowMs) !== undefined;
    return planSettling(seen, request, isReadable ? failure : { ...failure, at: stamp(nowMs) });
  }
  if (isDeleted) return die(seen, request, 'Aborted', 'the request was deleted');
  if (fault !== undefined) return waitForReference(seen, request, 'SpecInvalid', fault);

  if (isForeign) {
    return waitForReference(seen, request, 'NameTaken', `the Job ${job.metadata.name} belongs to something else`);
  }
  if (job !== undefined && isReplaced(request.status?.rebuilt, job)) return planReplacing(seen, request, job);
  if (job !== undefined) return planRunning(seen, request, job);
  if (request.status?.job !== undefined) {
    const message = `the Job ${request.status.job} was deleted before its answer was taken`;
    return die(seen, request, 'JobDeleted', message);
  }
  return planStart(seen, request, nowMs);
}

/** Lets go of what it held, then Jobs and the request itself go when their time has come. */
function planEnded({ nowMs, run, cleanup, mode }: RestoreSeen, request: RestoreRequest): Plan {
  const { uid, name, namespace, deletionTimestamp } = request.metadata;
  if (isHeld(request)) return { actions: [release(request)], wakeAt: nowMs + 1000 };
  if (deletionTimestamp !== undefined) return { actions: [] };
  // Made again by whoever applied it, it would restore again, over what has been written since.
  const ttlSecondsAfterFinished =
    findGitTool(request.metadata) === undefined ? request.spec.ttlSecondsAfterFinished : undefined;
  const endedAt = restoreEndOf(request) ?? nowMs;
  const judgedAt = readStamp(findCondition(request.status?.conditions, 'Succeeded')?.lastTransitionTime) ?? nowMs;
  const goesAt = ttlSecondsAfterFinished === undefined ? undefined : endedAt + ttlSecondsAfterFinished * 1000;
  if (goesAt !== undefined && nowMs >= goesAt) {
    const resource = resources.restoreRequest;
    return { actions: [{ type: 'delete', resource, namespace, name, uid, propagation: 'Background' }] };
  }
  const actions: Action[] = [];
  const wakes: number[] = [];
  for (const job of [run.job, cleanup.job]) {
    if (job === undefined || !isControlledBy(job, uid) || job.metadata.deletionTimestamp !== undefined) continue;
    const deleteAt = judgedAt + (isFinished(job) ? mode.jobTtlMs : settleMs);
    if (nowMs >= deleteAt) actions.push(deleteJob(job, 'Background'));
    else wakes.push(deleteAt);
  }
  return { actions, wakeAt: earliest(goesAt, ...wakes) };
}

function planRunning(seen: RestoreSeen, request: RestoreRequest, job: JobSeen): Plan {
  const { nowMs, mode } = seen;
  const { pods, progress, trouble, results } = seen.run;
  const { startBudgetMs } = mode;
  const state = judgeRun({ nowMs, kind: 'restore', job, pods, progress, trouble, startBudgetMs });
  if (state.phase === 'ended' && state.verdict.kind === 'restore') {
    const { verdict } = state;
    if (mayComeYet(state.pod, verdict, results, nowMs)) return { actions: [], wakeAt: nowMs + 5000 };
    // A pod that is gone may have been the last one, and have done more than this one knows.
    const isUnsure = verdict.unsettled === true || (job.status?.failed ?? 0) > pods.length;
    if (isHollow(verdict) && endedWell(seen)) {
      const said = `the runner ended as if it had succeeded, but says not that it restored ${targetNames(request).join(', ')}`;
      return endRequest(
        seen,
        request,
        finishSilently(request, { reason: 'Internal', message: said }, undefined, nowMs),
      );
    }
    if (verdict.verdict === 'Failed' && isUnsure) {
      return die(seen, request, verdict.reason ?? 'Internal', verdict.message ?? 'the restore failed');
    }
    const { status, ending } = finishWithVerdict(request, verdict, results, nowMs);
    return endRequest(seen, request, { status: { ...status, job: job.metadata.name }, ending });
  }
  if (state.phase === 'failed') return die(seen, request, state.reason, state.message);
  if (state.phase !== 'going') return { actions: [], wakeAt: nowMs + progressEveryMs };
  return planGoing(seen, request, job, state);
}

function planGoing(
  seen: RestoreSeen,
  request: RestoreRequest,
  job: JobSeen,
  state: Extract<RunState, { readonly phase: 'going' }>,
): Plan {
  const { nowMs, mode } = seen;
  const source = resolveSource(seen.source);
  const origin = source.state === 'found' ? originOfRestore(request, source, mode) : undefined;
  // Once a runner was there, only the Job itself tries again: by then there may be something to clear up.
  if (!hasRun(seen) && shouldRebuild(state.reason, job, origin, request.status?.rebuilt)) {
    return planRebuild(seen, request, job);
  }
  const { step } = state.progress ?? {};
  const reason = state.reason === 'Running' && step === 'Fetching' ? step : state.reason;
  const isRunning = state.reason === 'Running' || state.reason.startsWith('WaitingFor');
  const before = request.status;
  const status: RestoreRequestStatus = {
    ...waitingStatus(seen, request, reason, state.message, isRunning ? 'Running' : 'Pending'),
    job: job.metadata.name,
    startedAt: before?.startedAt ?? (hasRun(seen) ? stamp(nowMs) : undefined),
    failedTries: countTries(before, seen.run.pods),
    progress:
      state.progress === undefined ? before?.progress : { step: state.progress.step, ...tellProgress(state.progress) },
  };
  const podRuns = seen.run.pods.some((pod) => runnerState(pod)?.running !== undefined);
  const wakeAt = earliest(state.recheckAt, podRuns ? nowMs + progressEveryMs : undefined);
  return { actions: [...setStatus(request, status), ...tellRun(request, before, status, state.message)], wakeAt };
}

function planRebuild(seen: RestoreSeen, request: RestoreRequest, job: JobSeen): Plan {
  const { nowMs } = seen;
  const note = (message: string): readonly Action[] =>
    setStatus(request, {
      ...waitingStatus(seen, request, 'Starting', message, 'Pending'),
      job: undefined,
      rebuilt: noteRebuild(request.status?.rebuilt, job, nowMs),
    });
  return { actions: giveUpJob(request, job, note), wakeAt: nowMs + progressEveryMs };
}

function planReplacing(seen: RestoreSeen, request: RestoreRequest, job: JobSeen): Plan {
  if (hasBegun(seen)) return die(seen, request, 'Aborted', 'its runner began while its Job was to be built again');
  const waiting = awaitGone(request.status?.rebuilt, job, seen.nowMs);
  return waiting ?? die(seen, request, 'PodNotStarting', tellStays(job));
}

function planStart(seen: RestoreSeen, request: RestoreRequest, nowMs: number): Plan {
  const { mode, turn } = seen;
  const source = resolveSource(seen.source);
  if (source.state === 'failed') return fail(seen, request, source.reason, source.message);
  if (source.state === 'waits') {
    if (!source.patient) return waitForReference(seen, request, source.reason, source.message);
    const { reason, message, wakeAt } = source;
    const actions = setStatus(request, waitingStatus(seen, request, reason, message, 'Pending'));
    return { actions, wakeAt: earliest(wakeAt, nowMs + 60_000) };
  }
  if (turn?.admitted !== true) return wait(seen, request, 'Queued', turn?.waitsFor ?? '', nowMs + 60_000);

  let create: CreateAction;
  try {
    create = createRestoreJob(request, source, mode);
  } catch (error) {
    const { reason, message } = describeFailure(error);
    return fail(seen, request, reason, message);
  }
  // Held before there is anything that could be left behind.
  if (!isHeld(request)) {
    const hold: Action = { type: 'hold', resource: resources.restoreRequest, object: request };
    return { actions: [hold], wakeAt: nowMs + 1000 };
  }
  // What was refused is asked for again, after its reason stands in the status.
  const { refused } = seen.run;
  if (refused !== undefined) {
    const waiting = waitForReference(seen, request, 'PodRefused', `the Job is refused: ${refused}`);
    return isOverdue(seen, request) ? waiting : { ...waiting, actions: [...waiting.actions, create] };
  }
  const jobName = restoreJobName(request.metadata.name);
  const status: RestoreRequestStatus = {
    ...waitingStatus(seen, request, 'Starting', `the Job ${jobName} is made`, 'Pending'),
    job: jobName,
    ...describeChosen(source),
  };
  return {
    actions: [
      create,
      ...setStatus(request, status),
      { type: 'tell', about: request, level: 'Normal', reason: 'JobCreated', message: `created the Job ${jobName}` },
      ...warnOfGit(request),
    ],
    wakeAt: nowMs + progressEveryMs,
  };
}

function warnOfGit(request: RestoreRequest): readonly Action[] {
  const tool = findGitTool(request.metadata);
  if (tool === undefined || request.spec.ttlSecondsAfterFinished === undefined) return [];
  const message = `${tool} keeps this request and would make it again, and so restore again: it stays after its end, whatever ttlSecondsAfterFinished says`;
  return [{ type: 'tell', about: request, level: 'Warning', reason: 'KeptForGit', message }];
}

/** Of a backup it is known at once which it is; which copy of it is read, and which file, the runner finds out. */
function describeChosen(
  source: Extract<ResolvedSource, { readonly state: 'found' }>,
): Pick<RestoreRequestStatus, 'source'> {
  if ('file' in source) return {};
  return { source: { backup: source.backup.metadata.name, backupUid: manifestUidOf(source.backup) } };
}

/** Nothing is heard any more: what ended it is noted first, because what follows takes several looks. */
function die(seen: RestoreSeen, request: RestoreRequest, reason: FailureReason, message: string): Plan {
  const failure = { reason, message: cutText(message, 1024), at: stamp(seen.nowMs) };
  return planSettling(seen, request, failure);
}

/** Waits for something that somebody else must bring in order, and fails when its budget ends. */
function waitForReference(seen: RestoreSeen, request: RestoreRequest, reason: FailureReason, message: string): Plan {
  if (isOverdue(seen, request)) return fail(seen, request, reason, message);
  return wait(seen, request, reason, message, seen.nowMs + 60_000);
}

function isOverdue({ nowMs, mode }: RestoreSeen, request: RestoreRequest): boolean {
  return nowMs >= (readStamp(request.metadata.creationTimestamp) ?? nowMs) + mode.referenceBudgetMs;
}

function wait(seen: RestoreSeen, request: RestoreRequest, reason: Reason, message: string, wakeAt?: number): Plan {
  const phase = reason === 'Queued' ? 'Queued' : 'Pending';
  const actions = setStatus(request, waitingStatus(seen, request, reason, message, phase));
  const before = findCondition(request.status?.conditions, 'Succeeded');
  const isNews = reason !== 'Queued' && before?.reason !== reason;
  const tell: readonly Action[] = isNews ? [{ type: 'tell', about: request, level: 'Warning', reason, message }] : [];
  return { actions: [...actions, ...tell], wakeAt };
}

/** Fails before there was a Job: nothing can have been touched. */
function fail(seen: RestoreSeen, request: RestoreRequest, reason: FailureReason, message: string): Plan {
  return endRequest(seen, request, finishSilently(request, { reason, message }, 'Untouched', seen.nowMs));
}

function release(request: RestoreRequest): Action {
  return { type: 'release', resource: resources.restoreRequest, object: request };
}
