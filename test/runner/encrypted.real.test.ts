import { execFile } from 'node:child_process';
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseManifest } from '../../src/domain/manifest.ts';
import type { BackupTask, RestoreTask, TaskIdentity, TaskLocation, TaskRecipient } from '../../src/domain/task.ts';
import { listBinDirs, startPostgres, type Postgres } from '../servers/postgres.ts';
import { quote } from './nasty-database.ts';
import { restoreTaskOf } from './restore-task-of.ts';
import { checksumTables } from './restore-with-stock-tools.ts';
import { attempts, backupTaskOf, pgSecret, podUids, runWith, type RunEnd } from './run-with.ts';
import { placeKinds, required, startStand, type Stand } from './stand.ts';

const [binDir = ''] = await listBinDirs(process.env['POSTGRES_BINDIRS']);
const nasty = 'shöp "1"';
const marker = 'a-text-that-nobody-may-read';

const pairOf = (passphrase?: string) =>
  generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: {
      type: 'pkcs8',
      format: 'pem',
      ...(passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase }),
    },
  });
const rsa = pairOf();
const locked = pairOf('of the key');
const secretKey = randomBytes(32);
const of = (secretName: string, ...roles: readonly string[]) => ({
  secretName,
  keys: Object.fromEntries(roles.map((role) => [role, role])),
});

const recipients: readonly TaskRecipient[] = [
  { publicKey: rsa.publicKey },
  { publicKeyFrom: of('locked', 'publicKey') },
  { key: of('raw', 'key') },
  { passphrase: of('words', 'passphrase') },
];
const identities = {
  'a private key': { privateKey: of('opener', 'privateKey', 'passphrase') },
  'a private key with a passphrase': { privateKey: of('locked', 'privateKey', 'passphrase') },
  'a key': { key: of('raw', 'key') },
  'a passphrase': { passphrase: of('words', 'passphrase') },
} as const satisfies Record<string, TaskIdentity>;

let stand: Stand;
let server: Postgres;
let places: Readonly<Record<(typeof placeKinds)[number], TaskLocation>>;
let sums: unknown;
let ended: RunEnd;
beforeAll(async () => {
  stand = await startStand();
  server = await startPostgres({ binDir, dir: join(stand.folder, 'pg') });
  await server.sql(`CREATE DATABASE ${quote(nasty)}`);
  await server.sql(
    `CREATE TABLE t AS SELECT i AS id, '${marker}' || md5(i::text) AS note FROM generate_series(1, 60000) i`,
    nasty,
  );
  sums = await checksumTables(server, nasty);
  places = await stand.fresh();
  ended = await back(placeKinds.map((kind) => places[kind]));
});
afterAll(async () => {
  await server?.stop();
  await stand?.stop();
});

const secrets = () => ({
  ...stand.secrets,
  ...pgSecret(server),
  opener: { privateKey: rsa.privateKey },
  locked: { publicKey: locked.publicKey, privateKey: locked.privateKey, passphrase: 'of the key' },
  raw: { key: secretKey.toString('base64') },
  words: { passphrase: 'six random words are enough\n' },
  stranger: {
    key: randomBytes(32).toString('hex'),
    privateKey: pairOf().privateKey,
    passphrase: 'other words of a kind',
  },
});
const back = async (
  locations: readonly TaskLocation[],
  changes: Partial<BackupTask> = {},
  podUid: string = podUids.first,
): Promise<RunEnd> => {
  const task = backupTaskOf(server, {
    databases: { names: [nasty] },
    destinations: required(...locations),
    volumeBytes: 512 * 1024,
    encryption: { recipients: [...recipients] },
    ...changes,
  });
  return runWith(stand.folder, task, secrets(), [binDir], { podUid });
};
const restore = async (
  copies: readonly TaskLocation[],
  given: readonly TaskIdentity[],
  changes: Partial<RestoreTask> = {},
): Promise<RunEnd> => {
  const task = restoreTaskOf(server, [...copies], changes);
  const target = { ...task.target, databases: [{ source: nasty, target: 'back' }] };
  return runWith(
    stand.folder,
    { ...task, mode: 'Create', target, source: { ...task.source, identities: [...given] } },
    secrets(),
    [binDir],
  );
};
const dropBack = async (): Promise<unknown> => server.sql('DROP DATABASE IF EXISTS back');
/** All that a place holds, by key. */
async function everything(location: TaskLocation): Promise<ReadonlyMap<string, Buffer>> {
  const storage = await stand.open(location);
  const found = new Map<string, Buffer>();
  const never = new AbortController().signal;
  for (const key of await stand.keys(location)) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of storage.get(key, undefined, never)) chunks.push(chunk);
    found.set(key, Buffer.concat(chunks));
  }
  await storage.close();
  return found;
}

