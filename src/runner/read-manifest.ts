import { toFailure } from '../api/failure.ts';
import { manifestMaxBytes, parseManifest, type Manifest } from '../domain/manifest.ts';
import type { Storage } from '../storage/storage.ts';
import { readSmall } from './read-small.ts';

export interface ReadManifest {
  readonly manifest: Manifest;
  readonly bytes: Buffer;
}

/**
 * The manifest under a key, or undefined when there is none.
 * @throws Failure ManifestInvalid when what is there cannot be understood, and the store's own
 */
export async function readManifest(
  storage: Storage,
  key: string,
  signal: AbortSignal,
): Promise<ReadManifest | undefined> {
  let bytes: Buffer;
  try {
    bytes = await readSmall(storage, key, manifestMaxBytes, signal);
  } catch (error) {
    if (toFailure(error).reason === 'ObjectMissing') return undefined;
    throw error;
  }
  return { manifest: parseManifest(key, bytes.toString('utf8')), bytes };
}
