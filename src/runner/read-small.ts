import { Failure } from '../api/failure.ts';
import type { Storage } from '../storage/storage.ts';

/**
 * All bytes of a small object.
 * @throws Failure ObjectMissing when it is not there, ManifestInvalid when it is longer than `maxBytes` (nothing of ours is)
 */
export async function readSmall(storage: Storage, key: string, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of storage.get(key, undefined, signal)) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new Failure('ManifestInvalid', `${key} is larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
