import type { Bytes } from '../pipeline/bytes.ts';

export interface WholeSource {
  /** To be read once; leaving it early does not end the source. */
  readonly bytes: Bytes;
  /** Reads what is left, to nowhere. Throws what the source throws, even if it did so before. */
  drain(): Promise<void>;
  /** Lets go of the source; not waited for, since a source that hangs must not keep anybody. */
  leave(): void;
}

/** A source whose reader may stop early, and which is read to its end nevertheless: only then it has proved that it is whole. */
export function readWhole(source: Bytes, onBytes: (bytes: number) => void = () => {}): WholeSource {
  const chunks = source[Symbol.asyncIterator]();
  let left = false;
  let ended = false;
  let broken: { readonly error: unknown } | undefined;

  const pull = async (): Promise<IteratorResult<Uint8Array, undefined>> => {
    if (broken !== undefined) throw broken.error;
    if (ended) return { done: true, value: undefined };
    try {
      const next = await chunks.next();
      if (next.done === true) {
        ended = true;
        return { done: true, value: undefined };
      }
      onBytes(next.value.length);
      return { done: false, value: next.value };
    } catch (error) {
      broken = { error };
      throw error;
    }
  };
  // One after the other: a reader that was left may still wait for its chunk when the rest is drained.
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = (): Promise<IteratorResult<Uint8Array, undefined>> => {
    const next = last.then(pull, pull);
    last = next;
    next.catch(() => {});
    return next;
  };

  return {
    bytes: {
      [Symbol.asyncIterator]: () => ({
        next: async () => (left ? { done: true, value: undefined } : inTurn()),
        return: async () => {
          left = true;
          return { done: true, value: undefined };
        },
      }),
    },
    async drain() {
      left = true;
      for (;;) {
        const next = await inTurn();
        if (next.done === true) return;
      }
    },
    leave() {
      left = true;
      if (!ended) void Promise.resolve(chunks.return?.()).catch(() => {});
    },
  };
}
