import type { Failure } from '../api/failure.ts';
import type { FailureReason } from '../api/reasons.ts';

const reasons: readonly FailureReason[] = [
  'StorageUnreachable',
  'StorageThrottled',
  'StorageCredentialsInvalid',
  'StorageMissing',
  'TlsFailed',
  'HostKeyMismatch',
  'Aborted',
];

/** Whether what failed will fail for everything else at that place, too. */
export function isPlaceGone({ reason }: Failure): boolean {
  return reasons.includes(reason);
}
