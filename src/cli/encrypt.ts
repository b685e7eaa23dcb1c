import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Failure } from '../api/failure.ts';
import { encryptBytes } from '../encryption/encrypt-bytes.ts';
import { sealKey } from '../encryption/seal-key.ts';
import type { Bytes } from '../pipeline/bytes.ts';
import type { CommandWorld } from './command-world.ts';
import { unreadable } from './read-identities.ts';
import { readRecipients, type RecipientOptions } from './read-recipients.ts';

export interface EncryptOptions extends RecipientOptions {
  readonly keyFile: string;
}

/**
 * Writes a file, encrypted under a key of its own, to stdout, and that key, wrapped for its recipients, to a file; `decrypt` reads both. Its
 * context is a random number that the two have alone: it can stand for no backup, and for no other file.
 * @param path - for stdin
 * @throws Failure RecipientInvalid, IdentityInvalid when the key file is there already, FileMissing
 */
export async function encrypt(world: CommandWorld, path: string, options: EncryptOptions): Promise<number> {
  const recipients = await readRecipients(world, options);
  const random = (bytes: number): Uint8Array => world.random.bytes(bytes);
  const key = Uint8Array.from(random(32));
  const context = { 'pgbackup:file': Buffer.from(random(16)).toString('hex') };
  const sealed = await sealKey(key, recipients, context, random);
  // Before a byte that nobody could read without it.
  await writeNew(world, options.keyFile, sealed.bytes);
  await pipeline(Readable.from(encryptBytes(key, context)(read(world, path))), world.stdout, {
    end: false,
    signal: world.signal,
  });
  world.stderr.write(`for ${sealed.recipients.join(', ')}; what opens it needs ${options.keyFile}, too\n`);
  return 0;
}

async function* read(world: CommandWorld, path: string): Bytes {
  const stream: Bytes =
    path === '-' ? world.stdin : createReadStream(resolve(world.folder, path), { highWaterMark: 1024 * 1024 });
  try {
    yield* stream;
  } catch (error) {
    throw unreadable(path, error);
  }
}

async function writeNew({ folder }: CommandWorld, path: string, bytes: Uint8Array): Promise<void> {
  const whole = resolve(folder, path);
  try {
    const file = await open(whole, 'wx', 0o644);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    const parent = await open(dirname(whole));
    try {
      await parent.sync();
    } finally {
      await parent.close();
    }
  } catch (error) {
    const isThere = error instanceof Error && 'code' in error && error.code === 'EEXIST';
    if (!isThere) throw new Failure('IdentityInvalid', `${path} cannot be written: ${String(error)}`, { cause: error });
    throw new Failure('IdentityInvalid', `${path} is there already, and another file may need what is in it`, {
      hint: 'give another name with --key-file',
      cause: error,
    });
  }
}
