import type { Bytes } from '../../src/pipeline/bytes.ts';

/** `content` in pieces of `size` bytes. */
export async function* inPieces(content: Uint8Array, size: number): AsyncGenerator<Uint8Array, void, void> {
  for (let offset = 0; offset < content.length; offset += size) yield content.subarray(offset, offset + size);
}

/** The first `bytes` of `content` in pieces, and then the error. */
export async function* failingAfter(
  content: Uint8Array,
  bytes: number,
  size: number,
  error: Error,
): AsyncGenerator<Uint8Array, void, void> {
  yield* inPieces(content.subarray(0, bytes), size);
  throw error;
}

export async function collect(source: Bytes): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** What a promise rejects with; fails if it does not. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}

/** Bytes that compress somewhat, the same for the same seed. */
export function sampleBytes(length: number, seed = 1): Buffer {
  const content = Buffer.alloc(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    content[i] = i % 3 === 0 ? 65 : (state >>> 16) & 0xff;
  }
  return content;
}
