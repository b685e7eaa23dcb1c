import { createHash, type Hash } from 'node:crypto';
import { Failure } from '../api/failure.ts';
import type { Bytes } from './bytes.ts';

export interface Measured {
  readonly bytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

/** What had passed by a place of the stream, by its hash. */
export interface Mark {
  readonly bytes: number;
  readonly sha256: string;
}

/** A stream that is read again is compared mark by mark: the first that differs says where. */
export const markBytes = 8 * 1024 * 1024;

export interface Measure {
  /** Passes every chunk on as it is. To be called once. */
  through(source: Bytes): Bytes;
  /** Size and hash of all that passed. Throws `Internal` unless the source was read to its end: half a hash proves nothing. */
  result(): Measured;
  /** What had passed so far, at each full `markBytes` of it: costs nothing, the hash goes on. */
  marks(): readonly Mark[];
  /** A new measure, of what passed here and of what will pass there. Throws `Internal` like `result`. */
  goOn(): Measure;
}

/** A tap that tells size and SHA-256 of a stream, so that neither is ever a second pass. */
export function measure(): Measure {
  return measureFrom(createHash('sha256'), 0);
}

function measureFrom(hash: Hash, before: number): Measure {
  let bytes = before;
  let used = false;
  let measured: Measured | undefined;

  const marks: Mark[] = [];

  const take = (chunk: Uint8Array): void => {
    for (let at = 0; at < chunk.length;) {
      const end = Math.min(chunk.length, at + markBytes - (bytes % markBytes));
      hash.update(chunk.subarray(at, end));
      bytes += end - at;
      at = end;
      if (bytes % markBytes === 0) marks.push({ bytes, sha256: hash.copy().digest('hex') });
    }
  };

  async function* tap(source: Bytes): AsyncGenerator<Uint8Array, void, void> {
    for await (const chunk of source) {
      take(chunk);
      yield chunk;
    }
    measured = { bytes, sha256: hash.copy().digest('hex') };
  }

  const result = (): Measured => {
    if (measured === undefined) throw new Failure('Internal', 'a stream was measured before it was read to its end');
    return measured;
  };

  return {
    result,
    marks: () => marks,
    goOn: () => measureFrom(hash.copy(), result().bytes),
    through(source) {
      if (used) throw new Failure('Internal', 'a measure was used for a second stream');
      used = true;
      return tap(source);
    },
  };
}
