import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Failure } from '../api/failure.ts';
import { makeKeyPair, makeSigningPair } from '../encryption/make-key-pair.ts';
import type { CommandWorld } from './command-world.ts';

export interface KeygenOptions {
  /** Named after its use if absent. */
  readonly out: string | undefined;
  readonly bits: number;
  /** For signatures of manifests, instead of for encryption. */
  readonly signing: boolean;
}

/**
 * Writes a new private key to a file that only its owner reads, and its public key to stdout.
 * @throws Failure IdentityInvalid when the file is there: a key that is lost opens nothing any more
 */
export async function keygen({ folder, stdout, stderr }: CommandWorld, options: KeygenOptions): Promise<number> {
  const { bits, signing, out = signing ? 'signing-key.pem' : 'private-key.pem' } = options;
  const pair = signing ? makeSigningPair() : await makeKeyPair(bits);
  try {
    await writeFile(resolve(folder, out), pair.privateKey, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    const isThere = error instanceof Error && 'code' in error && error.code === 'EEXIST';
    if (!isThere) throw new Failure('IdentityInvalid', `${out} cannot be written: ${String(error)}`, { cause: error });
    throw new Failure('IdentityInvalid', `${out} is there already, and backups may need what is in it`, {
      hint: 'give another name with --out',
      cause: error,
    });
  }
  stdout.write(pair.publicKey);
  const advice = signing ? 'who has it can forge backups' : 'keep it where the backups are not, twice';
  stderr.write(`the private key of ${pair.name} is in ${out}: ${advice}\n`);
  return 0;
}
