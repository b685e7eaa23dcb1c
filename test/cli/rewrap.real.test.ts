import { spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { contextOfKey } from '../../src/domain/encryption-context.ts';
import { manifestKey, sealedKeyKey } from '../../src/domain/layout.ts';
import { printManifest } from '../../src/domain/manifest.ts';
import type { TaskLocation } from '../../src/domain/task.ts';
import { readRsaIdentity, type Identity } from '../../src/encryption/identity.ts';
import { openKey, readSealedHead } from '../../src/encryption/open-key.ts';
import { readPassphrase, readRsaRecipient, type Recipient } from '../../src/encryption/recipient.ts';
import { sealKey } from '../../src/encryption/seal-key.ts';
import { rewrapBackup, type RewrapWanted } from '../../src/local/rewrap-backup.ts';
import { WholeBytes } from '../../src/storage/whole-bytes.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { compileCache } from '../compile-cache.ts';
import { manifestOf } from '../runner/manifest-of.ts';
import { openPlace, placeKinds, startStand, type Stand } from '../runner/stand.ts';
import { sftpLocation, sftpSecret } from '../runner/run-with.ts';
import { startKms } from '../servers/kms.ts';
import { startSshd } from '../servers/sshd.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const go = new AbortController().signal;
const random = (bytes: number): Uint8Array => new Uint8Array(randomBytes(bytes));
const pair = () =>
  generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
const [old, fresh] = [pair(), pair()];
const opener = { old: readRsaIdentity(old.privateKey), fresh: readRsaIdentity(fresh.privateKey) } as const;
const secret = random(32);

let stand: Stand;
beforeAll(async () => {
  stand = await startStand();
  await writeFile(join(stand.folder, 'old.pem'), old.privateKey);
  await writeFile(join(stand.folder, 'old.pub'), old.publicKey);
  await writeFile(join(stand.folder, 'fresh.pem'), fresh.privateKey);
  await writeFile(join(stand.folder, 'fresh.pub'), fresh.publicKey);
});
afterAll(async () => stand?.stop());

const keyOf = (id: string): string => sealedKeyKey(`shop/nightly/${id}/`, 'a1b2c3d4');
const pathOf = (id: string): string => manifestKey('shop', 'nightly', id);
/** Manifest and key of a backup, as a run leaves them. */
async function store(storage: Storage, id: string, key = keyOf(id)): Promise<void> {
  const manifest = manifestOf(id, { format: 2, encryption: { key, recipients: ['rsa:then'] } });
  const sealed = await sealKey(secret, [readRsaRecipient(old.publicKey)], contextOfKey(manifest), random);
  await storage.put(key, new WholeBytes(sealed.bytes), {}, go);
  await storage.put(pathOf(id), new WholeBytes(Buffer.from(printManifest(manifest))), {}, go);
}
async function read(storage: Storage, key: string): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of storage.get(key, undefined, go)) chunks.push(chunk);
  return Buffer.concat(chunks);
}
const contextOf = (id: string) => contextOfKey(manifestOf(id));
const opens = async (bytes: Uint8Array, id: string, identity: Identity): Promise<boolean> =>
  openKey(bytes, [identity], contextOf(id)).then(
    (key) => Buffer.from(key).equals(secret),
    () => false,
  );
const wanted = (identities: readonly Identity[], recipients: readonly Recipient[]): RewrapWanted => ({
  identities,
  recipients,
  dryRun: false,
  random,
});

