import { execFile } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { printManifest, parseManifest } from '../../src/domain/manifest.ts';
import type { BackupTask, InspectTask, TaskLocation } from '../../src/domain/task.ts';
import { makeSigningPair } from '../../src/encryption/make-key-pair.ts';
import { listBinDirs, startPostgres, type Postgres } from '../servers/postgres.ts';
import { restoreTaskOf } from './restore-task-of.ts';
import { attempts, backupTaskOf, pgSecret, podUids, runWith, type RunEnd } from './run-with.ts';
import { required, startStand, type Stand } from './stand.ts';

const [binDir = ''] = await listBinDirs(process.env['POSTGRES_BINDIRS']);
const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const ours = makeSigningPair();
const stranger = makeSigningPair();
const signing = { key: { secretName: 'signer', keys: { signingKey: 'signing-key.pem' } } };
const sig = `${attempts.first}/manifest.sig`;

let stand: Stand;
let server: Postgres;
beforeAll(async () => {
  stand = await startStand();
  server = await startPostgres({ binDir, dir: join(stand.folder, 'pg') });
  await server.sql('CREATE DATABASE shop');
  await server.sql('CREATE TABLE t AS SELECT i AS id FROM generate_series(1, 1000) i', 'shop');
});
afterAll(async () => {
  await server?.stop();
  await stand?.stop();
});

const secrets = (pem = ours.privateKey) => ({
  ...stand.secrets,
  ...pgSecret(server),
  signer: { 'signing-key.pem': pem },
});
const back = async (
  locations: readonly TaskLocation[],
  changes: Partial<BackupTask> = {},
  pem = ours.privateKey,
  podUid: string = podUids.first,
): Promise<RunEnd> => {
  const task = backupTaskOf(server, {
    databases: { names: ['shop'] },
    destinations: required(...locations),
    signing,
    ...changes,
  });
  return runWith(stand.folder, task, secrets(pem), [binDir], { podUid });
};
const restore = async (copies: readonly TaskLocation[], signedBy?: readonly string[]): Promise<RunEnd> => {
  const task = restoreTaskOf(server, copies);
  const target = { ...task.target, databases: [{ source: 'shop', target: 'back' }] };
  const source = { ...task.source, ...(signedBy === undefined ? {} : { signedBy: [...signedBy] }) };
  return runWith(stand.folder, { ...task, mode: 'Create', target, source }, secrets(), [binDir]);
};
const by = (location: TaskLocation, ...keys: readonly string[]): TaskLocation => ({ ...location, signedBy: [...keys] });
const expectRestored = async (ended: RunEnd): Promise<void> => {
  expect([ended.verdict.message, ended.verdict], ended.log).toMatchObject([undefined, { target: 'Restored' }]);
  expect(await server.sql('SELECT count(*)::int AS rows FROM t', 'back')).toEqual([{ rows: 1000 }]);
  await server.sql('DROP DATABASE back');
};
const expectRefused = async (ended: RunEnd, reason: string): Promise<void> => {
  expect(ended, ended.log).toMatchObject({ code: 65, verdict: { reason, target: 'Untouched' } });
  expect(await server.sql(`SELECT datname FROM pg_database WHERE datname ~ '^(back|pgbackup_)'`)).toEqual([]);
};
/** A file of a place, by the end of its key. */
const fileOf = async (location: TaskLocation, end: string): Promise<string> =>
  join(
    location.place.directory?.path ?? '',
    (await stand.keys(location)).find((key) => key.endsWith(end)) ?? `absent ${end}`,
  );
const inspect = async (location: TaskLocation): Promise<RunEnd> => {
  const task: InspectTask = {
    version: 1,
    kind: 'inspect',
    namespace: 'shop',
    location,
    accessMode: 'ReadWrite',
    inspector: '5eed5eed',
    probe: false,
    fullPart: false,
    pageSize: 100,
    waitForSecretSeconds: 1,
  };
  return runWith(stand.folder, task, secrets(), []);
};

test('a run signs its manifest at every place, and it comes back where location or restore ask who signed it', async () => {
  const { s3, directory } = await stand.fresh();
  const ended = await back([by(s3, ours.publicKey), directory]);
  expect([ended.code, ended.verdict], ended.log).toMatchObject([0, { verdict: 'Succeeded' }]);
  for (const place of [s3, directory])
    expect((await stand.keys(place)).filter((key) => key.endsWith(sig))).toHaveLength(1);
  expect(ended.log).not.toContain('PRIVATE KEY');
  await expectRestored(await restore([directory]));
  await expectRestored(await restore([by(s3, stranger.publicKey, ours.publicKey)], [ours.publicKey]));
  await expectRefused(await restore([directory], [stranger.publicKey]), 'SignatureInvalid');
  await expectRefused(await restore([by(directory, ours.publicKey)], [stranger.publicKey]), 'SignatureInvalid');
  // The next try adopts it: it is its own.
  const again = await back([s3], {}, ours.privateKey, podUids.second);
  expect(again.verdict, again.log).toMatchObject({ verdict: 'Succeeded', attempt: attempts.first });
});

