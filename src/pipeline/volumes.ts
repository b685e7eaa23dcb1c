import { Failure } from '../api/failure.ts';
import type { Bytes } from './bytes.ts';

/** 1 000 parts of 8 MiB: the least number of parts that any provider allows, in parts of one size. */
export const defaultVolumeBytes = 1000 * 8 * 1024 * 1024;

export interface Volume {
  /** Counted from 1. */
  readonly index: number;
  /** At most `volumeBytes`; to be read to its end, once, before the next volume is asked for. */
  readonly bytes: Bytes;
}

/**
 * Cuts a stream into volumes: joined in order they are the stream again. All but the last are exactly `volumeBytes` long; none
 * is empty, but for the only one of an empty source. Nothing is read ahead but one chunk. A failure of the source is thrown by
 * the volume that was being read and again by the loop over volumes. Leaving that loop ends the source.
 */
export async function* cutVolumes(
  source: Bytes,
  volumeBytes: number = defaultVolumeBytes,
): AsyncGenerator<Volume, void, void> {
  if (!Number.isSafeInteger(volumeBytes) || volumeBytes < 1) {
    throw new Failure('Internal', `a volume of ${volumeBytes} bytes cannot be`);
  }
  const chunks = source[Symbol.asyncIterator]();
  let rest: Uint8Array | undefined;
  let ended = false;
  let finished = false;
  let broken: { readonly error: unknown } | undefined;

  /** The next bytes that are not part of a volume yet; undefined at the end. */
  const peek = async (): Promise<Uint8Array | undefined> => {
    while (!ended && (rest === undefined || rest.length === 0)) {
      try {
        const next = await chunks.next();
        if (next.done === true) ended = true;
        else rest = next.value;
      } catch (error) {
        broken = { error };
        ended = true;
        throw error;
      }
    }
    return ended ? undefined : rest;
  };

  async function* volume(): AsyncGenerator<Uint8Array, void, void> {
    let room = volumeBytes;
    while (room > 0) {
      const chunk = await peek();
      if (chunk === undefined) break;
      const piece = chunk.length <= room ? chunk : chunk.subarray(0, room);
      rest = chunk.subarray(piece.length);
      room -= piece.length;
      yield piece;
    }
    finished = true;
  }

  try {
    for (let index = 1; index === 1 || (await peek()) !== undefined; index++) {
      finished = false;
      yield { index, bytes: volume() };
      if (broken !== undefined) throw broken.error;
      // What was left unread would silently become part of the next volume, or be lost.
      if (!finished) throw new Failure('Internal', `volume ${index} was not read to its end`);
    }
  } finally {
    if (!ended) await chunks.return?.();
  }
}
