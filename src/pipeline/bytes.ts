/**
 * Bytes on their way (the same shape as in storage/storage.ts). A chunk that was handed on is never changed again: neither by
 * who made it nor by who reads it, because several readers may hold it at once.
 */
export type Bytes = AsyncIterable<Uint8Array>;

/** A stage: takes all of `source`, once, and gives bytes on. Leaving its loop early ends the source. */
export type Stage = (source: Bytes) => Bytes;

/** What every stage works in. Work per chunk, not per byte, is what costs in JavaScript: pg_dump's 4 KB pieces do not do. */
export const chunkBytes = 1 << 20;

/** Cuts and gathers to chunks of exactly `size` bytes; only the last may be shorter. No empty chunks. */
export async function* gather(source: Bytes, size: number = chunkBytes): AsyncGenerator<Uint8Array, void, void> {
  let chunk: Uint8Array | undefined;
  let filled = 0;
  for await (const piece of source) {
    let offset = 0;
    while (offset < piece.length) {
      if (chunk === undefined && piece.length - offset >= size) {
        yield piece.subarray(offset, offset + size);
        offset += size;
        continue;
      }
      chunk ??= Buffer.allocUnsafeSlow(size);
      const taken = Math.min(piece.length - offset, size - filled);
      chunk.set(piece.subarray(offset, offset + taken), filled);
      filled += taken;
      offset += taken;
      if (filled === size) {
        yield chunk;
        chunk = undefined;
        filled = 0;
      }
    }
  }
  if (chunk !== undefined) yield chunk.subarray(0, filled);
}
