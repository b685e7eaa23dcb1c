import type { FailureReason, StateReason } from '../../api/reasons.ts';
import { parseVerdict, type ProgressLine, type Verdict } from '../../domain/report.ts';
import { readStamp } from '../../domain/stamp.ts';
import { explainRefused } from './explain-refused.ts';
import { judgePending } from './pending-pod.ts';
import { findTrue, hasEnded, isFinished, newestFirst, runnerState, type JobSeen, type PodSeen } from './pods.ts';

/** All that is known of a Job of ours and its pods. */
export interface RunSeen {
  readonly nowMs: number;
  /** Of which kind its verdict must be. */
  readonly kind: Verdict['kind'];
  readonly job: JobSeen;
  /** All pods of the Job. */
  readonly pods: readonly PodSeen[];
  /** The last progress line of the newest pod. */
  readonly progress?: ProgressLine | undefined;
  /** What events say: that a pod could not be created, or what keeps one from starting. */
  readonly trouble?: { readonly creating?: string | undefined; readonly starting?: string | undefined } | undefined;
  /** How long a pod may take to start. */
  readonly startBudgetMs: number;
}

export type WaitingReason =
  | FailureReason
  | Extract<StateReason, 'Starting' | 'WaitingForSecret' | 'WaitingForServer' | 'WaitingForStorage' | 'Running'>;

export type RunState =
  /** The runner has spoken, and nothing will be tried any more. */
  | { readonly phase: 'ended'; readonly verdict: Verdict; readonly pod: PodSeen }
  /** No verdict, and none will come. `stop`: the Job still goes on and must be deleted. */
  | { readonly phase: 'failed'; readonly reason: FailureReason; readonly message: string; readonly stop: boolean }
  | {
      readonly phase: 'going';
      readonly reason: WaitingReason;
      readonly message: string;
      readonly progress?: ProgressLine | undefined;
      /** When the judgement may change by time alone. */
      readonly recheckAt?: number | undefined;
    };

/** How long after the Job's own deadline the Job controller and the node may take to end it. */
const graceMs = 5 * 60_000;
/** How long pods may take to end once the Job is failing: their grace period (60 s) and the kubelet's report. */
const endingMs = 90_000;

/**
 * Judges a run by verdict, else by exit code and the states of Job and pod. A success needs a verdict: a Job that is Complete
 * without one is a failure.
 */
export function judgeRun(seen: RunSeen): RunState {
  const pods = newestFirst(seen.pods);
  const [latest] = pods;
  const heard = pods.flatMap((pod) => {
    const verdict = parseVerdict(runnerState(pod)?.terminated?.message);
    return verdict?.kind !== seen.kind ? [] : [{ phase: 'ended', verdict, pod } as const];
  });
  // Committed is committed, whatever became of the pod or of a later one. Failed is final only when the Job tries no more.
  const committed = heard.find(({ verdict }) => verdict.verdict !== 'Failed');
  if (committed !== undefined) return committed;

  const failing = findTrue(seen.job.status?.conditions, 'FailureTarget');
  const last = heard[0] && nameDeadline(heard[0], seen.job);
  const lastSpoke = last !== undefined && last.pod === latest;
  if (isFinished(seen.job))
    return lastSpoke ? last : { phase: 'failed', stop: false, ...judgeSilent(seen.job, latest) };

  const failingSince = readStamp(failing?.lastTransitionTime);
  if (failing !== undefined) {
    if (lastSpoke) return last;
    const endsAt = (failingSince ?? seen.nowMs) + endingMs;
    if (failingSince !== undefined && seen.nowMs >= endsAt) {
      return { phase: 'failed', stop: false, ...judgeSilent(seen.job, latest) };
    }
    return { phase: 'going', reason: 'Running', message: 'the Job is being ended', recheckAt: endsAt };
  }

  const deadlineAt = ownDeadline(seen.job);
  if (deadlineAt !== undefined && seen.nowMs >= deadlineAt) {
    if (lastSpoke) return last;
    return { phase: 'failed', stop: true, ...judgeSilent(seen.job, latest, 'DeadlineExceeded') };
  }
  const going = judgeGoing(seen, latest, last?.verdict);
  if (going.phase !== 'going') return going;
  return { ...going, recheckAt: Math.min(going.recheckAt ?? Infinity, deadlineAt ?? Infinity) };
}

/** A runner that the Job ends for its deadline hears only that it should stop; the Job knows why. */
function nameDeadline<T extends { readonly verdict: Verdict }>(heard: T, job: JobSeen): T {
  const { verdict } = heard;
  if (verdict.reason !== 'Aborted' || !isPastDeadline(job)) return heard;
  return { ...heard, verdict: { ...verdict, reason: 'DeadlineExceeded', message: describeDeadline(job) } };
}

const isPastDeadline = (job: JobSeen): boolean =>
  (findTrue(job.status?.conditions, 'Failed') ?? findTrue(job.status?.conditions, 'FailureTarget'))?.reason ===
  'DeadlineExceeded';

const describeDeadline = (job: JobSeen): string =>
  `the run did not end within ${job.spec?.activeDeadlineSeconds ?? 0} s`;

