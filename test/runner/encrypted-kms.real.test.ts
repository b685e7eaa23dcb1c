import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { BackupTask, RestoreTask, TaskIdentity, TaskLocation } from '../../src/domain/task.ts';
import { makeAuthority, type Authority } from '../servers/certificates.ts';
import { startKms, type KmsKey, type KmsServer } from '../servers/kms.ts';
import { listBinDirs, startPostgres, type Postgres } from '../servers/postgres.ts';
import { restoreTaskOf } from './restore-task-of.ts';
import { backupTaskOf, pgSecret, runWith, type RunEnd } from './run-with.ts';
import { required, startStand, type Stand } from './stand.ts';

const [binDir = ''] = await listBinDirs(process.env['POSTGRES_BINDIRS']);
const { publicKey, privateKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
});

let stand: Stand;
let server: Postgres;
let authority: Authority;
let kms: KmsServer;
let key: KmsKey;
let stored: TaskLocation;
beforeAll(async () => {
  stand = await startStand();
  server = await startPostgres({ binDir, dir: join(stand.folder, 'pg') });
  await server.sql('CREATE DATABASE shop');
  await server.sql('CREATE TABLE t AS SELECT i AS id FROM generate_series(1, 1000) i', 'shop');
  authority = await makeAuthority(join(stand.folder, 'authority'));
  kms = await startKms(await authority.issue({ host: '127.0.0.1' }));
  key = kms.addKey();
  kms.setAlias('backups', key);
  stored = (await stand.fresh()).directory;
  const ended = await back(stored);
  expect([ended.code, ended.verdict], ended.log).toMatchObject([0, { verdict: 'Succeeded' }]);
});
afterAll(async () => {
  await kms?.stop();
  await server?.stop();
  await stand?.stop();
});
beforeEach(() => {
  kms.script = () => undefined;
});

const keysOf = (secretName: string, ...roles: readonly string[]) => ({
  secretName,
  keys: Object.fromEntries(roles.map((role) => [role, role])),
});
const credentials = keysOf('kms', 'accessKeyId', 'secretAccessKey', 'sessionToken');
const ca = keysOf('kms', 'ca');
const secrets = () => ({
  ...stand.secrets,
  ...pgSecret(server),
  kms: { accessKeyId: kms.accessKeyId, secretAccessKey: kms.secretAccessKey, ca: authority.ca },
  nobody: { accessKeyId: 'AKIANOBODY', secretAccessKey: 'nothing-to-see' },
  words: { passphrase: 'six random words are enough' },
  opener: { privateKey },
});
const access = () => ({ endpoint: kms.endpoint, credentials, ca });
const back = async (location: TaskLocation, changes: Partial<BackupTask> = {}): Promise<RunEnd> => {
  const task = backupTaskOf(server, {
    databases: { names: ['shop'] },
    destinations: required(location),
    encryption: {
      recipients: [
        { kms: { keyId: 'alias/backups', region: 'eu-west-1', ...access() } },
        { publicKey },
        { passphrase: keysOf('words', 'passphrase') },
      ],
    },
    ...changes,
  });
  return runWith(stand.folder, task, secrets(), [binDir]);
};
const restore = async (identities: readonly TaskIdentity[]): Promise<RunEnd> => {
  const task: RestoreTask = restoreTaskOf(server, [stored]);
  const target = { ...task.target, databases: [{ source: 'shop', target: 'back' }] };
  const source = { ...task.source, identities: [...identities] };
  return runWith(stand.folder, { ...task, mode: 'Create', target, source }, secrets(), [binDir]);
};

test.each([
  ['AWS KMS', () => ({ kms: access() })],
  ['a private key', () => ({ privateKey: keysOf('opener', 'privateKey') })],
  ['a passphrase', () => ({ passphrase: keysOf('words', 'passphrase') })],
])('a backup for a key of AWS KMS and for others comes back by %s alone', async (_what, identity) => {
  const ended = await restore([identity()]);
  expect([ended.verdict.message, ended.verdict], ended.log).toMatchObject([undefined, { target: 'Restored' }]);
  expect(await server.sql('SELECT count(*)::int AS rows FROM t', 'back')).toEqual([{ rows: 1000 }]);
  await server.sql('DROP DATABASE back');
  expect(ended.log).not.toContain(kms.secretAccessKey);
});

