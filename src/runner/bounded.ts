import { Failure } from '../api/failure.ts';
import type { Clock } from '../support/clock.ts';

/** Once the signal has aborted there is only so much time left. */
export interface Hurry {
  readonly signal: AbortSignal;
  readonly milliseconds: number;
}

/**
 * Does work under a signal of its own that aborts after `milliseconds`, whatever the run's signal says: for what must still be
 * done after an abort (cleaning up) or must not be torn in two by one (the commit, which has to `hurry` then).
 */
export async function bounded<T>(
  clock: Clock,
  milliseconds: number,
  work: (signal: AbortSignal) => Promise<T>,
  hurry?: Hurry,
): Promise<T> {
  const limit = new AbortController();
  const done = new AbortController();
  const endAfter = (ms: number): Promise<void> =>
    clock.sleep(ms, done.signal).then(
      () => limit.abort(new Failure('Aborted', `not done within ${Math.round(ms / 1000)} s`)),
      () => undefined,
    );
  const timers = [endAfter(milliseconds)];
  const onAbort = (): void => void timers.push(endAfter(hurry?.milliseconds ?? 0));
  if (hurry?.signal.aborted === true) onAbort();
  else hurry?.signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await work(limit.signal);
  } finally {
    hurry?.signal.removeEventListener('abort', onAbort);
    done.abort();
    await Promise.all(timers);
  }
}
