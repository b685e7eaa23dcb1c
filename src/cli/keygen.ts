import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Failure } from '../api/failure.ts';
import { makeKeyPair } from '../encryption/make-key-pair.ts';
import type { CommandWorld } from './command-world.ts';

export interface KeygenOptions {
  readonly out: string;
  readonly bits: number;
}

/**
 * Writes a new private key to a file that only its owner reads, and its public key to stdout.
 * @throws Failure IdentityInvalid when the file is there: a key that is lost opens nothing any more
 */
export async function keygen({ folder, stdout, stderr }: CommandWorld, { out, bits }: KeygenOptions): Promise<number> {
  const pair = await makeKeyPair(bits);
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
  stderr.write(`the private key of ${pair.name} is in ${out}: keep it where the backups are not, twice\n`);
  return 0;
}
