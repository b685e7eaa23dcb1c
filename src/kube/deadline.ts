import type { Clock } from '../support/clock.ts';

/**
 * A signal that aborts with the outer signal (and its reason), or with `late()` when nobody called `touch` for `ms`.
 * Call `clear` when done, in every case.
 */
export interface Deadline {
  readonly signal: AbortSignal;
  /** Starts the time again. */
  touch(): void;
  clear(): void;
}

/** One for all: each request has a deadline, and an error of its own would cost a stack. */
const done = new Error('done in time');

export function startDeadline(clock: Clock, ms: number, outer: AbortSignal, late: () => Error): Deadline {
  const expired = new AbortController();
  const cleared = new AbortController();
  let touchedAt = clock.monotonicMs();
  const watch = async (): Promise<void> => {
    for (;;) {
      const left = touchedAt + ms - clock.monotonicMs();
      if (left <= 0) return expired.abort(late());
      await clock.sleep(left, cleared.signal);
    }
  };
  // The only way to reject is `clear`: then there is nothing left to do.
  watch().catch(() => undefined);
  return {
    signal: AbortSignal.any([outer, expired.signal]),
    touch: () => {
      touchedAt = clock.monotonicMs();
    },
    clear: () => cleared.abort(done),
  };
}
