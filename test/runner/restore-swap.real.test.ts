import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { manifestKey } from '../../src/domain/layout.ts';
import type { RestoreTask } from '../../src/domain/task.ts';
import { startAnswerProxy } from './answer-proxy.ts';
import { listAll } from './restore-task-of.ts';
import { pgSecret, runWith, type RunEnd } from './run-with.ts';
import { startTwoDatabases, type TwoDatabases } from './two-databases.ts';

let stand: TwoDatabases;
beforeAll(async () => {
  stand = await startTwoDatabases({
    settings: { max_prepared_transactions: '5', wal_level: 'logical' },
    // Not what the server has by itself.
    create: `TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'`,
    fill: `CREATE TABLE t (i int PRIMARY KEY, m text); INSERT INTO t SELECT i, 'zwölf ' || i FROM generate_series(1, 1000) i`,
  });
});
afterAll(async () => stand?.stop());

let changed: unknown;
let databases: readonly string[];
beforeEach(async () => {
  for (const name of stand.names) await stand.server.sql('CREATE TABLE IF NOT EXISTS since (i int)', name);
  changed = await stand.look();
  databases = await listAll(stand.server);
});

const run = (task: RestoreTask): Promise<RunEnd> => runWith(stand.folder, task, pgSecret(stand.server), [stand.binDir]);

async function expectUntouched(): Promise<void> {
  expect(await listAll(stand.server)).toEqual(databases);
  expect(await stand.look()).toEqual(changed);
}

test('several databases are replaced at once, with encoding and comment of their own, and kept under dated names', async () => {
  const ended = await run(stand.taskOf({ keepPrevious: true }));
  expect(ended.verdict).toMatchObject({ verdict: 'Succeeded', target: 'Restored' });
  expect(await stand.look()).toEqual(stand.dumped);
  const kept = ended.results.map((line) => (line.kind === 'restored' ? (line.previous ?? '') : ''));
  expect(await listAll(stand.server)).toEqual([...databases, ...kept].sort());
  for (const name of kept) {
    expect(name).toMatch(/^(shop|stock)_\d{8}t\d{6}z$/);
    expect(await stand.server.sql('SELECT * FROM since', name)).toEqual([]);
    await stand.server.sql(`DROP DATABASE ${name}`);
  }
});

test('a commit whose answer is lost is found to be done', async () => {
  // The whole message of the simple query protocol: other statements may end with the same word.
  const proxy = await startAnswerProxy(stand.server, 'Q\0\0\0\x0bCOMMIT\0');
  try {
    const task = stand.taskOf();
    const through = { ...task, target: { ...task.target, server: { ...task.target.server, port: proxy.port } } };
    const ended = await run(through);
    expect(proxy.cuts()).toBe(1);
    expect(ended.verdict).toMatchObject({ verdict: 'Succeeded', target: 'Restored' });
    expect(ended.log).toContain('the connection was lost in the swap, which was done');
    expect(await listAll(stand.server)).toEqual(databases);
    expect(await stand.look()).toEqual(stand.dumped);
  } finally {
    await proxy.stop();
  }
});

test('a connection that is lost before the renaming leaves everything as it was', async () => {
  const checks = [{ database: 'stock', sql: 'SELECT pg_sleep(3)', operator: 'Equal', value: '' }] as const;
  const running = run(stand.taskOf({ checks: [...checks] }));
  await until(
    async () => (await stand.server.sql(`SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'`)).length > 0,
  );
  await stand.server.sql(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'pgbackup restore %'`,
  );
  const ended = await running;
  expect(ended).toMatchObject({ code: 75, verdict: { reason: 'ConnectionLost', target: 'Untouched' } });
  expect(ended.verdict).not.toHaveProperty('unsettled');
  await expectUntouched();
});

test('a server that restarts in the middle leaves everything as it was, after the next try, too', async () => {
  const checks = [{ database: 'stock', sql: 'SELECT pg_sleep(3)', operator: 'Equal', value: '' }] as const;
  const running = run(stand.taskOf({ checks: [...checks] }));
  await until(
    async () => (await stand.server.sql(`SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'`)).length > 0,
  );
  await stand.server.stop();
  const ended = await running;
  await stand.server.start();
  expect(ended).toMatchObject({ code: 75, verdict: { target: 'Untouched', unsettled: true } });
  const next = await run(stand.taskOf({ checks: [{ ...checks[0], sql: 'SELECT 1', value: '2' }] }));
  expect(next.verdict).toMatchObject({ reason: 'CheckFailed' });
  await expectUntouched();
});

