import type { Bytes } from './bytes.ts';

export interface Meter {
  /** Passes every chunk on as it is; may be used for several streams, one after the other or at once. */
  through(source: Bytes): Bytes;
  /** Bytes that passed so far. */
  bytes(): number;
}

/** A tap that only counts, for progress: to be looked at while the stream runs. */
export function meter(): Meter {
  let passed = 0;
  return {
    async *through(source) {
      for await (const chunk of source) {
        passed += chunk.length;
        yield chunk;
      }
    },
    bytes: () => passed,
  };
}
