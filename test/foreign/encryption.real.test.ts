import { execFile } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encryptBytes } from '../../src/encryption/encrypt-bytes.ts';
import { readRsaRecipient } from '../../src/encryption/recipient.ts';
import { sealKey } from '../../src/encryption/seal-key.ts';
import type { Bytes } from '../../src/pipeline/bytes.ts';
import { foreignPrograms, whyMissing } from './programs.ts';

const script = fileURLToPath(new URL('../../scripts/foreign/open-message.py', import.meta.url));
const context = { 'pgbackup:backup': 'nightly-1', 'pgbackup:database': 'shöp' };

async function* pieces(bytes: Uint8Array): Bytes {
  for (let at = 0; at < bytes.length; at += 300_000) yield bytes.subarray(at, at + 300_000);
}
async function collect(bytes: Bytes): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of bytes) chunks.push(chunk);
  return Buffer.concat(chunks);
}

describe.skipIf(whyMissing('python') !== undefined)('The AWS Encryption SDK for Python', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pgbackup-messages-'));
  });
  afterAll(async () => rm(folder, { recursive: true, force: true }));

  const open = async (
    kind: 'rsa' | 'aes',
    name: string,
    key: string,
    message: string,
    plain: string,
  ): Promise<void> => {
    const command = '"$1" "$2" "$3" "$4" "$5" < "$6" > "$7"';
    const args = [
      foreignPrograms.python,
      script,
      kind,
      name,
      join(folder, key),
      join(folder, message),
      join(folder, plain),
    ];
    await promisify(execFile)('bash', ['-c', command, 'bash', ...args]);
  };

  test('opens the key of a backup with a private key, and with that what was stored', async () => {
    const rsa = generateKeyPairSync('rsa', {
      modulusLength: 3072,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    const key = new Uint8Array(randomBytes(32));
    const random = (bytes: number): Uint8Array => new Uint8Array(randomBytes(bytes));
    const others = [
      { kind: 'key', key: random(32) } as const,
      { kind: 'passphrase', passphrase: 'six random words' } as const,
    ];
    const sealed = await sealKey(key, [...others, readRsaRecipient(rsa.publicKey)], context, random);
    await writeFile(join(folder, 'private-key.pem'), rsa.privateKey);
    await writeFile(join(folder, 'key.enc'), sealed.bytes);
    await open('rsa', sealed.recipients[2] ?? '', 'private-key.pem', 'key.enc', 'key');
    expect(new Uint8Array(await readFile(join(folder, 'key')))).toEqual(key);

    for (const length of [0, 1, 1024 * 1024, 5_000_000]) {
      const bytes = randomBytes(length);
      await writeFile(join(folder, 'dump.enc'), await collect(encryptBytes(key, context)(pieces(bytes))));
      await open('aes', 'backup', 'key', 'dump.enc', 'dump');
      expect((await readFile(join(folder, 'dump'))).equals(bytes)).toBe(true);
    }
  });
});
