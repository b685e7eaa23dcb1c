import { createPrivateKey, sign } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import { manifestKey, parseAttemptKey, signatureKey } from '../../src/domain/layout.ts';
import { listObjects, parseManifest, printManifest, type Manifest } from '../../src/domain/manifest.ts';
import { makeKeyPair, makeSigningPair } from '../../src/encryption/make-key-pair.ts';
import { readSigningKey, signManifest } from '../../src/encryption/signing-key.ts';
import { checkSignature, type SignedBy } from '../../src/runner/check-signature.ts';
import { readManifest } from '../../src/runner/read-manifest.ts';
import { openDirectory } from '../../src/storage/directory.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { systemRandom } from '../../src/support/clock.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { manifestOf } from './manifest-of.ts';

const go = new AbortController().signal;
const ours = makeSigningPair();
const stranger = makeSigningPair();
const sha256 = 'a'.repeat(64);
const pathOf = (id: string): string => manifestKey('shop', 'nightly', id);
const sigOf = (id: string): string => signatureKey(`shop/nightly/${id}/`, 'a1b2c3d4');

let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;
let place: Storage;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
  place = openDirectory({ path: folder.path }, { random: systemRandom });
});
afterAll(async () => folder?.remove());

function signedManifest(id: string, changes: Partial<Manifest> = {}, by = ours): Manifest {
  const volumes = [{ key: `shop/nightly/${id}/a1b2c3d4/orders.dump.zst`, bytes: 1000, sha256 }];
  const digest = { bytes: 1000, sha256 };
  return manifestOf(id, {
    databases: [
      {
        name: 'orders',
        outcome: 'stored',
        artifacts: [{ volumes, plain: digest, stored: digest, format: 'custom', compression: 'zstd' }],
      },
    ],
    signature: { key: sigOf(id), keyId: by.name },
    ...changes,
  });
}
async function lay(key: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(join(folder.path, key)), { recursive: true });
  await writeFile(join(folder.path, key), content);
}
const signed = (bytes: Uint8Array, by = ours): Uint8Array => signManifest(bytes, readSigningKey(by.privateKey));
async function store(id: string, manifest = signedManifest(id), by = ours): Promise<Buffer> {
  const bytes = Buffer.from(printManifest(manifest));
  await lay(pathOf(id), bytes);
  await lay(sigOf(id), signed(bytes, by));
  return bytes;
}
async function reasonOf(work: () => Promise<void>): Promise<string> {
  try {
    await work();
    return 'passed';
  } catch (error) {
    return error instanceof Failure ? error.reason : String(error);
  }
}
const check = async (id: string, signedBy: SignedBy = [[ours.publicKey]]): Promise<string> =>
  reasonOf(async () => {
    const found = await readManifest(place, pathOf(id), go);
    if (found === undefined) throw new Error('absent');
    await checkSignature(place, found, signedBy, go);
  });