test('a prepared transaction, a replication slot and an extension that nobody has are named', async () => {
  await stand.server.sql(`BEGIN; CREATE TABLE half (i int); PREPARE TRANSACTION 'half done'`, 'stock');
  const busy = await run(stand.taskOf());
  expect(busy).toMatchObject({ code: 75, verdict: { reason: 'TargetBusy', target: 'Untouched' } });
  expect(busy.verdict.message).toContain("prepared transaction 'half done'");
  await stand.server.sql(`ROLLBACK PREPARED 'half done'`, 'stock');
  await expectUntouched();

  await stand.server.sql(`SELECT pg_create_logical_replication_slot('my_slot', 'pgoutput')`, 'shop');
  const slot = await run(stand.taskOf());
  expect(slot.verdict).toMatchObject({ reason: 'TargetBusy', readBytes: 0 });
  expect(slot.verdict.message).toContain('logical replication slot my_slot');
  await stand.server.sql(`SELECT pg_drop_replication_slot('my_slot')`, 'shop');
  await expectUntouched();

  const path = join(
    stand.place.place.directory?.path ?? '',
    manifestKey('shop', 'nightly', 'nightly-20260101t030000z'),
  );
  const text = await readFile(path, 'utf8');
  const needing = text.replaceAll(
    '"extensions": [',
    '"extensions": [{"name":"none such","version":"1","schema":"public"},',
  );
  await writeFile(path, needing);
  const extension = await run(stand.taskOf());
  await writeFile(path, text);
  expect(extension).toMatchObject({ code: 66, verdict: { reason: 'ExtensionMissing' } });
  expect(extension.verdict.message).toContain('none such');
  await expectUntouched();
});

test('the database that one connects to first can be replaced, too', async () => {
  const task = stand.taskOf();
  const target = { ...task.target, databases: [{ source: 'shop', target: 'postgres' }] };
  const ended = await run({ ...task, target });
  expect([ended.verdict.message, ended.verdict]).toMatchObject([undefined, { target: 'Restored' }]);
  // Another encoding has other bytes; as text it is the same.
  const look = 'SELECT count(*), sum(i), min(m), max(m) FROM t';
  expect(await stand.server.sql(look)).toEqual(await stand.server.sql(look, 'shop'));
  expect(await listAll(stand.server)).toEqual(databases);
});

test('while the database that one connects to first is replaced, others can create databases: nobody sits in their template', async () => {
  const checks = [{ sql: 'SELECT pg_sleep(60)', operator: 'Equal', value: '' }] as const;
  const stopped = new AbortController();
  const task = stand.taskOf({ checks: [...checks] });
  const target = { ...task.target, databases: [{ source: 'shop', target: 'postgres' }] };
  const running = runWith(stand.folder, { ...task, target }, pgSecret(stand.server), [stand.binDir], {
    signal: stopped.signal,
  });
  await until(
    async () => (await stand.server.sql(`SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'`)).length > 0,
  );
  await stand.server.sql('CREATE DATABASE meanwhile', 'shop');
  await stand.server.sql('DROP DATABASE meanwhile', 'shop');
  stopped.abort();
  expect((await running).verdict).toMatchObject({ reason: 'Aborted', target: 'Untouched' });
  await expectUntouched();
});

test('a restore of every database that there is says which one is needed besides', async () => {
  const task = stand.taskOf();
  const databases = ['postgres', ...stand.names].map((name) => ({ source: 'shop', target: name }));
  const ended = await run({ ...task, target: { ...task.target, databases } });
  expect(ended).toMatchObject({ verdict: { reason: 'SpecInvalid', target: 'Untouched', readBytes: 0 } });
  expect(ended.verdict.hint).toContain('maintenanceDatabase');
  await expectUntouched();
});

async function until(what: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 60_000;
  while (!(await what())) {
    if (Date.now() > end) throw new Error('it never came');
    await delay(10);
  }
}
