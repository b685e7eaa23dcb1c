import { isKubeError, type KubeClient } from '../kube/client.ts';
import { createInformer } from '../kube/informer.ts';
import { createQueue } from '../kube/queue.ts';
import type { Clock, Random } from '../support/clock.ts';
import type { Log } from '../support/log.ts';
import { makePod } from './make-pod.ts';
import { isFinished, planJob } from './plan-job.ts';
import {
  isTerminalPod,
  jobNameLabel,
  jobType,
  podType,
  trackingFinalizer,
  type Job,
  type Pod,
} from './workload-types.ts';

export interface RunJobsOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Before the first retry; doubles with each. Kubernetes: 10 s. */
  readonly backoffBaseMs: number;
}

/** Makes Pods of Jobs, as Kubernetes' Job controller does, until the signal aborts. Only for the embedded client. */
export async function runJobs(options: RunJobsOptions, signal: AbortSignal): Promise<void> {
  const { client, clock, random, log } = options;
  const onError = (error: unknown): void => {
    if (!signal.aborted) log.warn('jobs could not be read', { error: String(error) });
  };
  const queue = createQueue({
    clock,
    random,
    workers: 1,
    backOff: { firstMs: 20, longestMs: 10_000 },
    work: async (key, ending) => {
      const [namespace = '', name = ''] = key.split('/');
      const wakeAtMs = await settleJob(options, namespace, name, ending);
      if (wakeAtMs !== undefined) queue.addAfter(key, wakeAtMs - clock.nowMs());
    },
    onError: (job, error) => {
      if (signal.aborted || isKubeError(error, 'Conflict')) return;
      log.warn('job could not be settled', { job, error: String(error) });
    },
  });
  const common = { client, clock, random, onError };
  const jobs = createInformer({
    ...common,
    type: jobType,
    onChange: ({ namespace, name }) => queue.add(`${namespace}/${name}`),
  });
  const pods = createInformer({
    ...common,
    type: podType,
    onChange: ({ namespace, object, previous }) => {
      const job = (object ?? previous)?.metadata.labels?.[jobNameLabel];
      if (job !== undefined) queue.add(`${namespace}/${job}`);
    },
  });
  await Promise.all([queue.run(signal), jobs.run(signal), pods.run(signal)]);
}

/** Brings one Job a step further. Resolves with the time at which it wants to be looked at again. */
async function settleJob(
  { client, clock, backoffBaseMs }: RunJobsOptions,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<number | undefined> {
  const job = (await client.get(jobType, namespace, name, signal)) as Job | undefined;
  const labelled = await client.list(podType, { namespace, labelSelector: `${jobNameLabel}=${name}` }, signal);
  const uid = job?.metadata.uid;
  const isOurs = (pod: Pod): boolean =>
    uid !== undefined && (pod.metadata.ownerReferences ?? []).some((owner) => owner.uid === uid);
  const pods = labelled.items as readonly Pod[];
  // Pods whose Job is gone have nobody left to be counted by.
  await releasePods(
    client,
    pods.filter((pod) => !isOurs(pod) && isTerminalPod(pod)),
    signal,
  );
  if (job === undefined || job.metadata.deletionTimestamp !== undefined) {
    await releasePods(client, pods.filter(isTerminalPod), signal);
    return undefined;
  }

  const plan = planJob({ job, pods: pods.filter(isOurs), nowMs: clock.nowMs(), backoffBaseMs });
  if (plan.createPod) await client.create(podType, makePod(job), signal);
  const changed = JSON.stringify(plan.status) !== JSON.stringify(job.status ?? {});
  if (changed) await client.putStatus(jobType, { ...job, status: plan.status }, signal);
  // Between these two steps nothing is written down; were they torn apart, a pod would count twice. Here both live in one process.
  await releasePods(client, plan.counted, signal);
  for (const pod of plan.deletePods) {
    await client.delete(podType, namespace, pod.metadata.name ?? '', { uid: pod.metadata.uid ?? '' }, signal);
  }
  return isFinished(job) ? undefined : plan.wakeAtMs;
}

async function releasePods(client: KubeClient, pods: readonly Pod[], signal: AbortSignal): Promise<void> {
  for (const pod of pods) await releasePod(client, pod, signal);
}

async function releasePod(client: KubeClient, { metadata }: Pod, signal: AbortSignal): Promise<void> {
  for (;;) {
    const pod = await client.get(podType, metadata.namespace, metadata.name ?? '', signal);
    if (pod === undefined || pod.metadata.uid !== metadata.uid) return;
    if (!pod.metadata.finalizers?.includes(trackingFinalizer)) return;
    const finalizers = pod.metadata.finalizers.filter((one) => one !== trackingFinalizer);
    try {
      await client.put(podType, { ...pod, metadata: { ...pod.metadata, finalizers } }, signal);
      return;
    } catch (error) {
      if (!isKubeError(error, 'Conflict')) throw error;
    }
  }
}
