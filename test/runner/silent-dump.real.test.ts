import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTcpProxy, type TcpProxy } from '../faults/tcp-proxy.ts';
import { until } from '../faults/waiting.ts';
import { freezePostgres } from '../servers/freeze-postgres.ts';
import { listBinDirs, startPostgres, type Postgres } from '../servers/postgres.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { backupTaskOf, directoryLocation, pgSecret, runWith } from './run-with.ts';
import { required } from './stand.ts';

const binDir = (await listBinDirs(process.env['POSTGRES_BINDIRS'])).at(-1) ?? '';

let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;
let server: Postgres;
let proxy: TcpProxy;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
  await chmod(folder.path, 0o755);
  server = await startPostgres({ binDir, dir: join(folder.path, 'pg') });
  proxy = await startTcpProxy(server);
  await server.sql('CREATE DATABASE shop');
  await server.sql(
    'CREATE TABLE t AS SELECT i, repeat(md5(i::text), 30) AS m FROM generate_series(1, 60000) i',
    'shop',
  );
});
afterAll(async () => {
  await proxy?.stop();
  await server?.stop();
  await folder?.remove();
});

let places = 0;
async function backUp(stallMilliseconds: number) {
  places += 1;
  const path = join(folder.path, `place-${places}`);
  await mkdir(path);
  const task = backupTaskOf(proxy, {
    databases: { names: ['shop'] },
    dump: { globals: true, rolePasswords: false, lockTimeoutSeconds: 60 },
    destinations: required(directoryLocation('place', path)),
  });
  return runWith(folder.path, task, pgSecret(server), [binDir], { stallMilliseconds });
}
const dumping = `SELECT wait_event_type AS waits FROM pg_stat_activity WHERE application_name LIKE 'pgbackup %'`;

test('a dump whose connection goes silent in the middle is ended, though nobody says that it broke', async () => {
  proxy.plan = () => ({ cut: { toClient: 5_000_000, how: 'stall' } });
  const ended = await backUp(3_000);
  expect(proxy.cuts()).toBe(1);
  proxy.plan = () => ({});
  proxy.release();
  expect(ended).toMatchObject({ code: 75, verdict: { verdict: 'Failed', reason: 'ConnectionLost' } });
  expect(ended.verdict.message).toContain('the server waits for it');
});

test('a dump whose session is gone at the server is ended, though its connection does not tell', async () => {
  proxy.plan = () => ({ cut: { toClient: 5_000_000, how: 'stall' } });
  const running = backUp(3_000);
  await until('the connection is silent', () => proxy.cuts() > 0);
  await server.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'pgbackup %'`);
  const ended = await running;
  proxy.plan = () => ({});
  proxy.release();
  expect(ended).toMatchObject({ code: 75, verdict: { verdict: 'Failed', reason: 'ConnectionLost' } });
});

test('a dump whose server is stopped in the middle is ended, though every connection stands', async () => {
  const { host, port, user, password } = server;
  const holder = new Client({ host, port, user, password, database: 'shop' });
  await holder.connect();
  await holder.query('BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE');
  const running = backUp(3_000);
  await until(
    'the dump is in the middle',
    async () => (await server.sql<{ waits: string }>(dumping))[0]?.waits === 'Lock',
  );
  const thaw = await freezePostgres(join(folder.path, 'pg'));
  try {
    expect(await running).toMatchObject({ code: 75, verdict: { verdict: 'Failed', reason: 'ConnectionLost' } });
  } finally {
    thaw();
    await holder.end();
  }
});

test('a dump that waits for a lock is silent, and left alone', async () => {
  const { host, port, user, password } = server;
  const holder = new Client({ host, port, user, password, database: 'shop' });
  await holder.connect();
  await holder.query('BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE');
  const running = backUp(3_000);
  let seen = 0;
  await until('it has waited for many times the limit', async () => {
    const [row] = await server.sql<{ waits: string | null }>(dumping);
    if (row?.waits === 'Lock') seen += 1;
    return seen > 200;
  });
  await holder.query('COMMIT');
  await holder.end();
  expect(await running).toMatchObject({ code: 0, verdict: { verdict: 'Succeeded' } });
});
