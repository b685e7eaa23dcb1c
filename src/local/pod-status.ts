import { isKubeError, type KubeClient } from '../kube/client.ts';
import type { Clock } from '../support/clock.ts';
import {
  kubeTime,
  podType,
  type Container,
  type ContainerState,
  type ContainerTerminated,
  type Pod,
  type PodStatus,
  type WorkloadCondition,
} from './workload-types.ts';

const retryMs = 1_000;

/** Shows a pod whose container waits. */
export function waitingStatus(pod: Pod, container: Container, message: string, nowMs: number): PodStatus {
  const state = { waiting: { reason: 'CreateContainerConfigError', message } };
  return { ...pod.status, phase: 'Pending', ...describe(pod, container, state, nowMs) };
}

export function runningStatus(pod: Pod, container: Container, nowMs: number): PodStatus {
  const state = { running: { startedAt: kubeTime(nowMs) } };
  return { ...pod.status, phase: 'Running', startTime: kubeTime(nowMs), ...describe(pod, container, state, nowMs) };
}

export function endedStatus(pod: Pod, container: Container, terminated: ContainerTerminated, nowMs: number): PodStatus {
  const phase = terminated.exitCode === 0 ? 'Succeeded' : 'Failed';
  return { ...pod.status, phase, ...describe(pod, container, { terminated }, nowMs) };
}

function describe(
  pod: Pod,
  { name, image = '' }: Container,
  state: ContainerState,
  nowMs: number,
): Pick<PodStatus, 'conditions' | 'containerStatuses'> {
  const ready = state.running !== undefined;
  const others = (pod.status?.conditions ?? []).filter(({ type }) => !ownConditions.has(type));
  const now = kubeTime(nowMs);
  const condition = (type: string, holds: boolean): WorkloadCondition => ({
    type,
    status: holds ? 'True' : 'False',
    lastTransitionTime: now,
    ...(holds || state.terminated === undefined ? {} : { reason: 'PodCompleted' }),
  });
  return {
    conditions: [
      ...others,
      condition('Initialized', true),
      condition('Ready', ready),
      condition('ContainersReady', ready),
      condition('PodScheduled', true),
    ],
    containerStatuses: [{ name, image, imageID: '', state, ready, restartCount: 0 }],
  };
}

const ownConditions = new Set(['Initialized', 'Ready', 'ContainersReady', 'PodScheduled']);

/** Writes what `make` says of the pod as it is now, until it stands; gives up when this incarnation is gone or on abort. */
export async function writePodStatus(
  options: { readonly client: KubeClient; readonly clock: Clock },
  pod: Pod,
  make: (now: Pod) => PodStatus,
  signal: AbortSignal,
): Promise<void> {
  const { namespace, name = '', uid } = pod.metadata;
  while (!signal.aborted) {
    try {
      const now = (await options.client.get(podType, namespace, name, signal)) as Pod | undefined;
      if (now === undefined || now.metadata.uid !== uid) return;
      await options.client.putStatus(podType, { ...now, status: make(now) }, signal);
      return;
    } catch (error) {
      if (signal.aborted) return;
      if (!isKubeError(error)) throw error;
      if (error.code === 'NotFound') return;
      if (error.code !== 'Conflict') await options.clock.sleep(retryMs, signal).catch(() => undefined);
    }
  }
}
