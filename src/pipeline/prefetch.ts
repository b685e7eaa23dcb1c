import { Failure } from '../api/failure.ts';
import type { Bytes } from './bytes.ts';
import type { Sleeper } from './sleeper.ts';

export interface PrefetchOptions {
  /** Chunks that are read before they are asked for. */
  readonly chunks: number;
  /** A source that gives nothing for so long while it is waited for has failed. */
  readonly stall?: { readonly limitMs: number; readonly clock: Sleeper; readonly what: string };
}

/**
 * Reads a source ahead, so that it works while its reader does. Leaving the loop early ends the source.
 * @throws what the source throws, after what it gave before; StorageUnreachable when it stalls
 */
export async function* prefetch(source: Bytes, options: PrefetchOptions): AsyncGenerator<Uint8Array, void, void> {
  const chunks = source[Symbol.asyncIterator]();
  const ready: Uint8Array[] = [];
  let ended = false;
  let broken: { readonly error: unknown } | undefined;
  const reader = { left: false };
  let wakeReader = (): void => {};
  let wakePump = (): void => {};

  const pump = async (): Promise<void> => {
    try {
      while (!reader.left) {
        if (ready.length >= options.chunks) {
          await new Promise<void>((resolve) => {
            wakePump = resolve;
          });
          continue;
        }
        const next = await nextWithin(chunks, options.stall);
        if (next.done === true) break;
        ready.push(next.value);
        wakeReader();
      }
    } catch (error) {
      broken = { error };
    }
    ended = true;
    wakeReader();
  };
  const pumping = pump();

  try {
    for (;;) {
      const chunk = ready.shift();
      if (chunk !== undefined) {
        wakePump();
        yield chunk;
      } else if (ended) {
        if (broken !== undefined) throw broken.error;
        return;
      } else {
        await new Promise<void>((resolve) => {
          wakeReader = resolve;
          if (ended || ready.length > 0) resolve();
        });
      }
    }
  } finally {
    reader.left = true;
    wakePump();
    if (!ended) {
      // A source that hangs is let go of, not waited for; what it still throws nobody wants to know.
      void pumping.then(() => chunks.return?.()).catch(() => {});
    }
  }
}

async function nextWithin(
  chunks: AsyncIterator<Uint8Array>,
  stall: PrefetchOptions['stall'],
): Promise<IteratorResult<Uint8Array>> {
  if (stall === undefined) return chunks.next();
  const come = new AbortController();
  const late = stall.clock.sleep(stall.limitMs, come.signal).then(
    () => {
      throw new Failure(
        'StorageUnreachable',
        `${stall.what} gave nothing for ${Math.round(stall.limitMs / 1000)} seconds`,
      );
    },
    // The chunk came.
    () => new Promise<never>(() => {}),
  );
  try {
    return await Promise.race([chunks.next(), late]);
  } finally {
    come.abort();
  }
}
