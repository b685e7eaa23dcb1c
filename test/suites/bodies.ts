import { createHash } from 'node:crypto';
import type { Bytes } from '../../src/storage/storage.ts';

/** `length` bytes that look random and are the same every time, in chunks of `chunk` bytes. */
export async function* patternBody(length: number, chunk = 1024 * 1024): AsyncGenerator<Uint8Array, void, undefined> {
  for (let position = 0; position < length; position += chunk) {
    yield pattern(position, Math.min(chunk, length - position));
  }
}

/** The bytes of `patternBody` from `start`. */
export function pattern(start: number, length: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(length);
  for (let copied = 0; copied < length;) {
    const from = (start + copied) % tile.length;
    copied += tile.copy(bytes, copied, from, Math.min(tile.length, from + length - copied));
  }
  return bytes;
}

/** A prime length: no part border ever falls on the same byte of it. */
const tile = makeTile(1_048_573);

function makeTile(length: number): Buffer {
  const made = Buffer.allocUnsafe(length);
  let state = 0x2545f491;
  for (let index = 0; index < length; index += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    made[index] = state & 0xff;
  }
  return made;
}

export async function* textBody(...chunks: readonly string[]): AsyncGenerator<Uint8Array, void, undefined> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}

export async function readAll(body: Bytes): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export async function readText(body: Bytes): Promise<string> {
  return (await readAll(body)).toString();
}

/** Length and SHA-256, without keeping the bytes. */
export async function digest(body: Bytes): Promise<string> {
  const hash = createHash('sha256');
  let length = 0;
  for await (const chunk of body) {
    hash.update(chunk);
    length += chunk.length;
  }
  return `${length} ${hash.digest('hex')}`;
}
