import {
  isTerminalPod,
  kubeTime,
  trackingFinalizer,
  type Job,
  type JobStatus,
  type Pod,
  type PodFailureRule,
  type WorkloadCondition,
} from './workload-types.ts';

export interface JobPlan {
  readonly status: JobStatus;
  readonly createPod: boolean;
  readonly deletePods: readonly Pod[];
  /** Their end stands in `status` now: once that is written, their finalizer may go. */
  readonly counted: readonly Pod[];
  readonly wakeAtMs: number | undefined;
}

const maxBackoffMs = 600_000;

/**
 * What Kubernetes' Job controller would do next with a Job of one pod at a time (parallelism and completions 1, restartPolicy Never):
 * count, judge by podFailurePolicy, retry after 10 s, 20 s, 40 s … up to 10 minutes, end by deadline or limit. A failing Job gets
 * FailureTarget at once, and Failed when its pods have ended. Pure.
 */
export function planJob(seen: {
  readonly job: Job;
  readonly pods: readonly Pod[];
  readonly nowMs: number;
  readonly backoffBaseMs: number;
}): JobPlan {
  const { job, pods, nowMs } = seen;
  const before = job.status ?? {};
  const active = pods.filter((pod) => !isTerminalPod(pod));
  const fresh = pods.filter((pod) => isTerminalPod(pod) && pod.metadata.finalizers?.includes(trackingFinalizer));
  const judged = fresh.map((pod) => ({ pod, judgement: judgePod(job, pod) }));

  const counts = {
    succeeded: (before.succeeded ?? 0) + judged.filter(({ pod }) => pod.status?.phase === 'Succeeded').length,
    failed:
      (before.failed ?? 0) +
      judged.filter(({ pod, judgement }) => pod.status?.phase === 'Failed' && judgement.action !== 'Ignore').length,
    active: active.length,
    ready: active.filter((pod) => pod.status?.phase === 'Running').length,
  };
  const startTime = before.startTime ?? kubeTime(nowMs);
  const conditions = before.conditions ?? [];
  const status: JobStatus = { ...before, startTime, conditions, ...counts };
  const idle = { status, createPod: false, deletePods: [], counted: fresh, wakeAtMs: undefined };
  if (isFinished(job)) return idle;

  if (counts.succeeded > 0) {
    const complete = condition('Complete', 'CompletionsReached', 'Reached expected number of succeeded pods', nowMs);
    return { ...idle, status: { ...status, completionTime: kubeTime(nowMs), conditions: [...conditions, complete] } };
  }

  const deadlineMs =
    job.spec.activeDeadlineSeconds === undefined
      ? Number.POSITIVE_INFINITY
      : Date.parse(startTime) + job.spec.activeDeadlineSeconds * 1000;
  const target = conditions.find((one) => one.type === 'FailureTarget' && one.status === 'True');
  const failure = target ?? findFailure(job, judged, counts.failed, nowMs >= deadlineMs, nowMs);
  if (failure !== undefined) {
    const marked = target === undefined ? [...conditions, failure] : conditions;
    const failed = { ...failure, type: 'Failed', lastProbeTime: kubeTime(nowMs), lastTransitionTime: kubeTime(nowMs) };
    return {
      ...idle,
      status: { ...status, conditions: active.length === 0 ? [...marked, failed] : marked },
      deletePods: active.filter((pod) => pod.metadata.deletionTimestamp === undefined),
    };
  }

  const wakeAtMs = Number.isFinite(deadlineMs) ? deadlineMs : undefined;
  if (active.length > 0 || job.spec.suspend === true) return { ...idle, wakeAtMs };
  const nextMs = retryAtMs(pods, counts.failed, seen.backoffBaseMs);
  if (nextMs <= nowMs) return { ...idle, status: { ...status, active: 1 }, createPod: true, wakeAtMs };
  return { ...idle, wakeAtMs: Math.min(nextMs, deadlineMs) };
}

export function isFinished(job: Job): boolean {
  return (job.status?.conditions ?? []).some(
    ({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True',
  );
}

interface Judgement {
  readonly action: PodFailureRule['action'];
  /** Of a FailJob. */
  readonly message?: string;
}

/** The first rule of podFailurePolicy that matches; without one a failure counts. */
function judgePod(job: Job, pod: Pod): Judgement {
  if (pod.status?.phase !== 'Failed') return { action: 'Count' };
  const name = `${pod.metadata.namespace}/${pod.metadata.name}`;
  for (const [index, rule] of (job.spec.podFailurePolicy?.rules ?? []).entries()) {
    const codes = rule.onExitCodes;
    const ended = (pod.status.containerStatuses ?? []).find((status) => {
      const exitCode = status.state.terminated?.exitCode;
      if (codes === undefined || exitCode === undefined || exitCode === 0) return false;
      if (codes.containerName && codes.containerName !== status.name) return false;
      return codes.values.includes(exitCode) === (codes.operator === 'In');
    });
    if (ended !== undefined) {
      const how = `Container ${ended.name} for pod ${name} failed with exit code ${ended.state.terminated?.exitCode}`;
      return { action: rule.action, message: `${how} matching ${rule.action} rule at index ${index}` };
    }
    const met = rule.onPodConditions?.find(({ type, status = 'True' }) =>
      pod.status?.conditions?.some((one) => one.type === type && one.status === status),
    );
    if (met !== undefined) {
      const how = `Pod ${name} has condition ${met.type}`;
      return { action: rule.action, message: `${how} matching ${rule.action} rule at index ${index}` };
    }
  }
  return { action: 'Count' };
}

function findFailure(
  job: Job,
  judged: readonly { readonly judgement: Judgement }[],
  failed: number,
  tooLong: boolean,
  nowMs: number,
): WorkloadCondition | undefined {
  const fatal = judged.find(({ judgement }) => judgement.action === 'FailJob');
  if (fatal !== undefined) {
    return condition('FailureTarget', 'PodFailurePolicy', fatal.judgement.message ?? 'a rule fails the Job', nowMs);
  }
  if (failed > (job.spec.backoffLimit ?? 6)) {
    return condition('FailureTarget', 'BackoffLimitExceeded', 'Job has reached the specified backoff limit', nowMs);
  }
  if (!tooLong) return undefined;
  return condition('FailureTarget', 'DeadlineExceeded', 'Job was active longer than specified deadline', nowMs);
}

/** When the next pod may start: at once the first, then later and later after the last end. */
function retryAtMs(pods: readonly Pod[], failed: number, baseMs: number): number {
  const ends = pods
    .filter((pod) => pod.status?.phase === 'Failed')
    .map((pod) => Date.parse(pod.status?.containerStatuses?.[0]?.state.terminated?.finishedAt ?? ''))
    .filter((ms) => !Number.isNaN(ms));
  // Ignored failures do not count towards the limit, but must not spin either.
  const failures = Math.max(failed, ends.length);
  if (failures === 0 || ends.length === 0) return 0;
  return Math.max(...ends) + Math.min(baseMs * 2 ** (failures - 1), maxBackoffMs);
}

function condition(type: string, reason: string, message: string, nowMs: number): WorkloadCondition {
  const now = kubeTime(nowMs);
  return { type, status: 'True', reason, message, lastProbeTime: now, lastTransitionTime: now };
}