test.each(placeKinds)(
  'a key file at %s is the old one or the new one at every moment, while it is written over again and again',
  async (kind) => {
    const location = (await stand.fresh())[kind];
    const [writer, reader] = [await stand.open(location), await stand.open(location)];
    await store(writer, 'one');
    const over = new AbortController();
    const seen = { old: 0, fresh: 0, other: 0 };
    const watching = (async () => {
      while (!over.signal.aborted) {
        const bytes = await read(reader, keyOf('one')).catch(() => Buffer.alloc(0));
        if (await opens(bytes, 'one', opener.old)) seen.old += 1;
        else if (await opens(bytes, 'one', opener.fresh)) seen.fresh += 1;
        else seen.other += 1;
      }
    })();
    const pairs = [
      [opener.old, fresh.publicKey],
      [opener.fresh, old.publicKey],
    ] as const;
    try {
      for (let turn = 0; turn < 30; turn += 1) {
        const [identity, publicKey] = pairs[turn % 2] ?? pairs[0];
        const done = await rewrapBackup(writer, pathOf('one'), wanted([identity], [readRsaRecipient(publicKey)]), go);
        expect(done).toMatchObject({ outcome: 'Rewrapped', proven: false });
      }
    } finally {
      over.abort();
      await watching;
    }
    expect(seen).toEqual({ old: expect.any(Number), fresh: expect.any(Number), other: 0 });
    expect(seen.old * seen.fresh).toBeGreaterThan(0);
    expect(await stand.keys(location)).toEqual([keyOf('one'), pathOf('one')]);
    await writer.close();
    await reader.close();
  },
);

describe('A backup that is rewrapped', () => {
  const changed = async (recipients: readonly Recipient[], identities: readonly Identity[] = [opener.old]) => {
    const { directory } = await stand.fresh();
    const storage = await stand.open(directory);
    await store(storage, 'one');
    const manifest = await read(storage, pathOf('one'));
    const before = await read(storage, keyOf('one'));
    const done = await rewrapBackup(storage, pathOf('one'), wanted(identities, recipients), go);
    expect((await read(storage, pathOf('one'))).equals(manifest)).toBe(true);
    return { done, before, after: await read(storage, keyOf('one')) };
  };

  test('opens for its new recipients of every kind and not for the old one; its old key file still does', async () => {
    const kms = await startKms();
    const key = kms.addKey();
    const { makeAgents } = await import('../../src/storage/s3-agent.ts');
    const access = {
      endpoint: kms.endpoint,
      credentials: { accessKeyId: kms.accessKeyId, secretAccessKey: kms.secretAccessKey },
      agents: makeAgents({ endpoint: kms.endpoint }),
      limit: async <T>(work: (signal: AbortSignal) => Promise<T>) => work(go),
    };
    const raw = random(32);
    const words = 'six random words are enough';
    const { done, before, after } = await changed([
      readRsaRecipient(fresh.publicKey),
      { kind: 'key', key: raw },
      readPassphrase(words),
      { kind: 'kms', keyId: key.arn, region: 'eu-west-1', access },
    ]);
    expect(done).toMatchObject({ outcome: 'Rewrapped', proven: true });
    expect(readSealedHead(after).recipients.map(({ name }) => name)).toEqual(done.after);
    const openers: readonly Identity[] = [
      opener.fresh,
      { kind: 'key', key: raw },
      { kind: 'passphrase', passphrase: words },
      { kind: 'kms', access },
    ];
    for (const identity of openers) expect(await opens(after, 'one', identity)).toBe(true);
    expect(await opens(after, 'one', opener.old)).toBe(false);
    // What is documented: who kept a copy keeps what it opens.
    expect(await opens(before, 'one', opener.old)).toBe(true);
    await kms.stop();
  });

  test('is left alone when it is for the same already, and by who does not open it', async () => {
    const same = await changed([readRsaRecipient(old.publicKey)]);
    expect(same.done.outcome).toBe('Unchanged');
    expect(same.after.equals(same.before)).toBe(true);
    await expect(changed([readRsaRecipient(fresh.publicKey)], [opener.fresh])).rejects.toMatchObject({
      reason: 'IdentityMissing',
    });
  });

  test('is refused when its manifest names the key file of another one', async () => {
    const { directory } = await stand.fresh();
    const storage = await stand.open(directory);
    await store(storage, 'two');
    const theirs = await read(storage, keyOf('two'));
    const manifest = manifestOf('one', { format: 2, encryption: { key: keyOf('two'), recipients: ['x'] } });
    await storage.put(pathOf('one'), new WholeBytes(Buffer.from(printManifest(manifest))), {}, go);
    const work = rewrapBackup(storage, pathOf('one'), wanted([opener.old], [readRsaRecipient(fresh.publicKey)]), go);
    await expect(work).rejects.toMatchObject({ reason: 'ManifestInvalid' });
    expect((await read(storage, keyOf('two'))).equals(theirs)).toBe(true);
  });

  test('is refused by a server that cannot replace a file in one step, and keeps its key file', async () => {
    const path = join(stand.folder, 'no-rename');
    await mkdir(path);
    const sshd = await startSshd({
      dir: join(stand.folder, 'sshd-2'),
      sftpServer: 'internal-sftp -P posix-rename',
    });
    const storage = await openPlace(sftpLocation('remote', sshd, path), sftpSecret(sshd));
    await store(storage, 'one');
    const before = await read(storage, keyOf('one'));
    const work = rewrapBackup(storage, pathOf('one'), wanted([opener.old], [readRsaRecipient(fresh.publicKey)]), go);
    await expect(work).rejects.toMatchObject({
      reason: 'StorageConfigInvalid',
      hint: expect.stringContaining('posix'),
    });
    expect((await read(storage, keyOf('one'))).equals(before)).toBe(true);
    await storage.close();
    await sshd.stop();
  });
});

