import { createHash, type Hash } from 'node:crypto';
import { Failure } from '../api/failure.ts';
import type { Bytes } from './bytes.ts';

export interface Measured {
  readonly bytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

export interface Measure {
  /** Passes every chunk on as it is. To be called once. */
  through(source: Bytes): Bytes;
  /** Size and hash of all that passed. Throws `Internal` unless the source was read to its end: half a hash proves nothing. */
  result(): Measured;
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

  async function* tap(source: Bytes): AsyncGenerator<Uint8Array, void, void> {
    for await (const chunk of source) {
      hash.update(chunk);
      bytes += chunk.length;
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
    goOn: () => measureFrom(hash.copy(), result().bytes),
    through(source) {
      if (used) throw new Failure('Internal', 'a measure was used for a second stream');
      used = true;
      return tap(source);
    },
  };
}
