import { createHash, type Hash } from 'node:crypto';
import type { Bytes } from './bytes.ts';

/** A piece of a stream, by its hash. */
export interface Piece {
  readonly start: number;
  readonly bytes: number;
  readonly sha256: string;
}

export interface Sample {
  /** Passes every chunk on as it is. To be called once. */
  through(source: Bytes): Bytes;
  /** Once the stream has ended: its head, its tail, and one piece of each stratum. None of an empty stream. */
  pieces(): readonly Piece[];
}

export const pieceBytes = 64 * 1024;
/** A piece of 64 KiB in each 8 MiB is 0.8 %; what is wrong for 16 MiB on end cannot lie between two pieces. */
export const stratumBytes = 8 * 1024 * 1024;

/**
 * A tap that remembers a small part of a stream, so that it can be compared with what a place gives back. Where the pieces lie is
 * decided while the stream goes by: nobody can foresee it. Memory: a hash for each stratum, and the last chunk or two.
 * @param fraction in [0, 1), evenly
 */
export function sample(fraction: () => number): Sample {
  const pieces: Piece[] = [];
  let last: readonly Uint8Array[] = [];
  let position = 0;
  let stratum = 0;
  let start = 0;
  let hash: Hash = createHash('sha256');

  /** The head is a piece of its own, of the first stratum too. */
  const chooseNext = (): void => {
    const from = stratum === 0 ? pieceBytes : stratum * stratumBytes;
    start = from + Math.floor(fraction() * ((stratum + 1) * stratumBytes - pieceBytes + 1 - from));
    stratum += 1;
    hash = createHash('sha256');
  };

  const take = (chunk: Uint8Array): void => {
    const chunkEnd = position + chunk.length;
    for (let at = Math.max(position, start); at < chunkEnd; at = Math.max(at, start)) {
      const end = Math.min(chunkEnd, start + pieceBytes);
      hash.update(chunk.subarray(at - position, end - position));
      at = end;
      if (end < start + pieceBytes) break;
      pieces.push({ start, bytes: pieceBytes, sha256: hash.digest('hex') });
      chooseNext();
    }
    position = chunkEnd;
    last = keepTail([...last, chunk]);
  };

  return {
    async *through(source) {
      for await (const chunk of source) {
        take(chunk);
        yield chunk;
      }
    },
    pieces: () => (position === 0 ? [] : [...pieces, describeTail(last, position)]),
  };
}

/** As few of the last chunks as the tail needs. */
function keepTail(chunks: readonly Uint8Array[]): readonly Uint8Array[] {
  let kept = 0;
  const from = chunks.findLastIndex((chunk) => (kept += chunk.length) >= pieceBytes);
  return from <= 0 ? chunks : chunks.slice(from);
}

function describeTail(chunks: readonly Uint8Array[], streamBytes: number): Piece {
  const kept = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const bytes = Math.min(pieceBytes, kept);
  const hash = createHash('sha256');
  let skip = kept - bytes;
  for (const chunk of chunks) {
    const skipped = Math.min(skip, chunk.length);
    hash.update(chunk.subarray(skipped));
    skip -= skipped;
  }
  return { start: streamBytes - bytes, bytes, sha256: hash.digest('hex') };
}
