import { Failure } from '../api/failure.ts';
import type { Clock } from '../support/clock.ts';

/** What an aborted operation fails with: the signal's own Failure (a deadline, say), else `Aborted`. */
export function abortFailure(signal: AbortSignal): Failure {
  const reason: unknown = signal.reason;
  if (reason instanceof Failure) return reason;
  return new Failure('Aborted', 'stopped before it was done', { cause: reason });
}

export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw abortFailure(signal);
}

/** Settles as `promise` does, or rejects as soon as the signal aborts; what comes of the promise after that is nobody's concern. */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(abortFailure(signal));
    promise.then(
      (value) => {
        signal.removeEventListener('abort', onAbort);
        resolve(value);
      },
      (error: unknown) => {
        signal.removeEventListener('abort', onAbort);
        // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- passed on as it is
        reject(error);
      },
    );
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
}

/** Resolves when `work` settled, one way or the other, with true; or when it took too long, with false. */
export async function atMost(work: Promise<unknown>, ms: number, clock: Clock): Promise<boolean> {
  const over = new AbortController();
  const done = work.then(
    () => true,
    () => true,
  );
  const late = clock.sleep(ms, over.signal).then(
    () => false,
    () => true,
  );
  const inTime = await Promise.race([done, late]);
  over.abort();
  return inTime;
}

/**
 * Does a tidying-up that ends after `ms` at the latest. It has a signal of its own: what it tidies must go away even when the caller's
 * signal has long aborted.
 */
export async function withinTime<T>(clock: Clock, ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const late = new AbortController();
  const done = new AbortController();
  clock.sleep(ms, done.signal).then(
    () => late.abort(new Failure('StorageUnreachable', `not done after ${ms / 1000} s`)),
    // The sleep ends with the work.
    () => undefined,
  );
  try {
    return await work(late.signal);
  } finally {
    done.abort();
  }
}
