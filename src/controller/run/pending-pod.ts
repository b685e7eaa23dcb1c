import type { FailureReason } from '../../api/reasons.ts';
import { runnerState, type PodSeen } from './pods.ts';

const imageReasons = new Set([
  'ErrImagePull',
  'ImagePullBackOff',
  'InvalidImageName',
  'ErrImageNeverPull',
  'ImageInspectError',
  'RegistryUnavailable',
  'SignatureValidationFailed',
]);
/** A container that is waiting with another reason than these has a problem. */
const healthyReasons = new Set(['ContainerCreating', 'PodInitializing']);

/** What keeps a pod from starting. `event`: what its events say, if something went wrong there (volumes, sandbox). */
export function judgePending(
  pod: PodSeen,
  event: string | undefined,
): { readonly reason: FailureReason | 'Starting'; readonly message: string } {
  const { name } = pod.metadata;
  const scheduled = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status === 'False') {
    return {
      reason: 'PodUnschedulable',
      message: `pod ${name}: ${scheduled.message ?? scheduled.reason ?? 'no node found'}`,
    };
  }
  const waiting = runnerState(pod)?.waiting;
  const text = `pod ${name}: ${waiting?.reason ?? ''}${waiting?.message === undefined ? '' : `: ${waiting.message}`}`;
  if (waiting?.reason !== undefined && imageReasons.has(waiting.reason)) {
    return { reason: 'ImageUnavailable', message: text };
  }
  if (waiting?.reason !== undefined && !healthyReasons.has(waiting.reason)) {
    return { reason: 'PodNotStarting', message: text };
  }
  if (event !== undefined) return { reason: 'PodNotStarting', message: `pod ${name}: ${event}` };
  return { reason: 'Starting', message: `pod ${name} is being started` };
}
