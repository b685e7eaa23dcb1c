import { Failure } from '../api/failure.ts';
import type { Clock } from '../support/clock.ts';

/**
 * Does work under a signal of its own that aborts after `milliseconds`, whatever the run's signal says: for what must still be
 * done after an abort (cleaning up) or must not be torn in two by one (the commit).
 */
export async function bounded<T>(
  clock: Clock,
  milliseconds: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = new AbortController();
  const done = new AbortController();
  const timer = clock.sleep(milliseconds, done.signal).then(
    () => limit.abort(new Failure('Aborted', `not done within ${Math.round(milliseconds / 1000)} s`)),
    () => undefined,
  );
  try {
    return await work(limit.signal);
  } finally {
    done.abort();
    await timer;
  }
}