test('a backup is stored at every place as messages that nobody reads, with its key and a manifest of format 2', async () => {
  expect([ended.code, ended.verdict], ended.log).toMatchObject([0, { verdict: 'Succeeded' }]);
  for (const kind of placeKinds) {
    const stored = await everything(places[kind]);
    const keys = [...stored.keys()];
    expect(keys.filter((key) => key.endsWith('/key.enc'))).toHaveLength(1);
    expect(keys.filter((key) => !key.endsWith('manifest.json') && !/\.enc(\.\d{4})?$/.test(key))).toEqual([]);
    expect(keys.filter((key) => /\.dump\.zst\.enc/.test(key)).length).toBeGreaterThan(2);
    for (const [key, bytes] of stored) {
      expect(bytes.includes(marker), key).toBe(false);
      expect(bytes.includes(secretKey), key).toBe(false);
    }
    const manifest: unknown = JSON.parse(
      stored.get(keys.find((key) => key.endsWith('manifest.json')) ?? '')?.toString() ?? '',
    );
    expect(manifest).toMatchObject({
      format: 2,
      encryption: {
        recipients: [/^rsa:/, /^rsa:/, /^aes:/, /^scrypt:65536:8:2:/].map((pattern) => expect.stringMatching(pattern)),
      },
    });
  }
  expect(ended.log).not.toContain(secretKey.toString('base64'));
});

test.each(Object.entries(identities))('it comes back by %s alone, from every place', async (_what, identity) => {
  for (const kind of placeKinds) {
    const back = await restore([places[kind]], [identity]);
    expect([back.verdict.message, back.verdict], back.log).toMatchObject([undefined, { target: 'Restored' }]);
    expect(await checksumTables(server, 'back')).toEqual(sums);
    await dropBack();
  }
});

test('with globals and jobs 1, and with identities of strangers beside the right one', async () => {
  const task = restoreTaskOf(server, []);
  const given = [
    { key: of('stranger', 'key') },
    identities['a private key'],
    { passphrase: of('stranger', 'passphrase') },
  ];
  const back = await restore([places.directory], given, { options: { ...task.options, jobs: 1, globals: true } });
  expect([back.verdict.message, back.verdict], back.log).toMatchObject([undefined, { target: 'Restored' }]);
  expect(await checksumTables(server, 'back')).toEqual(sums);
  await dropBack();
});

test('nobody else opens it: none, a stranger’s of each kind; the message names the recipients, and nothing was made', async () => {
  const strangers: readonly (readonly TaskIdentity[])[] = [
    [],
    [{ key: of('stranger', 'key') }],
    [{ privateKey: of('stranger', 'privateKey') }],
    [{ passphrase: of('stranger', 'passphrase') }],
  ];
  for (const given of strangers) {
    const back = await restore([places.directory], given);
    expect(back, back.log).toMatchObject({ code: 77, verdict: { reason: 'IdentityMissing', target: 'Untouched' } });
    expect(back.verdict.message).toMatch(/rsa:[0-9a-f]{64}, rsa:[0-9a-f]{64}, aes:[0-9a-f]{32}, scrypt:/);
    expect(await server.sql(`SELECT datname FROM pg_database WHERE datname ~ '^(back|pgbackup_)'`)).toEqual([]);
  }
});

const flip =
  (at: number) =>
  (bytes: Buffer): Buffer => {
    const changed = Buffer.from(bytes);
    const index = at < 0 ? changed.length + at : at;
    changed[index] = (changed[index] ?? 0) ^ 1;
    return changed;
  };