describe('Who writes to a place', () => {
  test('gets nothing restored that it changed, forged or left unsigned; a good copy is taken instead', async () => {
    const { directory, s3 } = await stand.fresh();
    expect((await back([directory, s3])).verdict).toMatchObject({ verdict: 'Succeeded' });
    const [path, signature] = [await fileOf(directory, 'manifest.json'), await fileOf(directory, sig)];
    const dump = await fileOf(directory, 'shop.dump.zst');
    const [was, wasSignature] = [await readFile(path), await readFile(signature)];
    const manifest = parseManifest('shop/nightly/nightly-20260101t030000z/manifest.json', was.toString());
    const bad = by(directory, ours.publicKey);
    // Sizes and hashes of another dump, as the writer of the place would put them in.
    await writeFile(path, printManifest({ ...manifest, plainBytes: 1 }));
    await expectRefused(await restore([bad]), 'SignatureInvalid');
    const { signature: _none, ...unsigned } = manifest;
    await writeFile(path, printManifest(unsigned));
    await expectRefused(await restore([bad]), 'SignatureMissing');
    await expectRestored(await restore([bad, by(s3, ours.publicKey)]));
    await writeFile(path, was);
    await writeFile(signature, wasSignature.subarray(0, 63));
    await expectRefused(await restore([bad]), 'SignatureInvalid');
    await rm(signature);
    await expectRefused(await restore([bad]), 'SignatureMissing');
    await writeFile(signature, wasSignature);
    // The manifest is as it was signed; what it names is not.
    const bytes = await readFile(dump);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    await writeFile(dump, bytes);
    await expectRefused(await restore([bad]), 'BackupDamaged');
  });

  test('gets nothing shown as a backup by an inspection, but as damaged; without keys it is one', async () => {
    const { directory } = await stand.fresh();
    expect((await back([directory])).verdict).toMatchObject({ verdict: 'Succeeded' });
    expect((await inspect(by(directory, ours.publicKey))).verdict).toMatchObject({ backups: 1, damagedManifests: 0 });
    const seen = await inspect(by(directory, stranger.publicKey));
    expect(seen.verdict, seen.log).toMatchObject({ verdict: 'Succeeded', backups: 0, damagedManifests: 1 });
    expect(seen.results).toContainEqual(
      expect.objectContaining({ kind: 'damaged', detail: expect.stringContaining(ours.name) }),
    );
    expect((await inspect(directory)).verdict).toMatchObject({ backups: 1, damagedManifests: 0 });
  });

  test('gets no forged manifest adopted by a run that signs', async () => {
    const { directory } = await stand.fresh();
    expect((await back([directory], {}, stranger.privateKey)).verdict).toMatchObject({ verdict: 'Succeeded' });
    const ended = await back([directory], {}, ours.privateKey, podUids.second);
    expect(ended.verdict, ended.log).toMatchObject({ verdict: 'Failed', reason: 'SignatureInvalid' });
  });
});

test('a run that is not signed by who the location names, or with a key that is none, stores nothing', async () => {
  const { directory } = await stand.fresh();
  const cases = [
    ['SignatureInvalid', back([by(directory, stranger.publicKey)])],
    ['SigningKeyInvalid', back([directory], {}, ours.publicKey)],
  ] as const;
  for (const [reason, ended] of cases) expect((await ended).verdict).toMatchObject({ verdict: 'Failed', reason });
  expect(await stand.keys(directory)).toEqual([]);
});

test('without the operator openssl and pgbackup verify it, by the commands of docs/recovery.md', async () => {
  const { directory } = await stand.fresh();
  expect((await back([directory])).verdict).toMatchObject({ verdict: 'Succeeded' });
  const root = dirname(await fileOf(directory, 'manifest.json'));
  const page = await readFile(new URL('../../docs/recovery.md', import.meta.url), 'utf8');
  const commands = /```sh\n(\{ printf 'pgbackup manifest 1[\s\S]*?)```/.exec(page)?.[1] ?? 'false';
  const sh = async (command: string) =>
    promisify(execFile)('bash', ['-ec', command.replaceAll('1a2b3c4d', attempts.first)], {
      cwd: root,
      env: { PATH: process.env['PATH'] ?? '' },
    });
  await writeFile(join(root, 'signing-key.pub'), ours.publicKey);
  expect((await sh(commands)).stdout).toContain('Signature Verified Successfully');
  const verify = `'${process.execPath}' '${main}' verify-manifest manifest.json --signature ${sig} --public-key signing-key.pub`;
  expect((await sh(verify)).stdout).toBe(
    `signed by ${ours.name}, as shop/nightly/nightly-20260101t030000z/manifest.json\n`,
  );
  await writeFile(join(root, 'manifest.json'), `${await readFile(join(root, 'manifest.json'), 'utf8')} `);
  await expect(sh(commands)).rejects.toMatchObject({ code: 1 });
  await expect(sh(verify)).rejects.toMatchObject({ code: 65 });
  // A pair of its own.
  await mkdir(join(root, 'new'));
  const made = await sh(
    `cd new && '${process.execPath}' '${main}' keygen --signing && openssl pkey -in signing-key.pem -pubout`,
  );
  expect(made.stdout.match(/-----BEGIN PUBLIC KEY-----/g)).toHaveLength(2);
});
