import type { Duplex } from 'node:stream';
import type { Bytes } from '../pipeline/bytes.ts';
import { feed } from '../pipeline/feed.ts';

/**
 * What comes out of a stream of the library, no faster than it is read; what `source` throws is thrown here, and leaving the loop early ends
 * it. The stream is never destroyed: its parts would tell each other of it, and nobody hears the last of them.
 */
export async function* throughDuplex(source: Bytes, duplex: Duplex): AsyncGenerator<Uint8Array, void, void> {
  let failed: { readonly error: unknown } | undefined;
  let ended = false;
  let wake = (): void => {};
  const fail = (error: unknown): void => {
    failed ??= { error };
    wake();
  };
  duplex.on('error', fail);
  duplex.on('readable', () => wake());
  duplex.on('end', () => {
    ended = true;
    wake();
  });
  const fed = feed(duplex, source, fail);
  try {
    for (;;) {
      const chunk: unknown = duplex.read();
      if (chunk instanceof Uint8Array) {
        yield chunk;
        continue;
      }
      if (failed !== undefined) throw failed.error;
      if (ended) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    fed.leave();
  }
}
