import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findBackups } from './found-backups.ts';
import { startLocalStand, type LocalStand } from './local-stand.ts';
import { until } from './executor-world.ts';

let stand: LocalStand;
let backup: string;
beforeAll(async () => {
  stand = await startLocalStand();
  const command = stand.start(['local', '-', '--once', '--state-dir', stand.stateDir], stand.yaml());
  expect(await command.exitCode, command.stderr()).toBe(0);
  backup = findBackups(stand.disk)[0]?.id ?? '';
});
afterAll(async () => stand.stop());
/** What happened after the backup; a Replace undoes it. */
beforeEach(async () => {
  for (const name of await listDatabases()) {
    if (!own.includes(name)) await stand.server.sql(`DROP DATABASE "${name}"`);
  }
  await stand.server.sql('DELETE FROM orders; INSERT INTO orders VALUES (-1, $$later$$)', 'shop');
});

const restore = (...more: readonly string[]) => ['local', 'restore', '-', '--state-dir', stand.stateDir, ...more];
const latest = ['--policy', 'nightly', '--latest', '--target-of', 'nightly'];
const request = (more: string): string => `${stand.yaml()}---
apiVersion: pgbackup.dev/v1beta1
kind: RestoreRequest
metadata: { name: back }
spec:
  source: { backup: { name: ${backup} } }
  target:
    postgres: { host: 127.0.0.1, port: ${stand.server.port}, tls: { mode: disable }, credentials: { secretName: db } }
    database: shop
${more}`;

const countOrders = async (database = 'shop'): Promise<string | undefined> =>
  (await stand.server.sql<{ count: string }>('SELECT count(*) FROM orders', database))[0]?.count;
const listDatabases = async (): Promise<readonly string[]> =>
  (await stand.server.sql<{ name: string }>('SELECT datname AS name FROM pg_database ORDER BY 1')).map(
    ({ name }) => name,
  );
