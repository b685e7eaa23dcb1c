import type { FailureReason } from '../../api/reasons.ts';

const startTroubles: ReadonlySet<string> = new Set<FailureReason>([
  'PodRefused',
  'PodUnschedulable',
  'ImageUnavailable',
  'PodNotStarting',
]);

/** Whether a reason says what keeps a pod from being made or started. */
export const isStartTrouble = (reason: string): boolean => startTroubles.has(reason);
