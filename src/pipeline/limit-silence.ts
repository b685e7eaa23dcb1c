import type { Failure } from '../api/failure.ts';
import { aborted } from './aborted.ts';
import type { Bytes } from './bytes.ts';
import type { Sleeper } from './sleeper.ts';

/**
 * Passes every chunk on as it is, and gives a source up that keeps one waiting for longer than the limit, or when the signal aborts:
 * it is told to end, and not waited for, because what hangs may hang in its end too.
 * @throws what `source` throws, `fail()` when it said nothing for too long, the abort
 */
export async function* limitSilence(
  source: Bytes,
  limit: { readonly ms: number; readonly clock: Sleeper; readonly fail: () => Failure },
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  const chunks = source[Symbol.asyncIterator]();
  let answers = true;
  try {
    for (;;) {
      answers = false;
      const next = await within(chunks.next(), limit, signal);
      answers = true;
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    const end = chunks.return?.();
    end?.catch(() => undefined);
    if (answers && end !== undefined) await within(end, limit, signal).catch(() => undefined);
  }
}

async function within<T>(
  answer: Promise<T>,
  limit: { readonly ms: number; readonly clock: Sleeper; readonly fail: () => Failure },
  signal: AbortSignal,
): Promise<T> {
  const answered = new AbortController();
  const late = limit.clock.sleep(limit.ms, AbortSignal.any([signal, answered.signal])).then(
    () => Promise.reject(limit.fail()),
    () => Promise.reject(aborted(signal)),
  );
  late.catch(() => undefined);
  // Who loses may fail later.
  answer.catch(() => undefined);
  try {
    return await Promise.race([answer, late]);
  } finally {
    answered.abort();
  }
}
