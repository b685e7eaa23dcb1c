import type { Failure } from '../api/failure.ts';
import type { Bytes } from './bytes.ts';
import type { Sleeper } from './sleeper.ts';

export interface SilenceOptions {
  /** A source that gives nothing for this long, although it is asked, is looked at; again after each further time. */
  readonly limitMs: number;
  readonly clock: Sleeper;
  /** Why it will give nothing any more; undefined: it works. Never rejects. */
  readonly judge: (signal: AbortSignal) => Promise<Failure | undefined>;
  /** Makes the source fail with that. */
  readonly end: (failure: Failure) => void;
}

/** The bytes as they are; a source that is silent for good is ended. The time that a slow reader takes does not count. */
export async function* watchSilence(source: Bytes, options: SilenceOptions): AsyncGenerator<Uint8Array, void, void> {
  const chunks = source[Symbol.asyncIterator]();
  let whole = false;
  try {
    for (;;) {
      const heard = new AbortController();
      const watching = watch(options, heard.signal);
      const next = await chunks.next().finally(() => heard.abort());
      await watching;
      if (next.done === true) {
        whole = true;
        return;
      }
      yield next.value;
    }
  } finally {
    if (!whole) await chunks.return?.();
  }
}

async function watch({ limitMs, clock, judge, end }: SilenceOptions, heard: AbortSignal): Promise<void> {
  while (!heard.aborted) {
    try {
      await clock.sleep(limitMs, heard);
    } catch {
      // It gave something.
      return;
    }
    const failure = await judge(heard);
    if (failure === undefined || heard.aborted) continue;
    end(failure);
    return;
  }
}