describe('pgbackup rewrap', () => {
  const files = (location: TaskLocation, accessMode = 'ReadWrite'): string =>
    JSON.stringify({
      apiVersion: 'pgbackup.dev/v1beta1',
      kind: 'BackupLocation',
      metadata: { name: 'disk', namespace: 'shop' },
      spec: { directory: { path: location.place.directory?.path }, accessMode },
    });
  const start = (text: string, args: readonly string[]) => {
    const child = spawn(process.execPath, [main, 'rewrap', '-', ...args], {
      cwd: stand.folder,
      env: { ...compileCache, PATH: process.env['PATH'] ?? '' },
      stdio: 'pipe',
    });
    const written = { stdout: '', stderr: '' };
    child.stdout.on('data', (piece: Buffer) => (written.stdout += piece.toString()));
    child.stderr.on('data', (piece: Buffer) => (written.stderr += piece.toString()));
    child.stdin.end(text);
    return { child, written, code: new Promise<number | null>((resolve) => child.once('close', resolve)) };
  };
  const toFresh = ['--identity', 'old.pem', '--recipient', 'fresh.pub'];

  test('that is killed in the middle leaves key files old or new, and one that is started again ends the work', async () => {
    const { directory } = await stand.fresh();
    const storage = await stand.open(directory);
    const ids = Array.from({ length: 30 }, (_, index) => `nightly-${index}`);
    for (const id of ids) await store(storage, id);
    const states = async (): Promise<readonly string[]> =>
      Promise.all(
        ids.map(async (id) => {
          const bytes = await read(storage, keyOf(id));
          if (await opens(bytes, id, opener.old)) return 'old';
          return (await opens(bytes, id, opener.fresh)) ? 'fresh' : 'neither';
        }),
      );
    const args = ['--policy', 'nightly', '--identity', 'fresh.pem', ...toFresh];
    let killed = 0;
    for (const lines of [1, 8]) {
      const { child, written, code } = start(files(directory), args);
      child.stdout.on('data', () => {
        if (written.stdout.split(': changed').length > lines) child.kill('SIGKILL');
      });
      await code;
      if (child.signalCode === 'SIGKILL') killed += 1;
      expect(await states()).not.toContain('neither');
    }
    expect(killed).toBeGreaterThan(0);
    const { written, code } = start(files(directory), args);
    expect(await code, written.stderr).toBe(0);
    expect(new Set(await states())).toEqual(new Set(['fresh']));
    expect(written.stdout.split('\n').filter((line) => line.includes(': unchanged')).length).toBeGreaterThan(0);
  });

  test('shows what it would do, changes one backup or a whole policy, and names what it cannot change', async () => {
    const { directory } = await stand.fresh();
    const storage = await stand.open(directory);
    for (const id of ['one', 'two', 'broken']) await store(storage, id);
    await storage.put(pathOf('plain'), new WholeBytes(Buffer.from(printManifest(manifestOf('plain')))), {}, go);
    await storage.put(keyOf('broken'), new WholeBytes(Buffer.from('no message')), {}, go);
    const run = async (args: readonly string[], text = files(directory)) => {
      const { written, code } = start(text, args);
      return { code: await code, ...written };
    };
    const before = await read(storage, keyOf('one'));
    const tried = await run(['--backup', 'one', '--dry-run', ...toFresh]);
    expect(tried, tried.stderr).toMatchObject({ code: 0 });
    expect(tried.stdout).toMatch(/^disk shop\/nightly\/one: would change: rsa:[0-9a-f]{64} -> rsa:[0-9a-f]{64}\n$/);
    expect((await read(storage, keyOf('one'))).equals(before)).toBe(true);

    const one = await run(['--backup', 'one', ...toFresh]);
    expect([one.code, one.stdout], one.stderr).toEqual([0, expect.stringContaining('not opened again')]);
    expect(await opens(await read(storage, keyOf('one')), 'one', opener.fresh)).toBe(true);
    expect(await opens(await read(storage, keyOf('two')), 'two', opener.old)).toBe(true);

    const all = await run(['--policy', 'nightly', '--identity', 'fresh.pem', ...toFresh]);
    expect(all.code).toBe(65);
    expect(all.stderr).toMatch(/^disk shop\/nightly\/broken: KeyDamaged: /);
    expect(all.stdout).toContain('disk shop/nightly/plain: not encrypted\n');
    expect(all.stdout).toContain('disk shop/nightly/one: unchanged');
    expect(await opens(await read(storage, keyOf('two')), 'two', opener.fresh)).toBe(true);

    const nobody = await run(['--policy', 'nightly', '--identity', 'fresh.pem']);
    expect([nobody.code, nobody.stderr]).toEqual([78, expect.stringContaining('nobody is named')]);
    const absent = await run(['--backup', 'three', ...toFresh]);
    expect([absent.code, absent.stderr]).toEqual([expect.any(Number), expect.stringContaining('no such backup')]);
    expect(absent.code).not.toBe(0);
    for (const [mode, said] of [
      ['AppendOnly', 'nothing is written over'],
      ['ReadOnly', 'nothing is written'],
    ] as const) {
      const refused = await run(['--policy', 'nightly', ...toFresh], files(directory, mode));
      expect([refused.code, refused.stderr]).toEqual([expect.any(Number), expect.stringContaining(said)]);
      expect(refused.code).not.toBe(0);
    }
  });
});