describe('A place whose writer is not trusted', () => {
  const change = async (
    location: TaskLocation,
    pattern: RegExp,
    how: (bytes: Buffer) => Buffer,
  ): Promise<() => Promise<void>> => {
    const root = location.place.directory?.path ?? '';
    const key = (await stand.keys(location)).find((each) => pattern.test(each)) ?? '';
    const path = join(root, key);
    const was = await readFile(path);
    await writeFile(path, how(was));
    return async () => writeFile(path, was);
  };
  test('gets no key restored that it changed; another copy is taken', async () => {
    for (const how of [flip(40), flip(-1), () => Buffer.from('hello'), (was: Buffer) => Buffer.concat([was, was])]) {
      const mend = await change(places.directory, /key\.enc$/, how);
      const back = await restore([places.directory], [identities['a private key']]);
      expect(back.verdict, back.log).toMatchObject({ reason: 'KeyDamaged', target: 'Untouched' });
      await mend();
    }
    await change(places.directory, /key\.enc$/, flip(40));
    // Another copy is better.
    const other = await restore([places.directory, places.s3], [identities['a private key']]);
    expect([other.verdict.message, other.verdict], other.log).toMatchObject([undefined, { target: 'Restored' }]);
    expect(await checksumTables(server, 'back')).toEqual(sums);
    await dropBack();
  });
});

