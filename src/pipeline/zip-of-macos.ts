import type { SeekableBytes } from './seekable-bytes.ts';

/** A remedy for ZIPs whose sizes are wrong. */
export const macHint =
  'macOS (Compress in the Finder, ditto) writes wrong sizes above 4 GiB: pack it with zip -r in a terminal, or with gzip';

const modulus = 2 ** 32;
const longestEnd = 22 + 65_535;
const noted = 0xffff_ffff;

/**
 * Whether the end of a ZIP tells where its directory is modulo 4 GiB, as macOS writes it: the directory lies right before that end, and
 * not where it is said to.
 */
export async function isCutBy4GiB(file: SeekableBytes, signal: AbortSignal): Promise<boolean> {
  if (file.bytes <= modulus) return false;
  const start = Math.max(0, file.bytes - longestEnd);
  const chunks: Uint8Array[] = [];
  for await (const chunk of file.read(start, file.bytes, signal)) chunks.push(chunk);
  const tail = Buffer.concat(chunks);
  const at = tail.lastIndexOf('PK\x05\x06', undefined, 'latin1');
  if (at < 0 || at + 22 > tail.length) return false;
  const told = tail.readUInt32LE(at + 16);
  const real = start + at - tail.readUInt32LE(at + 12);
  return told !== noted && real > told && (real - told) % modulus === 0;
}
