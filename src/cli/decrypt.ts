import { createReadStream } from 'node:fs';
import { resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { decryptBytes } from '../encryption/decrypt-bytes.ts';
import { openKey, readSealedHead } from '../encryption/open-key.ts';
import type { Bytes } from '../pipeline/bytes.ts';
import type { CommandWorld } from './command-world.ts';
import { readIdentities, readKeyFile, unreadable, type IdentityOptions } from './read-identities.ts';

export interface DecryptOptions extends IdentityOptions {
  readonly keyFile: string;
}

/**
 * Writes what volumes of one artifact hold (still compressed) to stdout; what comes out before an error proved itself, and is not all.
 * @param volumes in order; - for stdin
 * @throws Failure IdentityMissing, IdentityInvalid, KeyDamaged, BackupDamaged, FileMissing and those of AWS KMS
 */
export async function decrypt(
  world: CommandWorld,
  volumes: readonly string[],
  options: DecryptOptions,
): Promise<number> {
  const sealed = await readKeyFile(world, options.keyFile);
  const { context } = readSealedHead(sealed);
  const key = await openKey(sealed, await readIdentities(world, options), context);
  const plain = decryptBytes(key, context, true)(join(world, volumes));
  await pipeline(Readable.from(plain), world.stdout, { end: false, signal: world.signal });
  return 0;
}

/** For whom a key file is, and to what it belongs; needs no key, and proves nothing. */
export async function recipients(world: CommandWorld, keyFile: string): Promise<number> {
  const head = readSealedHead(await readKeyFile(world, keyFile));
  for (const { name } of head.recipients) world.stdout.write(`${name}\n`);
  for (const [name, value] of Object.entries(head.context))
    world.stderr.write(`${JSON.stringify(name)}: ${JSON.stringify(value)}\n`);
  return 0;
}

async function* join(world: CommandWorld, volumes: readonly string[]): Bytes {
  for (const volume of volumes) {
    const stream: Bytes =
      volume === '-' ? world.stdin : createReadStream(resolve(world.folder, volume), { highWaterMark: 1024 * 1024 });
    try {
      yield* stream;
    } catch (error) {
      throw unreadable(volume, error);
    }
  }
}
