import type { Bytes } from './bytes.ts';

/** The first bytes, at most `length`; the rest of the source is not read. */
export async function readHead(source: Bytes, length: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of source) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes >= length) break;
  }
  return Buffer.concat(chunks).subarray(0, length);
}
