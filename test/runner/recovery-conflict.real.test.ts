import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTcpProxy, type TcpProxy } from '../faults/tcp-proxy.ts';
import { until } from '../faults/waiting.ts';
import { listBinDirs, startPostgres, type Postgres } from '../servers/postgres.ts';
import { startStandby, type Standby } from '../servers/standby.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { backupTaskOf, directoryLocation, pgSecret, runWith } from './run-with.ts';
import { required } from './stand.ts';

const binDir = (await listBinDirs(process.env['POSTGRES_BINDIRS'])).at(-1) ?? '';

let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;
let primary: Postgres;
let standby: Standby;
let proxy: TcpProxy;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
  await chmod(folder.path, 0o755);
  // Whoever stands in the way of what the primary sends is ended at once.
  primary = await startPostgres({
    binDir,
    dir: join(folder.path, 'primary'),
    settings: { max_standby_streaming_delay: '0', autovacuum: 'off' },
  });
  for (const name of ['shop', 'stock']) await primary.sql(`CREATE DATABASE ${name}`);
  await primary.sql(
    `CREATE TABLE big AS SELECT i, repeat(md5(i::text), 30) AS m FROM generate_series(1, 60000) i;
     CREATE TABLE dying AS SELECT i FROM generate_series(1, 10000) i`,
    'shop',
  );
  standby = await startStandby(primary, join(folder.path, 'standby'));
  proxy = await startTcpProxy({ host: primary.host, port: standby.port });
});
afterAll(async () => {
  await proxy?.stop();
  await standby?.stop();
  await primary?.stop();
  await folder?.remove();
});

let places = 0;
async function backUp(databases: readonly string[], databaseRetries: number) {
  places += 1;
  const path = join(folder.path, `place-${places}`);
  await mkdir(path);
  const task = backupTaskOf(proxy, {
    databases: { names: [...databases] },
    databaseRetries,
    destinations: required(directoryLocation('place', path)),
  });
  return runWith(folder.path, task, pgSecret(primary), [binDir]);
}

/**
 * Removes for good what the dump's snapshot still sees, and returns when the standby has ended the dump's statement; or is held up by it,
 * because the dump's session is told only when it may write again; or has taken it.
 */
async function makeConflict(): Promise<'ended' | 'held' | 'taken'> {
  await primary.sql(`DELETE FROM dying WHERE i % 2 = 0`, 'shop');
  await primary.sql('VACUUM dying', 'shop');
  const [{ lsn } = { lsn: '' }] = await primary.sql<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
  let held = 0;
  let seen: 'ended' | 'held' | 'taken' | undefined;
  await until('the standby has ended the dump, is held up by it, or went on', async () => {
    const [row] = await standby.ask<{ ended: boolean; arrived: boolean; taken: boolean }>(
      `SELECT EXISTS (SELECT FROM pg_stat_activity
                       WHERE application_name LIKE 'pgbackup %' AND state = 'idle in transaction (aborted)') AS ended,
              pg_last_wal_receive_lsn() >= '${lsn}' AS arrived, pg_last_wal_replay_lsn() >= '${lsn}' AS taken`,
    );
    if (row?.ended === true) seen = 'ended';
    else if (row?.taken === true) seen = 'taken';
    held = row?.arrived === true ? held + 1 : 0;
    if (held > 20) seen ??= 'held';
    return seen !== undefined;
  });
  return seen ?? 'taken';
}

/** Of the longest connection: that of the rows. */
const inTheMiddle = (): void => {
  proxy.plan = () => ({ cut: { toClient: 5_000_000, how: 'stall' } });
};

test('a dump that a standby ends for what its primary sends is told as such, and may be tried again', async () => {
  inTheMiddle();
  const running = backUp(['shop'], 0);
  await until('the dump is in the middle', () => proxy.cuts() > 0);
  await makeConflict();
  proxy.plan = () => ({});
  proxy.release();
  const ended = await running;
  expect(ended, ended.log).toMatchObject({ code: 75, verdict: { verdict: 'Failed', reason: 'RecoveryConflict' } });
  expect(ended.verdict.message).toMatch(/conflict with recovery/);
  expect(ended.verdict.hint).toBe(
    'Raise max_standby_streaming_delay, or set hot_standby_feedback = on, on the standby; or back up the primary.',
  );
  await standby.caughtUp();
});

describe('A dump is not ended where it is done what is advised:', () => {
  const set = async (name: string, value: string): Promise<void> => {
    await standby.ask(`ALTER SYSTEM SET ${name} = ${value}`);
    await standby.ask('SELECT pg_reload_conf()');
  };

  test.each([
    ['max_standby_streaming_delay', '-1', '0', 'held'],
    ['hot_standby_feedback', 'on', 'off', 'taken'],
  ] as const)('%s = %s on the standby', async (name, value, before, changes) => {
    await set(name, value);
    expect(await backUpMeanwhile()).toBe(changes);
    await set(name, before);
  });

  test('the primary is backed up', async () => {
    proxy.retarget(primary);
    await backUpMeanwhile();
    proxy.retarget({ host: primary.host, port: standby.port });
  });

  /** @returns what becomes at the standby of the changes that the dump stands in the way of */
  async function backUpMeanwhile() {
    await primary.sql('INSERT INTO dying SELECT i FROM generate_series(1, 10000) i', 'shop');
    await standby.caughtUp();
    inTheMiddle();
    const running = backUp(['shop'], 0);
    await until('the dump is in the middle', () => proxy.cuts() > 0);
    const changes = await makeConflict();
    proxy.plan = () => ({});
    proxy.release();
    const ended = await running;
    expect(ended, ended.log).toMatchObject({ code: 0, verdict: { verdict: 'Succeeded' } });
    await standby.caughtUp();
    return changes;
  }
});

test('a database of several that a standby ended is tried again in the run', async () => {
  await primary.sql('INSERT INTO dying SELECT i FROM generate_series(1, 10000) i', 'shop');
  await standby.caughtUp();
  inTheMiddle();
  const running = backUp(['shop', 'stock'], 1);
  await until('the dump is in the middle', () => proxy.cuts() > 0);
  await makeConflict();
  proxy.plan = () => ({});
  proxy.release();
  const ended = await running;
  expect(ended, ended.log).toMatchObject({ code: 0, verdict: { verdict: 'Succeeded' } });
  expect(ended.log).toContain('RecoveryConflict');
  expect(ended.results.filter((line) => line.kind === 'database')).toHaveLength(2);
});
