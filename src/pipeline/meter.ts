import type { Bytes } from './bytes.ts';

export interface Meter {
  /** Passes every chunk on as it is; may be used for several streams, one after the other or at once. */
  through(source: Bytes): Bytes;
  /** The same, but a stream that is left early, to be begun again, is taken back. */
  throughWhole(source: Bytes): Bytes;
  /** Bytes that passed so far. */
  bytes(): number;
}

/** A tap that only counts, for progress: to be looked at while the stream runs. */
export function meter(): Meter {
  let passed = 0;
  async function* count(source: Bytes, onlyWhole: boolean): AsyncGenerator<Uint8Array, void, void> {
    let own = 0;
    let ended = false;
    try {
      for await (const chunk of source) {
        own += chunk.length;
        passed += chunk.length;
        yield chunk;
      }
      ended = true;
    } finally {
      if (onlyWhole && !ended) passed -= own;
    }
  }
  return {
    through: (source) => count(source, false),
    throughWhole: (source) => count(source, true),
    bytes: () => passed,
  };
}
