import type { Bytes } from './bytes.ts';

/** Reads a stream piece by piece. */
export interface ByteCursor {
  /** Exactly `length` bytes; fewer only at the end. */
  take(length: number): Promise<Buffer>;
  /** The next piece, at most `length` bytes; undefined at the end. */
  next(length: number): Promise<Uint8Array | undefined>;
  /** False when the end comes before. */
  skip(length: number): Promise<boolean>;
  /** Reads on to the end. */
  drain(): Promise<void>;
  close(): Promise<void>;
}

/** Less is read and thrown away: a new request costs more. */
const worthReopening = 8 * 1024 * 1024;

/** `reopen` gives the same bytes from an offset on, where that is cheap. */
export function openByteCursor(source: Bytes, reopen?: (offset: number) => Bytes): ByteCursor {
  let chunks = source[Symbol.asyncIterator]();
  let rest: Uint8Array = new Uint8Array(0);
  let position = 0;

  const fill = async (): Promise<boolean> => {
    while (rest.length === 0) {
      const next = await chunks.next();
      if (next.done === true) return false;
      rest = next.value;
    }
    return true;
  };
  const next = async (length: number): Promise<Uint8Array | undefined> => {
    if (!(await fill())) return undefined;
    const piece = rest.subarray(0, length);
    rest = rest.subarray(piece.length);
    position += piece.length;
    return piece;
  };
  const close = async (): Promise<void> => {
    await chunks.return?.();
  };

  return {
    next,
    close,
    async take(length) {
      const pieces: Uint8Array[] = [];
      for (let left = length; left > 0;) {
        const piece = await next(left);
        if (piece === undefined) break;
        pieces.push(piece);
        left -= piece.length;
      }
      return Buffer.concat(pieces);
    },
    async skip(length) {
      let left = length;
      if (reopen !== undefined && left - rest.length > worthReopening) {
        await close();
        // Its last byte is read: whether there are so many is seen by that.
        position += left - 1;
        left = 1;
        rest = new Uint8Array(0);
        chunks = reopen(position)[Symbol.asyncIterator]();
      }
      while (left > 0) {
        const piece = await next(left);
        if (piece === undefined) return false;
        left -= piece.length;
      }
      return true;
    },
    async drain() {
      while ((await next(Number.MAX_SAFE_INTEGER)) !== undefined);
    },
  };
}
