import type { Readable } from 'node:stream';
import { freeBytes } from './free-bytes.ts';

export interface ReadAhead {
  /** All bytes of the stream; ends with it and never throws: whether the end is good, the process knows. */
  chunks(): AsyncGenerator<Uint8Array, void, void>;
  /** Throws away what comes from now on, so that the stream can end. */
  discard(): void;
}

/**
 * Reads a pipe into chunks of `size` bytes, up to `ahead` of them before they are asked for: its writer goes on while the rest of
 * the pipeline works on something else. Pieces are gathered as they arrive, before any other code sees them, because pg_dump
 * writes 4 KB at a time; the stream must have made each for us alone, because it is freed then, as a pipe's are. Nothing is read before
 * the first chunk is asked for.
 */
export function readAhead(stream: Readable, size: number, ahead: number): ReadAhead {
  const ready: Uint8Array[] = [];
  let filling: Buffer | undefined;
  let filled = 0;
  let ended = false;
  let discarding = false;
  let wake = (): void => {};

  const onData = (piece: Buffer): void => {
    if (discarding) return;
    let offset = 0;
    while (offset < piece.length) {
      filling ??= Buffer.allocUnsafeSlow(size);
      const taken = piece.copy(filling, filled, offset, Math.min(piece.length, offset + size - filled));
      offset += taken;
      filled += taken;
      if (filled < size) continue;
      ready.push(filling);
      filling = undefined;
      filled = 0;
    }
    freeBytes(piece);
    if (ready.length >= ahead) stream.pause();
    if (ready.length > 0) wake();
  };
  const onEnd = (): void => {
    ended = true;
    wake();
  };
  // `close` comes also when the pipe broke or was never there.
  stream.once('end', onEnd).once('close', onEnd).on('error', onEnd);

  return {
    async *chunks() {
      stream.on('data', onData);
      for (;;) {
        const chunk = ready.shift();
        if (chunk !== undefined) {
          if (ready.length < ahead) stream.resume();
          yield chunk;
        } else if (ended) {
          break;
        } else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
      if (filling !== undefined && filled > 0) yield filling.subarray(0, filled);
    },
    discard() {
      discarding = true;
      ready.length = 0;
      filling = undefined;
      stream.resume();
    },
  };
}