test('who may write to a place can exchange neither volumes nor databases, whatever the manifest says then', async () => {
  const { directory } = await stand.fresh();
  await server.sql(`DROP DATABASE IF EXISTS other`);
  await server.sql(`CREATE DATABASE other TEMPLATE ${quote(nasty)}`);
  const both = { databases: { names: [nasty, 'other'] } };
  expect((await back([directory], both)).verdict).toMatchObject({ verdict: 'Succeeded' });
  const root = directory.place.directory?.path ?? '';
  const keys = await stand.keys(directory);
  const path = join(root, keys.find((key) => key.endsWith('manifest.json')) ?? '');
  const text = await readFile(path, 'utf8');
  const digest = (bytes: Buffer) => ({ bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') });
  /** As its writer would: sizes and hashes are those of what lies there. */
  const forge = async (how: (volumes: Buffer[]) => Buffer[]): Promise<void> => {
    const manifest = parseManifest(keys.find((key) => key.endsWith('manifest.json')) ?? '', text);
    const artifact = manifest.databases.find(({ name }) => name === nasty)?.artifacts[0];
    if (artifact === undefined) throw new Error('no artifact');
    const was: Buffer[] = [];
    for (const { key } of artifact.volumes) was.push(await readFile(join(root, key)));
    const volumes = how(was);
    artifact.volumes = volumes.map((bytes, index) => ({
      key: `${artifact.volumes[0]?.key}-forged-${index}`,
      ...digest(bytes),
    }));
    for (const [index, { key }] of artifact.volumes.entries()) await writeFile(join(root, key), volumes[index] ?? '');
    artifact.stored = digest(Buffer.concat(volumes));
    await writeFile(path, JSON.stringify(manifest));
  };
  const otherVolumes = parseManifest(keys.find((key) => key.endsWith('manifest.json')) ?? '', text)
    .databases.find(({ name }) => name === 'other')
    ?.artifacts[0]?.volumes.map(({ key }) => key);
  const others = await Promise.all((otherVolumes ?? []).map(async (key) => readFile(join(root, key))));
  const wrong: Readonly<Record<string, (volumes: Buffer[]) => Buffer[]>> = {
    'a volume less': (volumes) => volumes.slice(0, -1),
    'two exchanged': ([one, two, ...rest]) => [two, one, ...rest].filter((each) => each !== undefined),
    'one twice': ([one, ...rest]) => [one, one, ...rest].filter((each) => each !== undefined),
    'a bit flipped': ([one = Buffer.of(), ...rest]) => [flip(one.length >> 1)(one), ...rest],
    'those of another database': () => others,
    'bytes behind its end': (volumes) => [...volumes, Buffer.from('more')],
    'plain bytes': () => [Buffer.from('PGDMP')],
  };
  for (const [what, how] of Object.entries(wrong)) {
    await forge(how);
    const ended = await restore([directory], [identities['a private key']]);
    expect([what, ended.verdict.kind === 'restore' && ended.verdict.reason], ended.log).toEqual([
      what,
      'BackupDamaged',
    ]);
    expect(ended.verdict).toMatchObject({ target: 'Untouched' });
  }
  await forge((volumes) => volumes);
  expect((await restore([directory], [identities['a private key']])).verdict).toMatchObject({ target: 'Restored' });
  await dropBack();
});

test('without operator, cluster or server of ours it is read by the commands of docs/recovery.md', async () => {
  const { directory } = await stand.fresh();
  expect((await back([directory])).verdict).toMatchObject({ verdict: 'Succeeded' });
  const root = directory.place.directory?.path ?? '';
  const keys = await stand.keys(directory);
  const volumes = keys.filter((key) => /\.dump\.zst\.enc/.test(key)).map((key) => `'${key}'`);
  await writeFile(join(root, 'private-key.pem'), rsa.privateKey);
  const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
  const pgbackup = `'${process.execPath}' '${main}'`;
  const keyFile = `'${keys.find((key) => key.endsWith('key.enc')) ?? ''}'`;
  const sh = async (command: string) =>
    promisify(execFile)('bash', ['-o', 'pipefail', '-c', command], {
      cwd: root,
      env: { PATH: process.env['PATH'] ?? '' },
    });
  const listed = await sh(`${pgbackup} recipients ${keyFile}`);
  expect(listed.stdout.trim().split('\n')).toHaveLength(4);
  await sh(
    `${pgbackup} decrypt --key-file ${keyFile} --identity private-key.pem ${volumes.join(' ')} | zstd -dc > plain.dump`,
  );
  const { stdout } = await sh(`'${binDir}/pg_restore' --list plain.dump`);
  expect(stdout).toContain('TABLE DATA public t');
  await expect(sh(`${pgbackup} decrypt --key-file ${keyFile} ${volumes.join(' ')} > nothing`)).rejects.toMatchObject({
    code: 77,
  });
  await expect(
    sh(`${pgbackup} decrypt --key-file ${keyFile} --identity private-key.pem absent.dump.enc > nothing`),
  ).rejects.toMatchObject({ code: 75, stderr: expect.stringContaining('absent.dump.enc cannot be read') });
  // A key of its own, made here; what is there is never written over.
  const made = await sh(`${pgbackup} keygen --bits 2048 --out new.pem && stat -c %a new.pem`);
  expect(made.stdout).toMatch(/-----BEGIN PUBLIC KEY-----[\s\S]+\n600\n$/);
  await expect(sh(`${pgbackup} keygen --bits 2048 --out new.pem`)).rejects.toMatchObject({ code: 78 });
});

test('a try that comes again adopts what the one before has stored', async () => {
  const { sftp } = await stand.fresh();
  expect((await back([sftp])).verdict).toMatchObject({ verdict: 'Succeeded' });
  const keys = await stand.keys(sftp);
  const again = await back([sftp], {}, podUids.second);
  expect(again.verdict, again.log).toMatchObject({ verdict: 'Succeeded', attempt: attempts.first });
  expect(await stand.keys(sftp)).toEqual(keys);
});

test.each([
  ['a private key as a recipient', [{ publicKey: rsa.privateKey }], 'RecipientInvalid'],
  ['no key at all', [{ publicKey: 'ssh-rsa AAAA' }], 'RecipientInvalid'],
  ['a passphrase that can be guessed', [{ passphrase: of('short', 'passphrase') }], 'RecipientInvalid'],
  ['one recipient twice', [{ publicKey: rsa.publicKey }, { publicKey: rsa.publicKey }], 'RecipientInvalid'],
] as const)('%s is refused, and nothing is stored', async (_what, wrong, reason) => {
  const { directory } = await stand.fresh();
  const task = backupTaskOf(server, {
    databases: { names: [nasty] },
    destinations: required(directory),
    encryption: { recipients: [...wrong] as TaskRecipient[] },
  });
  const failed = await runWith(stand.folder, task, { ...secrets(), short: { passphrase: 'hunter2' } }, [binDir]);
  expect(failed, failed.log).toMatchObject({ code: 78, verdict: { verdict: 'Failed', reason } });
  expect(failed.log).not.toContain('PRIVATE KEY');
  expect(await stand.keys(directory)).toEqual([]);
});
