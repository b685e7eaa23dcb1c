import type { Bytes } from './bytes.ts';

const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf]);

/** The same, without a mark of UTF-8 at its beginning. */
export async function* withoutByteOrderMark(source: Bytes): AsyncGenerator<Uint8Array, void, void> {
  let head: Buffer | undefined = Buffer.alloc(0);
  for await (const chunk of source) {
    if (head === undefined) {
      yield chunk;
      continue;
    }
    head = Buffer.concat([head, chunk]);
    if (head.length < byteOrderMark.length) continue;
    yield head.subarray(head.subarray(0, 3).equals(byteOrderMark) ? 3 : 0);
    head = undefined;
  }
  if (head !== undefined && head.length > 0) yield head;
}