const own = ['postgres', 'shop', 'template0', 'template1'];
const expectUntouched = async (): Promise<void> => {
  expect(await countOrders()).toBe('1');
  expect(await listDatabases()).toEqual(own);
};
/** Backends that run the statement of a test. */
const sleeping = async (): Promise<number> =>
  (
    await stand.server.sql<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()`,
    )
  ).length;
const untilItSleeps = async () => until('afterSql runs', async () => (await sleeping()) > 0);
const sleeps = (): string => request('  afterSql: ["SELECT pg_sleep(600)"]\n');

describe('pgbackup local restore', () => {
  it('brings a database back by flags, keeps the replaced one, prints a table and leaves nothing behind', async () => {
    const command = stand.start(restore(...latest, '--database', 'shop', '--keep-previous'), stand.yaml());
    expect(await command.exitCode, command.stdout() + command.stderr()).toBe(0);
    expect(await countOrders()).toBe('20000');
    const [kept = '', ...others] = (await listDatabases()).filter((name) => !own.includes(name));
    expect(others).toEqual([]);
    expect(await countOrders(kept)).toBe('1');
    const lines = command.stdout().split('\n');
    expect(lines[0]).toMatch(/^RESTORE +PHASE +MODE +SOURCE +LOADED +DURATION +MB\/S$/);
    expect(lines[1]).toMatch(new RegExp(`^restore-\\d{8}t\\d{6}z +Succeeded +Replace +${backup} +[\\d.]+ [kM]B `));
    expect(lines[2]).toBe(`  ✓ shop: Restored; what it was before is kept as ${kept}`);
    expect(command.stderr()).toMatch(/\d\d:\d\d:\d\d  restore-\S+  Succeeded, [\d.]+ [kM]B loaded\n/);
    expect(readdirSync(join(stand.stateDir, 'pods'))).toEqual([]);
    const log = readFileSync(join(stand.stateDir, 'operator.log'), 'utf8');
    expect(log + command.stdout() + command.stderr()).not.toContain(stand.server.password);
    await stand.server.sql(`DROP DATABASE "${kept}"`);
  });

  it('restores the RestoreRequests of files as often as it is asked to', async () => {
    for (const _ of [1, 2]) {
      await stand.server.sql('DELETE FROM orders', 'shop');
      const command = stand.start(restore(), request(''));
      expect(await command.exitCode, command.stdout() + command.stderr()).toBe(0);
      expect(command.stdout()).toMatch(/^back +Succeeded +Replace /m);
      expect(await countOrders()).toBe('20000');
      expect(await listDatabases()).toEqual(own);
    }
  });

  it('takes the server from a uri in the environment, and makes a new database', async () => {
    const { user, password, port } = stand.server;
    const uri = `postgresql://${user}:${encodeURIComponent(password)}@127.0.0.1:${port}/postgres?sslmode=disable`;
    const flags = ['--backup', backup, '--target-env', 'COPY_URI', '--database', 'shop=copy', '--mode', 'Create'];
    const command = stand.start(restore(...flags), stand.yaml(), { COPY_URI: uri });
    expect(await command.exitCode, command.stdout() + command.stderr()).toBe(0);
    expect(await countOrders('copy')).toBe('20000');
    expect(command.stdout()).toContain('  ✓ shop → copy: Restored\n');
    const again = stand.start(restore(...flags), stand.yaml(), { COPY_URI: uri });
    expect(await again.exitCode).not.toBe(0);
    expect(again.stdout()).toMatch(/ Failed +Create .*\n  TargetExists: [\s\S]*\n  remedy: /);
    expect(command.stdout() + command.stderr() + again.stderr()).not.toContain(password);
    await stand.server.sql('DROP DATABASE copy');
    await expectUntouched();
  });

  it('restores a file that anybody made', async () => {
    await mkdir(join(stand.disk, 'dumps'));
    const { binDir, user, password, port } = stand.server;
    const { execFileSync } = await import('node:child_process');
    await stand.server.sql('CREATE DATABASE other');
    await stand.server.sql('CREATE TABLE orders AS SELECT i AS id FROM generate_series(1, 77) i', 'other');
    execFileSync(
      join(binDir, 'pg_dump'),
      ['-h', '127.0.0.1', '-p', String(port), '-U', user, '-Fc', '-f', join(stand.disk, 'dumps/a.dump'), 'other'],
      {
        env: { PGPASSWORD: password },
      },
    );
    await stand.server.sql('DROP DATABASE other');
    const command = stand.start(
      restore('--pattern', 'dumps/*.dump', '--target-of', 'nightly', '--database', 'shop'),
      stand.yaml(),
    );
    expect(await command.exitCode, command.stdout() + command.stderr()).toBe(0);
    expect(await countOrders()).toBe('77');
    expect(command.stdout()).toMatch(/ Succeeded +Replace +dumps\/a\.dump /);
    await rm(join(stand.disk, 'dumps'), { recursive: true });
    const back = stand.start(restore(), request(''));
    expect(await back.exitCode, back.stderr()).toBe(0);
  });

  it('leaves the target as it was when a check does not hold, and says why and what to do', async () => {
    const checks = '  checks: [{ sql: "SELECT count(*) FROM orders", value: "3" }]\n';
    const command = stand.start(restore(), request(checks));
    expect(await command.exitCode, command.stderr()).toBe(65);
    expect(command.stdout()).toMatch(/^back +Failed /m);
    expect(command.stdout()).toMatch(/^  CheckFailed: .*20000/m);
    expect(command.stdout()).toMatch(/^  ✗ .*shop: Untouched/m);
    expect(command.stdout()).toMatch(/^  remedy: /m);
    expect(command.stderr()).toContain(`logs of what failed: ${join(stand.stateDir, 'failed')}`);
    await expectUntouched();
  });

  it('says at once that there is no such backup, and which there are', async () => {
    const flags = [
      '--policy',
      'nightly',
      '--at',
      '2020-01-01T00:00:00Z',
      '--target-of',
      'nightly',
      '--database',
      'shop',
    ];
    const command = stand.start(restore(...flags), stand.yaml());
    expect(await command.exitCode).toBe(66);
    expect(command.stdout()).toMatch(/^  BackupMissing: /m);
    const named = stand.start(restore('--backup', 'x', '--target-of', 'nightly', '--database', 'shop'), stand.yaml());
    expect(await named.exitCode).toBe(66);
    expect(named.stdout()).toMatch(/^  BackupMissing: there is no Backup x/m);
    await expectUntouched();
  });

  it('lists what there is', async () => {
    const command = stand.start(restore('--list', '--output', 'json'), stand.yaml());
    expect(await command.exitCode, command.stderr()).toBe(0);
    expect(JSON.parse(command.stdout())).toMatchObject({
      locations: [{ location: 'disk', backups: [{ id: backup, databases: ['shop'], complete: true }], files: [] }],
    });
  });
});

