import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Failure } from '../api/failure.ts';
import { manifestKey } from '../domain/layout.ts';
import { parseManifestAnywhere } from '../domain/manifest.ts';
import { isSignedBy, nameOfSigner, readVerifyingKey } from '../encryption/signing-key.ts';
import type { CommandWorld } from './command-world.ts';
import { print } from './print.ts';
import { readKeyFile, unreadable } from './read-identities.ts';

export interface VerifyManifestOptions {
  readonly signature: string;
  readonly publicKey: string;
}

/**
 * Checks a manifest against its signature, and prints the key under which it must lie: a signed manifest at another place is a copy of something else.
 * @throws Failure SignatureInvalid, SigningKeyInvalid, ManifestInvalid, FileMissing
 */
export async function verifyManifest(
  world: CommandWorld,
  path: string,
  options: VerifyManifestOptions,
): Promise<number> {
  const key = readVerifyingKey((await readKeyFile(world, options.publicKey)).toString('utf8'));
  const signature = await readKeyFile(world, options.signature);
  const bytes = await readFile(resolve(world.folder, path)).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  if (!isSignedBy(bytes, signature, key))
    throw new Failure('SignatureInvalid', `${path} is not what ${nameOfSigner(key)} signed`);
  const { namespace, policy, backup } = parseManifestAnywhere(path, bytes.toString('utf8'));
  const where = manifestKey(namespace, policy.name, backup.id);
  return await print(`signed by ${nameOfSigner(key)}, as ${where}\n`, world);
}
