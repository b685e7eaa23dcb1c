import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { BackupTask } from '../../src/domain/task.ts';
import { makeAuthority, type Authority } from '../servers/certificates.ts';
import { listBinDirs, startPostgres, type Postgres } from '../servers/postgres.ts';
import { backupTaskOf, pgSecret, runWith, type RunEnd } from './run-with.ts';
import { required, startStand, type Stand } from './stand.ts';

const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);
// Debian's speak TLS; not every build does.
const binDir = binDirs[0] ?? '';
const newest = binDirs.at(-1) ?? '';

let stand: Stand;
let authority: Authority;
let other: Authority;
let good: Postgres;
let misnamed: Postgres;
let expired: Postgres;
beforeAll(async () => {
  stand = await startStand();
  authority = await makeAuthority(join(stand.folder, 'ca'));
  other = await makeAuthority(join(stand.folder, 'other-ca'), 'another authority');
  const start = async (name: string, host: string, isExpired = false): Promise<Postgres> =>
    startPostgres({
      binDir,
      dir: join(stand.folder, name),
      tls: await authority.issue({ host, expired: isExpired }),
    });
  good = await start('good', '127.0.0.1');
  misnamed = await start('misnamed', 'db.example.com');
  expired = await start('expired', '127.0.0.1', true);
});
afterAll(async () => {
  for (const server of [good, misnamed, expired]) await server?.stop();
  await stand?.stop();
});

type Mode = BackupTask['source']['tls']['mode'];

/** A backup of `postgres` over TLS; what it leaves at its place is told too. */
async function backUpOver(server: Postgres, mode: Mode, ca: string): Promise<RunEnd & { keys: readonly string[] }> {
  const { directory } = await stand.fresh();
  const task = backupTaskOf(server, { databases: { names: ['postgres'] }, destinations: required(directory) });
  const tls = { mode, ca: { secretName: 'ca', keys: { ca: 'ca.crt' } } };
  const secrets = { ...pgSecret(server), ca: { 'ca.crt': ca } };
  const ended = await runWith(stand.folder, { ...task, source: { ...task.source, tls } }, secrets, [binDir]);
  return { ...ended, keys: await stand.keys(directory) };
}

test('a server that proves who it is gets backed up with verify-full', async () => {
  const ended = await backUpOver(good, 'verify-full', authority.ca);
  expect(ended).toMatchObject({ code: 0, verdict: { verdict: 'Succeeded' } });
  expect(ended.keys.length).toBe(3);
});

test.each([
  ['an authority that did not sign it', () => backUpOver(good, 'verify-full', other.ca)],
  ['an authority that did not sign it, when only the authority counts', () => backUpOver(good, 'verify-ca', other.ca)],
  ['another host name', () => backUpOver(misnamed, 'verify-full', authority.ca)],
  ['a certificate that has expired', () => backUpOver(expired, 'verify-full', authority.ca)],
])('a server with %s is not talked to', async (_, backUp) => {
  expect(await backUp()).toMatchObject({ code: 78, verdict: { verdict: 'Failed', reason: 'TlsFailed' }, keys: [] });
});

test('another host name is let pass by verify-ca, and anybody by require', async () => {
  expect((await backUpOver(misnamed, 'verify-ca', authority.ca)).code).toBe(0);
  expect((await backUpOver(misnamed, 'require', other.ca)).code).toBe(0);
});

test('without programs at all, the reason says so', async () => {
  const { directory } = await stand.fresh();
  const task = backupTaskOf(good, { databases: { names: ['postgres'] }, destinations: required(directory) });
  const over = { ...task, source: { ...task.source, tls: { mode: 'require' as const } } };
  const ended = await runWith(stand.folder, over, pgSecret(good), [stand.folder]);
  expect(ended).toMatchObject({ code: 78, verdict: { verdict: 'Failed', reason: 'ProgramMissing' } });
  expect(await stand.keys(directory)).toEqual([]);
});

test.skipIf(newest === binDir)('programs older than the server are not used (needs two majors)', async () => {
  const server = await startPostgres({ binDir: newest, dir: join(stand.folder, 'newest') });
  try {
    const { directory } = await stand.fresh();
    const task = backupTaskOf(server, { databases: { names: ['postgres'] }, destinations: required(directory) });
    const ended = await runWith(stand.folder, task, pgSecret(server), [binDir]);
    expect(ended).toMatchObject({ code: 78, verdict: { reason: 'ProgramMissing' } });
    expect(ended.verdict.message).toContain(`no programs for PostgreSQL ${server.major}`);
    expect(await stand.keys(directory)).toEqual([]);
  } finally {
    await server.stop();
  }
});