describe('a restore that is broken off', () => {
  it('by SIGINT clears up, leaves the target as it was, and says so', async () => {
    const command = stand.start(restore(), sleeps());
    await untilItSleeps();
    command.child.kill('SIGINT');
    expect(await command.exitCode, command.stderr()).toBe(75);
    await expectUntouched();
    expect(await sleeping()).toBe(0);
    expect(command.stdout()).toMatch(/^  Aborted: /m);
    expect(command.stdout()).toMatch(/^  ✗ shop: Untouched$/m);
    expect(readdirSync(join(stand.stateDir, 'pods'))).toEqual([]);
  });

  it('by a second SIGINT is killed; the target is as it was, and the next start clears up before it restores', async () => {
    const command = stand.start(restore(), sleeps());
    await untilItSleeps();
    const pods = join(stand.stateDir, 'pods');
    const runners = processesIn(pods).filter(({ command: line }) => line.includes('main.ts'));
    expect(runners).toHaveLength(1);
    for (const { pid } of runners) process.kill(pid, 'SIGSTOP');
    command.child.kill('SIGINT');
    await until('it ends its runners', async () => readLog().includes('controller has stopped'));
    command.child.kill('SIGINT');
    expect(await command.exitCode).toBe(130);
    expect(command.stderr()).toContain('killed; what it may have left is cleared up at the next start');
    await until('nothing runs any more', async () => processesIn(pods).length === 0);
    expect(await countOrders()).toBe('1');
    expect(await listDatabases()).not.toEqual(own);
    const [record = ''] = readdirSync(join(stand.stateDir, 'restores'));
    expect(readFileSync(join(stand.stateDir, 'restores', record), 'utf8')).not.toContain(stand.server.password);

    const next = stand.start(restore(), request(''));
    expect(await next.exitCode, next.stdout() + next.stderr()).toBe(0);
    expect(next.stderr()).toMatch(/  back, which was killed: Failed: RunnerKilled: .*the target is as it was/);
    expect(await countOrders()).toBe('20000');
    expect(await listDatabases()).toEqual(own);
    expect(readdirSync(join(stand.stateDir, 'restores'))).toEqual([]);
  });
});

const readLog = (): string =>
  readFileSync(join(stand.stateDir, 'operator.log'), 'utf8').split('controller works').at(-1) ?? '';

/** Processes that work somewhere below a folder. */
function processesIn(folder: string): readonly { readonly pid: number; readonly command: string }[] {
  return readdirSync('/proc').flatMap((entry) => {
    try {
      if (!readlinkSync(`/proc/${entry}/cwd`).startsWith(folder)) return [];
      return [{ pid: Number(entry), command: readFileSync(`/proc/${entry}/cmdline`, 'utf8') }];
    } catch {
      return [];
    }
  });
}