test('pgbackup encrypt and decrypt are each other’s partners, and a key file is never written over', async () => {
  const bytes = randomBytes(3_000_000);
  await writeFile(join(stand.folder, 'file'), bytes);
  const run = async (line: string) => {
    const child = spawn('bash', ['-c', line], {
      cwd: stand.folder,
      env: { ...compileCache, PATH: process.env['PATH'] ?? '', NODE: process.execPath, MAIN: main },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    child.stderr.on('data', (piece: Buffer) => (stderr += piece.toString()));
    return { code: await new Promise<number | null>((resolve) => child.once('close', resolve)), stderr: () => stderr };
  };
  const first = await run(
    '"$NODE" "$MAIN" encrypt --key-file file.key --recipient old.pub file > file.enc && ' +
      '"$NODE" "$MAIN" decrypt --key-file file.key --identity old.pem file.enc > back',
  );
  expect(first.code, first.stderr()).toBe(0);
  expect((await readFile(join(stand.folder, 'back'))).equals(bytes)).toBe(true);
  const key = await readFile(join(stand.folder, 'file.key'));
  const again = await run('"$NODE" "$MAIN" encrypt --key-file file.key --recipient old.pub file > other.enc');
  expect([again.code, again.stderr()]).toEqual([78, expect.stringContaining('is there already')]);
  expect((await readFile(join(stand.folder, 'file.key'))).equals(key)).toBe(true);
  // Of another pair: each has a context of its own.
  const mixed = await run(
    '"$NODE" "$MAIN" encrypt --key-file second.key --recipient old.pub file > second.enc && ' +
      '"$NODE" "$MAIN" decrypt --key-file file.key --identity old.pem second.enc > nothing',
  );
  expect([mixed.code, mixed.stderr()]).toEqual([65, expect.stringContaining('it belongs to pgbackup:file')]);
});
