import { createHash } from 'node:crypto';
import type { Manifest } from '../../domain/manifest.ts';
import type { Storage } from '../../storage/storage.ts';
import { readManifest } from '../read-manifest.ts';
import type { StoredCopy } from './destination.ts';

export interface FoundCopy {
  readonly manifest: Manifest;
  readonly bytes: Uint8Array;
  readonly copy: StoredCopy;
}

/**
 * The committed backup under a manifest's key, or undefined when there is none.
 * @throws Failure ManifestInvalid when something is there that cannot be understood (it is never written over), and the store's own
 */
export async function findCopy(storage: Storage, key: string, signal: AbortSignal): Promise<FoundCopy | undefined> {
  const found = await readManifest(storage, key, signal);
  return found === undefined ? undefined : { ...found, copy: describeCopy(found.manifest, found.bytes) };
}

export function describeCopy(manifest: Manifest, bytes: Uint8Array): StoredCopy {
  return {
    attempt: manifest.attempt,
    bytes: manifest.storedBytes + bytes.length,
    manifestSha256: createHash('sha256').update(bytes).digest('hex'),
  };
}
