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
  /** How long a place may go on saying that it has too much to do; default four minutes. */
  readonly throttledMs?: number;
  /** What is tried again; `isTransient` if absent. */
  readonly worthIt?: (error: unknown) => boolean;
}

const usualThrottledMs = 4 * 60_000;
const throttledDelays = { firstDelayMs: 1000, longestDelayMs: 30_000 };

/** The place has too much to do just now. It is asked again for minutes, later each time, or when it says. */
export class Throttled extends Failure {
  /** By the place's own word (Retry-After). */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, retryAfterMs: number | undefined, options: { hint?: string; cause?: unknown } = {}) {
    super('StorageThrottled', message, options);
    this.retryAfterMs = retryAfterMs;
  }
}

/** True for what may be over in a moment; a store that holds other bytes than were sent, say, is not asked again. */
export function isTransient(error: unknown): error is Failure {
  return error instanceof Failure && (error.reason === 'StorageUnreachable' || error.reason === 'StorageFailed');
}

/** Counts the failures of one piece of work, and waits before the next try, or says that it is enough. */
export class Tries {
  readonly #patience: Patience;
  readonly #signal: AbortSignal;
  #began: number;
  #failed = 0;
  #throttled = 0;
  #throttledSince: number | undefined;

  constructor(patience: Patience, signal: AbortSignal) {
    this.#patience = patience;
    this.#signal = signal;
    this.#began = patience.clock.monotonicMs();
  }

  /** Something came of it: from here on failures are counted anew. */
  progress(): void {
    this.#failed = 0;
    this.#throttled = 0;
    this.#throttledSince = undefined;
  }

  /** Resolves when it is time to try again. @throws the error if it is not worth it, or was tried often enough; else the abort's */
  async again(error: unknown): Promise<void> {
    if (this.#signal.aborted) throw error;
    await (error instanceof Throttled ? this.#waitForThrottle(error) : this.#waitForFailure(error));
    this.#began = this.#patience.clock.monotonicMs();
  }

  async #waitForFailure(error: unknown): Promise<void> {
    this.#throttledSince = undefined;
    this.#failed += 1;
    const { attempts, worthIt = isTransient } = this.#patience;
    if (this.#failed >= attempts || !worthIt(error)) throw error;
    await pause(this.#failed, this.#patience, this.#signal);
  }

  /** Counted from the begin of the try: one that has waited for minutes by itself (a storage around a storage) was long enough. */
  async #waitForThrottle(error: Throttled): Promise<void> {
    this.#throttledSince ??= this.#began;
    this.#throttled += 1;
    const left =
      this.#throttledSince + (this.#patience.throttledMs ?? usualThrottledMs) - this.#patience.clock.monotonicMs();
    if (left <= 0) throw error;
    const delay = delayAfter(this.#throttled, throttledDelays, this.#patience);
    await wait(Math.min(left, Math.max(delay, error.retryAfterMs ?? 0)), this.#patience, this.#signal);
  }
}

/** Does `work`, again after transient failures, with back-off and jitter. Fails with the last failure, or with the abort's. */
export async function attempt<T>(
  work: (attemptNumber: number) => Promise<T>,
  patience: Patience,
  signal: AbortSignal,
): Promise<T> {
  const tries = new Tries(patience, signal);
  for (let number = 1; ; number += 1) {
    try {
      return await work(number);
    } catch (error) {
      await tries.again(error);
    }
  }
}

/** Waits before attempt `failed` + 1. */
export async function pause(failed: number, patience: Patience, signal: AbortSignal): Promise<void> {
  await wait(delayAfter(failed, patience, patience), patience, signal);
}

interface Delays {
  readonly firstDelayMs: number;
  readonly longestDelayMs: number;
}

/** Half of it fixed, half by chance: writers that failed together do not come back together. */
function delayAfter(failed: number, { firstDelayMs, longestDelayMs }: Delays, { random }: Patience): number {
  return Math.min(longestDelayMs, firstDelayMs * 2 ** (failed - 1)) * (0.5 + random.fraction() / 2);
}

async function wait(ms: number, { clock }: Patience, signal: AbortSignal): Promise<void> {
  try {
    await clock.sleep(ms, signal);
  } catch (error) {
    if (signal.aborted) throw abortFailure(signal);
    throw error;
  }
}