/** The controller's own deadline, for Jobs that nobody ends (node lost, Job controller gone). */
function ownDeadline(job: JobSeen): number | undefined {
  const startedAt = readStamp(job.status?.startTime) ?? readStamp(job.metadata.creationTimestamp);
  const seconds = job.spec?.activeDeadlineSeconds;
  return startedAt === undefined || seconds === undefined ? undefined : startedAt + seconds * 1000 + graceMs;
}

function judgeGoing(seen: RunSeen, pod: PodSeen | undefined, earlier: Verdict | undefined): RunState {
  const { nowMs, job, trouble, startBudgetMs } = seen;
  const tried = earlier === undefined ? '' : `; the try before it failed: ${earlier.message ?? earlier.reason ?? ''}`;
  const terminated = pod === undefined ? undefined : runnerState(pod)?.terminated;
  if (pod === undefined || hasEnded(pod)) {
    // No pod at all, or the next try's is not made yet.
    const since = readStamp(terminated?.finishedAt) ?? readStamp(job.metadata.creationTimestamp) ?? nowMs;
    if (trouble?.creating === undefined) {
      return {
        phase: 'going',
        reason: 'Starting',
        message: `the Job has no pod yet${tried}`,
        recheckAt: nextLook(nowMs),
      };
    }
    const refused = explainRefused(trouble.creating);
    const budgetAt = since + startBudgetMs;
    if (nowMs >= budgetAt) return { phase: 'failed', reason: 'PodRefused', message: refused, stop: true };
    return { phase: 'going', reason: 'PodRefused', message: refused, recheckAt: Math.min(budgetAt, nextLook(nowMs)) };
  }
  if (pod.metadata.deletionTimestamp !== undefined) {
    const message = `pod ${pod.metadata.name} is being ended${pod.status?.reason === undefined ? '' : ` (${pod.status.reason})`}`;
    return { phase: 'going', reason: 'PodEvicted', message };
  }
  if (runnerState(pod)?.running === undefined) {
    const pending = judgePending(pod, trouble?.starting);
    const budgetAt = (readStamp(pod.metadata.creationTimestamp) ?? nowMs) + startBudgetMs;
    if (nowMs >= budgetAt) {
      const reason = pending.reason === 'Starting' ? 'PodNotStarting' : pending.reason;
      return { phase: 'failed', reason, message: pending.message, stop: true };
    }
    return { phase: 'going', ...pending, recheckAt: Math.min(budgetAt, nextLook(nowMs)) };
  }
  const { progress } = seen;
  if (progress === undefined) {
    return { phase: 'going', reason: 'Starting', message: `pod ${pod.metadata.name} has started${tried}` };
  }
  const message = progress.waiting === undefined ? `pod ${pod.metadata.name} works${tried}` : (progress.detail ?? '');
  return { phase: 'going', reason: progress.waiting ?? 'Running', message, progress };
}

/** Something that stands in the API is looked for again within a minute. */
const nextLook = (nowMs: number): number => nowMs + 30_000;

/** Why a run ended that said nothing. */
function judgeSilent(
  job: JobSeen,
  pod: PodSeen | undefined,
  otherwise?: FailureReason,
): { readonly reason: FailureReason; readonly message: string } {
  const ended = findTrue(job.status?.conditions, 'Failed') ?? findTrue(job.status?.conditions, 'FailureTarget');
  const name = pod?.metadata.name ?? '';
  const terminated = pod === undefined ? undefined : runnerState(pod)?.terminated;
  if (pod !== undefined && terminated?.reason === 'OOMKilled') {
    return { reason: 'OutOfMemory', message: `the runner of pod ${name} was killed: out of memory` };
  }
  const disrupted = pod && findTrue(pod.status?.conditions, 'DisruptionTarget');
  if (pod !== undefined && (disrupted !== undefined || pod.status?.reason === 'Evicted' || isLost(pod))) {
    const why = disrupted?.message ?? pod.status?.message ?? 'its node does not answer';
    return { reason: 'PodEvicted', message: `pod ${name} was ended: ${why}` };
  }
  if (ended?.reason === 'DeadlineExceeded' || otherwise === 'DeadlineExceeded') {
    return {
      reason: 'DeadlineExceeded',
      message: describeDeadline(job),
    };
  }
  if (terminated !== undefined) {
    const how = terminated.signal === undefined ? `exit code ${terminated.exitCode}` : `signal ${terminated.signal}`;
    return { reason: 'RunnerKilled', message: `the runner of pod ${name} ended with ${how} and left no verdict` };
  }
  if (pod === undefined && ended !== undefined) {
    return {
      reason: 'RunnerKilled',
      message: `the Job failed (${ended.reason ?? 'no reason given'}) and has no pod any more`,
    };
  }
  return { reason: 'RunnerKilled', message: 'the Job ended, and no verdict can be read' };
}

/** A pod that was to go and did not: nobody on its node answers. */
function isLost(pod: PodSeen): boolean {
  return (
    pod.status?.reason === 'NodeLost' ||
    (pod.metadata.deletionTimestamp !== undefined && runnerState(pod)?.terminated === undefined)
  );
}
