import { toFailure } from '../api/failure.ts';
import type { FailureReason } from '../api/reasons.ts';

/** What was thrown as a condition tells it: what to do about it stands behind what it is. */
export function describeFailure(error: unknown): { readonly reason: FailureReason; readonly message: string } {
  const { reason, message, hint } = toFailure(error);
  return { reason, message: hint === undefined ? message : `${message}; ${hint}` };
}