describe('A signed manifest', () => {
  test('passes with its key among others, in each list that is given, and without any', async () => {
    await store('one');
    expect(await check('one')).toBe('passed');
    expect(await check('one', [[stranger.publicKey, ours.publicKey], undefined])).toBe('passed');
    expect(await check('one', [[ours.publicKey], [ours.publicKey, stranger.publicKey]])).toBe('passed');
    expect(await check('one', [])).toBe('passed');
    for (const lists of [[[stranger.publicKey]], [[ours.publicKey], [stranger.publicKey]]])
      expect(await check('one', lists)).toBe('SignatureInvalid');
  });

  test('is refused with any byte of it changed, cut away or added, and with any byte of its signature changed', async () => {
    const bytes = await store('two');
    const signature = Buffer.from(signed(bytes));
    const kept: string[] = [];
    const expectRefused = async (what: string, manifest = bytes): Promise<void> => {
      const said = await reasonOf(async () => {
        const found = { manifest: parseManifest(pathOf('two'), manifest.toString()), bytes: manifest };
        await checkSignature(place, found, [[ours.publicKey]], go);
      });
      if (!['SignatureInvalid', 'SignatureMissing', 'ManifestInvalid'].includes(said)) kept.push(`${what}: ${said}`);
    };
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 7));
      await expectRefused(`byte ${at}`, changed);
    }
    for (const changed of [bytes.subarray(0, -1), Buffer.concat([bytes, Buffer.from('\n')]), Buffer.from('{}')])
      await expectRefused(`length ${changed.length}`, changed);
    for (let at = 0; at < signature.length; at += 1) {
      const changed = Buffer.from(signature);
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      await lay(sigOf('two'), changed);
      await expectRefused(`byte ${at} of the signature`);
    }
    for (const changed of [Buffer.alloc(0), signature.subarray(0, 63), Buffer.concat([signature, signature])]) {
      await lay(sigOf('two'), changed);
      await expectRefused(`a signature of ${changed.length} bytes`);
    }
    expect(kept).toEqual([]);
    await lay(sigOf('two'), signature);
    expect(await check('two')).toBe('passed');
  });

  test('is refused with any field changed, whatever it says then', async () => {
    const bytes = await store('three');
    const manifest = parseManifest(pathOf('three'), bytes.toString());
    const changed: Partial<Manifest>[] = [
      { backup: { ...manifest.backup, uid: 'another' } },
      { backup: { ...manifest.backup, slot: '2026-01-01T03:00:00Z' } },
      { policy: { ...manifest.policy, uid: 'another' } },
      { startedAt: '2027-01-01T03:00:00.000Z' },
      { completedAt: '2027-01-01T03:00:00.000Z' },
      { server: { version: '18.0', major: 18 } },
      { tools: { pgbackup: '9', pgDump: '18' } },
      { databases: [] },
      { databases: manifest.databases.map((one) => ({ ...one, name: 'other' })) },
      { plainBytes: 1 },
      { storedBytes: 1 },
      { notes: [{ reason: 'x', message: 'y' }] },
      { signature: { key: sigOf('three'), keyId: stranger.name } },
      { signature: undefined },
    ];
    for (const change of changed) {
      await lay(pathOf('three'), printManifest({ ...manifest, ...change }));
      const reason = 'signature' in change && change.signature === undefined ? 'SignatureMissing' : 'SignatureInvalid';
      expect([change, await check('three')]).toEqual([change, reason]);
    }
  });

  test('is refused with the signature of another backup, another key’s, none, and over bytes without their domain', async () => {
    const bytes = await store('four');
    const other = await store('five');
    await lay(sigOf('four'), signed(other));
    expect(await check('four')).toBe('SignatureInvalid');
    // Signed by a stranger who says that we did.
    await lay(sigOf('four'), signed(bytes, stranger));
    expect(await check('four')).toBe('SignatureInvalid');
    await lay(sigOf('four'), sign(undefined, bytes, createPrivateKey(ours.privateKey)));
    expect(await check('four')).toBe('SignatureInvalid');
    await rm(join(folder.path, sigOf('four')));
    expect(await check('four')).toBe('SignatureMissing');
    await store('four', signedManifest('four', {}, stranger), stranger);
    expect(await check('four')).toBe('SignatureInvalid');
    // A whole signature, but not where that of this backup lies.
    await store('six', signedManifest('six', { signature: { key: sigOf('five'), keyId: ours.name } }));
    expect(await check('six')).toBe('SignatureInvalid');
  });

  test('is refused at the place of another backup, policy or namespace', async () => {
    const bytes = await store('seven');
    for (const key of [
      pathOf('eight'),
      manifestKey('shop', 'weekly', 'seven'),
      manifestKey('prod', 'nightly', 'seven'),
    ]) {
      await lay(key, bytes);
      await expect(readManifest(place, key, go)).rejects.toMatchObject({ reason: 'ManifestInvalid' });
    }
  });

  test('names its signature among its objects, and the signature is of its try', () => {
    expect(listObjects(signedManifest('one')).map(({ key }) => key)).toContain(sigOf('one'));
    expect(parseAttemptKey(sigOf('one'))).toMatchObject({ backup: 'one', attempt: 'a1b2c3d4' });
  });
});

test('keys that are none, of another kind, or private where public ones are wanted are refused by name', async () => {
  await store('nine');
  const rsa = await makeKeyPair(2048);
  for (const pem of ['hello', rsa.publicKey, ours.privateKey])
    expect(await check('nine', [[pem]])).toBe('SigningKeyInvalid');
  for (const pem of ['hello', rsa.privateKey, ours.publicKey]) expect(() => readSigningKey(pem)).toThrow(Failure);
});
