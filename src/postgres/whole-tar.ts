import type { Failure } from '../api/failure.ts';
import type { Bytes } from '../pipeline/bytes.ts';

const block = 512;

/**
 * Passes a tar archive on, and fails when it ends within a member: pg_restore (of all majors up to 18) would never notice, but
 * wait for ever at full load.
 * @throws `damaged`, and what the source throws
 */
export async function* wholeTar(
  source: Bytes,
  damaged: (what: string) => Failure,
): AsyncGenerator<Uint8Array, void, void> {
  let header: Buffer = Buffer.alloc(0);
  /** Of the current member, with its padding. */
  let left = 0;
  let isOver = false;
  for await (const chunk of source) {
    let offset = 0;
    while (offset < chunk.length && !isOver) {
      if (left > 0) {
        const passed = Math.min(left, chunk.length - offset);
        left -= passed;
        offset += passed;
        continue;
      }
      const piece = chunk.subarray(offset, offset + block - header.length);
      header = Buffer.concat([header, piece]);
      offset += piece.length;
      if (header.length < block) break;
      isOver = header.every((byte) => byte === 0);
      left = isOver ? 0 : Math.ceil(memberBytes(header, damaged) / block) * block;
      header = Buffer.alloc(0);
    }
    yield chunk;
  }
  if (left > 0 || header.length > 0) throw damaged('the tar archive ends within a member');
}

/** Octal digits, or, above 8 GiB, a binary number with the highest bit set. */
function memberBytes(header: Buffer, damaged: (what: string) => Failure): number {
  const field = header.subarray(124, 136);
  const isBinary = (field[0] ?? 0) >= 0x80;
  const digits = field.toString('latin1').replaceAll(/[\0 ]/g, '');
  const size = isBinary ? Number(field.readBigUInt64BE(4)) : Number.parseInt(digits, 8);
  if (!Number.isSafeInteger(size) || (!isBinary && !/^[0-7]+$/.test(digits))) {
    throw damaged('a header of the tar archive has no size');
  }
  return size;
}
