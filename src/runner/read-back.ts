import { createHash } from 'node:crypto';
import { Failure } from '../api/failure.ts';
import { markBytes, measure, type Mark, type Measured } from '../pipeline/measure.ts';
import type { Piece } from '../pipeline/sample.ts';
import { isTransient, pause } from '../storage/attempt.ts';
import type { Bytes, Storage } from '../storage/storage.ts';
import { releaseBuffers } from './release-buffers.ts';
import type { Workshop } from './workshop.ts';

/** An object as it was sent, by its hashes. */
export interface SentObject extends Measured {
  readonly key: string;
  readonly marks: readonly Mark[];
  readonly pieces: readonly Piece[];
}

type Tools = Pick<Workshop, 'clock' | 'random' | 'stallMilliseconds'>;

/** What is no longer than this is read whole in a sample, too: pieces would be most of it. */
const smallBytes = 4 * 1024 * 1024;
/** Each is 64 KiB and a few round trips. */
const piecesAtOnce = 8;
/** A place that says at first that it does not know what it has just taken is asked again, for half a minute in all. */
const patience = { attempts: 6, firstDelayMs: 500, longestDelayMs: 8_000 };

/**
 * Reads back what a place says it holds, and compares: all of it, or the pieces of a sample. Memory is bounded.
 * @returns how many bytes were read
 * @throws Failure StoredBytesDiffer with key and offset, or the place's own when it cannot be read
 */
export async function readBack(
  storage: Storage,
  sent: SentObject,
  how: 'Sample' | 'Full',
  tools: Tools,
  signal: AbortSignal,
): Promise<number> {
  if (how === 'Full' || sent.bytes <= smallBytes) return compareWhole(storage, sent, tools, signal);
  const waiting = [...sent.pieces];
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const work = async (): Promise<void> => {
    for (let piece = waiting.shift(); piece !== undefined; piece = waiting.shift()) {
      await comparePiece(storage, sent.key, piece, tools, either);
    }
  };
  const workers = Array.from({ length: piecesAtOnce }, work);
  try {
    await Promise.all(workers);
  } finally {
    // The first that differs says enough.
    stop.abort(new Failure('Aborted', 'another piece differed'));
    await Promise.allSettled(workers);
  }
  return sent.pieces.reduce((sum, { bytes }) => sum + bytes, 0);
}

async function compareWhole(storage: Storage, sent: SentObject, tools: Tools, signal: AbortSignal): Promise<number> {
  const { key, bytes, sha256, marks } = sent;
  const held = measure();
  const content = readOn(storage, key, { start: 0, bytes: bytes + 1 }, tools, signal);
  let compared = 0;
  // An object that is small leaves nothing to release, and looking for the collector takes a moment.
  const through = held.through(content);
  for await (const _chunk of bytes <= smallBytes ? through : releaseBuffers(through)) {
    for (const mark of held.marks().slice(compared)) {
      if (marks[compared]?.sha256 !== mark.sha256)
        throw differs(key, `in the ${markBytes} bytes from offset ${compared * markBytes}`);
      compared += 1;
    }
  }
  const found = held.result();
  if (found.bytes !== bytes)
    throw differs(
      key,
      found.bytes < bytes ? `it ends at offset ${found.bytes} of ${bytes}` : `it goes on after offset ${bytes}`,
    );
  if (found.sha256 !== sha256) throw differs(key, `after offset ${compared * markBytes}`);
  return bytes;
}

async function comparePiece(
  storage: Storage,
  key: string,
  piece: Piece,
  tools: Tools,
  signal: AbortSignal,
): Promise<void> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of readOn(storage, key, piece, tools, signal)) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  if (bytes < piece.bytes) throw differs(key, `it ends at offset ${piece.start + bytes}`);
  if (hash.digest('hex') !== piece.sha256) throw differs(key, `in the ${piece.bytes} bytes from offset ${piece.start}`);
}

/** Bytes of an object, at most so many from there. What breaks off, or is not there yet, is gone on with where it ended. */
async function* readOn(
  storage: Storage,
  key: string,
  from: { readonly start: number; readonly bytes: number },
  { clock, random, stallMilliseconds }: Tools,
  signal: AbortSignal,
): Bytes & AsyncGenerator<Uint8Array, void, void> {
  const end = from.start + from.bytes;
  let position = from.start;
  let movedAtMs = clock.monotonicMs();
  for (let failed = 1; ; failed += 1) {
    try {
      for await (const chunk of storage.get(key, { start: position, end: end - 1 }, signal)) {
        const wanted = chunk.subarray(0, end - position);
        position += wanted.length;
        movedAtMs = clock.monotonicMs();
        yield wanted;
        if (position === end) return;
      }
      return;
    } catch (error) {
      const isMissing = error instanceof Failure && error.reason === 'ObjectMissing';
      // Who was silent for as long as a place may be is not asked again.
      const isStalled = clock.monotonicMs() - movedAtMs >= stallMilliseconds;
      const again = !isStalled && failed < patience.attempts && (isMissing || isTransient(error));
      if (signal.aborted || !again) throw isMissing ? forgotten(key, error) : error;
    }
    await pause(failed, { ...patience, clock, random }, signal);
  }
}

function forgotten(key: string, cause: unknown): Failure {
  return new Failure('StoredBytesDiffer', `${key} was acknowledged, but it is not there`, { cause });
}

function differs(key: string, where: string): Failure {
  return new Failure('StoredBytesDiffer', `${key} was read back and is not what was sent: ${where}`);
}
