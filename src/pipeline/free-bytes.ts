/**
 * Gives the memory of bytes back at once, not when V8 gets round to it: they are empty from now on. To be called by who made them, or was
 * told to be their last reader, and is done. Bytes that are a part of a buffer stay as they are: the rest may be somebody else's.
 */
export function freeBytes(bytes: Uint8Array): void {
  const { buffer } = bytes;
  if (buffer instanceof ArrayBuffer && bytes.byteLength === buffer.byteLength) buffer.transfer(0);
}
