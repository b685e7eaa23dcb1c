import { throwIfAborted, untilAborted } from './abortable.ts';
import type { Bytes } from './storage.ts';

export interface Part {
  /** `size` bytes long, but for the last one. Belongs to the taker until the buffer is handed out again by `take`. */
  readonly bytes: Buffer;
  readonly last: boolean;
}

/**
 * Cuts a body into parts of one size, at least one (an empty body is one empty part). A full part is given out only when it is known
 * whether more follows, so that `last` is always true exactly once. `take` hands in buffers of `size` bytes, which bounds the memory.
 * Errors of the body are rethrown as they are; when the loop is left early, or the signal aborts, the body is released.
 */
export async function* gatherParts(
  body: Bytes,
  size: number,
  take: () => Buffer,
  signal: AbortSignal,
): AsyncGenerator<Part, void, undefined> {
  const iterator = body[Symbol.asyncIterator]();
  let ended = false;
  try {
    throwIfAborted(signal);
    let part = take();
    let filled = 0;
    for (;;) {
      const pulled = iterator.next();
      pulled.catch(() => {
        ended = true;
      });
      const next = await untilAborted(pulled, signal);
      if (next.done === true) {
        ended = true;
        break;
      }
      const chunk = next.value;
      for (let offset = 0; offset < chunk.length;) {
        if (filled === size) {
          yield { bytes: part, last: false };
          part = take();
          filled = 0;
        }
        const length = Math.min(size - filled, chunk.length - offset);
        part.set(chunk.subarray(offset, offset + length), filled);
        filled += length;
        offset += length;
      }
    }
    yield { bytes: part.subarray(0, filled), last: true };
  } finally {
    // Not waited for: a body that hangs in its own next() would hold up the clean-up behind us.
    if (!ended) iterator.return?.().catch(() => undefined);
  }
}

/** Buffers of one size that go round: as many are made as are out at the same time. */
export class BufferPool {
  readonly #size: number;
  readonly #free: Buffer[] = [];

  constructor(size: number) {
    this.#size = size;
  }

  take(): Buffer {
    // "Slow" buffers are no slices of a shared slab, and untouched pages of them cost no memory.
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#size);
  }

  give(buffer: Buffer): void {
    if (buffer.length === this.#size) this.#free.push(buffer);
  }
}
