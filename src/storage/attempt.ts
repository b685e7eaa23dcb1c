import { Failure } from '../api/failure.ts';
import type { Clock, Random } from '../support/clock.ts';
import { abortFailure } from './abortable.ts';

/** How often something is tried, and how long is waited in between: doubling from `firstDelayMs`, at most `longestDelayMs`. */
export interface Patience {
  readonly attempts: number;
  readonly firstDelayMs: number;
  readonly longestDelayMs: number;
  readonly clock: Clock;
  readonly random: Random;
  /** What is tried again; `isTransient` if absent. */
  readonly worthIt?: (error: unknown) => boolean;
}

/** True for what may be over in a moment; a store that holds other bytes than were sent, say, is not asked again. */
export function isTransient(error: unknown): error is Failure {
  return error instanceof Failure && (error.reason === 'StorageUnreachable' || error.reason === 'StorageFailed');
}

/** Does `work`, again after transient failures, with back-off and jitter. Fails with the last failure, or with the abort's. */
export async function attempt<T>(
  work: (attemptNumber: number) => Promise<T>,
  patience: Patience,
  signal: AbortSignal,
): Promise<T> {
  for (let number = 1; ; number += 1) {
    try {
      return await work(number);
    } catch (error) {
      if (signal.aborted || number >= patience.attempts || !(patience.worthIt ?? isTransient)(error)) throw error;
    }
    await pause(number, patience, signal);
  }
}

/** Waits before attempt `failed` + 1. */
export async function pause(failed: number, patience: Patience, signal: AbortSignal): Promise<void> {
  const longest = Math.min(patience.longestDelayMs, patience.firstDelayMs * 2 ** (failed - 1));
  try {
    // Half of it fixed, half by chance: writers that failed together do not come back together.
    await patience.clock.sleep(longest * (0.5 + patience.random.fraction() / 2), signal);
  } catch (error) {
    if (signal.aborted) throw abortFailure(signal);
    throw error;
  }
}
