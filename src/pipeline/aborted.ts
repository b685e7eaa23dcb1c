import { Failure } from '../api/failure.ts';

/** The failure of work that was ended by `signal`: the signal's own reason if that is a Failure (a deadline), else Aborted. */
export function aborted(signal: AbortSignal): Failure {
  const reason: unknown = signal.reason;
  if (reason instanceof Failure) return reason;
  return new Failure('Aborted', 'stopped before it was done', { cause: reason });
}
