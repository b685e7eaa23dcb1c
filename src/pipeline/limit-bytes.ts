import { Failure } from '../api/failure.ts';
import type { Bytes } from './bytes.ts';

/** Passes at most `limit` bytes. @throws Failure FileRefused when there are more: a small file that unpacks to no end. */
export async function* limitBytes(source: Bytes, limit: number, name: string): AsyncGenerator<Uint8Array, void, void> {
  let bytes = 0;
  for await (const chunk of source) {
    bytes += chunk.length;
    if (bytes > limit) {
      throw new Failure('FileRefused', `${name} unpacks to more than ${limit} bytes, far more than its size admits`, {
        hint: 'if it is known to be good, unpack it before it is uploaded',
      });
    }
    yield chunk;
  }
}
