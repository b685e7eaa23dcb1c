import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Failure } from '../api/failure.ts';
import { decryptBytes } from '../encryption/decrypt-bytes.ts';
import { recogniseIdentity, sealedKeyMaxBytes, type Identity } from '../encryption/identity.ts';
import { openKey, readSealedHead } from '../encryption/open-key.ts';
import type { Bytes } from '../pipeline/bytes.ts';
import type { CommandWorld } from './command-world.ts';

export interface DecryptOptions {
  readonly keyFile: string;
  readonly identity: readonly string[];
  readonly passphraseFile: string | undefined;
}

/**
 * Writes what volumes of one artifact hold (still compressed) to stdout; what comes out before an error proved itself, and is not all.
 * @param volumes in order; - for stdin
 * @throws Failure IdentityMissing, IdentityInvalid, KeyDamaged, BackupDamaged, FileMissing
 */
export async function decrypt(
  world: CommandWorld,
  volumes: readonly string[],
  options: DecryptOptions,
): Promise<number> {
  const sealed = await readSmallFile(world, options.keyFile);
  const { context } = readSealedHead(sealed);
  const words =
    options.passphraseFile === undefined
      ? undefined
      : (await readSmallFile(world, options.passphraseFile)).toString('utf8').replace(/\r?\n$/, '');
  const identities: Identity[] = [];
  for (const path of options.identity) identities.push(recogniseIdentity(await readSmallFile(world, path), words));
  const key = await openKey(sealed, identities, context);
  const plain = decryptBytes(key, context, true)(join(world, volumes));
  await pipeline(Readable.from(plain), world.stdout, { end: false, signal: world.signal });
  return 0;
}

/** For whom a key file is, and to what it belongs; needs no key, and proves nothing. */
export async function recipients(world: CommandWorld, keyFile: string): Promise<number> {
  const head = readSealedHead(await readSmallFile(world, keyFile));
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

function unreadable(path: string, cause: unknown): Failure {
  return new Failure('FileMissing', `${path} cannot be read: ${String(cause)}`, { cause });
}

async function readSmallFile(world: CommandWorld, path: string): Promise<Buffer> {
  try {
    const file = await open(resolve(world.folder, path));
    try {
      const { size } = await file.stat();
      if (size > sealedKeyMaxBytes) throw new Failure('FileRefused', `${path} is too large for a key (${size} bytes)`);
      return await file.readFile();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw unreadable(path, error);
  }
}