test('its manifest names the ARN behind the alias, and KMS was told which backup it is', async () => {
  const storage = await stand.open(stored);
  const [path = ''] = (await stand.keys(stored)).filter((each) => each.endsWith('manifest.json'));
  let text = '';
  for await (const chunk of storage.get(path, undefined, new AbortController().signal))
    text += Buffer.from(chunk).toString();
  await storage.close();
  expect((JSON.parse(text) as { encryption: { recipients: unknown } }).encryption.recipients).toEqual([
    key.arn,
    expect.stringMatching(/^rsa:/),
    expect.stringMatching(/^scrypt:/),
  ]);
  expect(kms.requests[0]).toMatchObject({
    operation: 'Encrypt',
    body: {
      EncryptionContext: {
        'pgbackup:namespace': 'shop',
        'pgbackup:policy': 'nightly',
        'pgbackup:backup': 'nightly-20260101t030000z',
        'pgbackup:uid': 'backup-uid',
      },
    },
  });
});

test.each([
  ['no such key', 'KmsKeyMissing', 78, { keyId: 'alias/nothing' }, undefined],
  ['rights that are missing', 'KmsDenied', 77, {}, { status: 400, name: 'AccessDeniedException' }],
  ['a KMS that has too much to do', 'KmsThrottled', 75, {}, { status: 400, name: 'ThrottlingException' }],
  ['a certificate that nobody knows', 'TlsFailed', 78, { ca: undefined }, undefined],
  [
    'credentials that nobody knows',
    'KmsDenied',
    77,
    { credentials: keysOf('nobody', 'accessKeyId', 'secretAccessKey') },
    undefined,
  ],
] as const)('%s ends a backup before a byte is dumped', async (_what, reason, code, changes, fault) => {
  const { directory } = await stand.fresh();
  kms.script = () => fault;
  const recipients = [{ kms: { keyId: key.arn, region: 'eu-west-1', ...access(), ...changes } }];
  const ended = await back(directory, { encryption: { recipients } });
  expect(ended, ended.log).toMatchObject({ code, verdict: { verdict: 'Failed', reason } });
  expect(await stand.keys(directory)).toEqual([]);
  expect(ended.log).not.toContain('nothing-to-see');
});

test('a key that was disabled since ends a restore before the target is touched', async () => {
  key.state = 'Disabled';
  const ended = await restore([{ kms: access() }]);
  key.state = 'Enabled';
  expect(ended, ended.log).toMatchObject({ code: 78, verdict: { reason: 'KmsKeyDisabled', target: 'Untouched' } });
  expect(ended.verdict.message).toContain(key.arn);
  expect(await server.sql(`SELECT datname FROM pg_database WHERE datname ~ '^(back|pgbackup_)'`)).toEqual([]);
});

test('without the operator pgbackup decrypt --kms reads it with the credentials of the environment', async () => {
  const keys = await stand.keys(stored);
  const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
  const path = (pattern: RegExp): string => keys.find((each) => pattern.test(each)) ?? '';
  const args = ['decrypt', '--key-file', path(/key\.enc$/), '--kms', '--kms-endpoint', kms.endpoint];
  const { stdout } = await promisify(execFile)(process.execPath, [main, ...args, path(/shop\.dump\.zst\.enc$/)], {
    cwd: stored.place.directory?.path ?? '',
    encoding: 'buffer',
    env: {
      PATH: process.env['PATH'] ?? '',
      NODE_EXTRA_CA_CERTS: authority.caFile,
      AWS_ACCESS_KEY_ID: kms.accessKeyId,
      AWS_SECRET_ACCESS_KEY: kms.secretAccessKey,
    },
  });
  // The magic number of zstd.
  expect(stdout.subarray(0, 4).toString('hex')).toBe('28b52ffd');
});
