import { mkdtemp, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { parseVerdict, type Verdict } from '../../src/domain/report.ts';
import type { RestoreTask } from '../../src/domain/task.ts';
import { asFile, cleanupTaskOf, listAll, requestDigits } from './restore-task-of.ts';
import { layRoot, pgSecret, podUids, runWith, type RunEnd } from './run-with.ts';
import { startRunner } from './runner-process.ts';
import { startTwoDatabases, type TwoDatabases } from './two-databases.ts';

let stand: TwoDatabases;
beforeAll(async () => {
  stand = await startTwoDatabases({
    // Every row takes its time when it is loaded.
    fill: `CREATE FUNCTION slow(i int) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_catalog.pg_sleep(0.01); RETURN true; END $$;
       CREATE TABLE t (i int PRIMARY KEY CHECK (slow(i)), m text);
       INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, 100) i;
       CREATE TABLE big AS SELECT i, repeat(md5(i::text), 100) AS m FROM generate_series(1, 20000) i`,
    backup: { compression: { algorithm: 'none' } },
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

const options = { jobs: 1, noOwner: false, noPrivileges: false, globals: false, analyze: false };

/** Starts a restore as a process of its own and kills it when the moment has come. */
async function killAt(task: RestoreTask, moment: (root: string) => Promise<boolean>): Promise<string> {
  const { ended, output } = await signalAt(task, 'SIGKILL', moment);
  expect(ended).toBe('SIGKILL');
  return output;
}

/** A process of its own gets the signal at that moment. @returns its exit code, or the signal, and its verdict if there is one */
async function signalAt(
  task: RestoreTask,
  signal: 'SIGKILL' | 'SIGTERM',
  moment: (root: string) => Promise<boolean>,
): Promise<{ readonly ended: number | string; readonly output: string; readonly verdict: Verdict | undefined }> {
  const root = await mkdtemp(join(stand.folder, 'root-'));
  await layRoot(root, task, pgSecret(stand.server), podUids.first);
  const runner = startRunner(root, [stand.binDir]);
  try {
    await until(async () => {
      const ended = await Promise.race([runner.ended, delay(5)]);
      if (ended !== undefined) throw new Error(`it ended before: ${String(ended)} ${runner.output()}`);
      return moment(root);
    });
  } finally {
    runner.kill(signal);
  }
  const ended = await runner.ended;
  const verdict = parseVerdict(await readFile(join(root, 'termination-message'), 'utf8').catch(() => undefined));
  return { ended, output: runner.output(), verdict };
}

const cleanUp = (task: RestoreTask): Promise<RunEnd> =>
  runWith(stand.folder, cleanupTaskOf(task), pgSecret(stand.server), [stand.binDir], { podUid: podUids.second });

async function expectUntouched(task: RestoreTask): Promise<void> {
  const ended = await cleanUp(task);
  expect(ended.verdict).toMatchObject({ kind: 'cleanup', verdict: 'Succeeded', target: 'Untouched' });
  expect(await listAll(stand.server)).toEqual(databases);
  expect(await stand.look()).toEqual(changed);
}

async function expectRestored(task: RestoreTask): Promise<void> {
  const ended = await cleanUp(task);
  expect(ended.verdict).toMatchObject({
    kind: 'cleanup',
    verdict: 'Succeeded',
    target: 'Restored',
    source: { backup: 'nightly-20260101t030000z' },
  });
  expect(ended.results).toMatchObject(stand.names.map((target) => ({ kind: 'restored', target, outcome: 'Restored' })));
  expect(await listAll(stand.server)).toEqual(databases);
  expect(await stand.look()).toEqual(stand.dumped);
}

const busy = async (where: string): Promise<boolean> =>
  (await stand.server.sql(`SELECT 1 FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND (${where})`)).length > 0;
const ours = `datname LIKE 'pgbackup_restore_${requestDigits}%'`;

/** A session that holds on to something; to be let go of by the returned function. */
async function hold(statement: string, wait = true): Promise<() => Promise<void>> {
  const { socketDir: host, port, user, password } = stand.server;
  const client = new Client({ host, port, user, password, database: 'postgres' });
  client.on('error', () => {});
  await client.connect();
  await client.query('BEGIN');
  const done = client.query(statement);
  if (wait) await done;
  return async () => {
    await done;
    await client.query('ROLLBACK');
    await client.end();
  };
}

describe('a restore whose runner is killed, after the cleanup, is as if it had never been', () => {
  test('while it fetches', async () => {
    const task = await asFile(stand.taskOf({ options: { ...options, jobs: 2 } }));
    await killAt(task, async (root) => {
      const files: readonly string[] = await readdir(join(root, 'work', 'restore', 'input-0')).catch(() => []);
      return files.includes('archive');
    });
    await expectUntouched(task);
  });

  test('while it creates databases, and the server goes on without it', async () => {
    const task = stand.taskOf();
    const letGo = await hold('LOCK TABLE pg_database IN SHARE MODE');
    await killAt(task, () => busy(`query LIKE 'CREATE DATABASE%' AND wait_event_type = 'Lock'`));
    await letGo();
    await expectUntouched(task);
  });

  test.each([1, 2])('while it loads by %i connections', async (jobs) => {
    const task = stand.taskOf({ options: { ...options, jobs } });
    await killAt(task, () => busy(`${ours} AND query LIKE 'COPY public.t %'`));
    await expectUntouched(task);
  });

  test('while it checks', async () => {
    const task = stand.taskOf({
      options,
      checks: [{ database: 'stock', sql: 'SELECT pg_sleep(60)', operator: 'Equal', value: '' }],
    });
    await killAt(task, () => busy(`${ours} AND query LIKE 'FETCH 1%' AND wait_event = 'PgSleep'`));
    await expectUntouched(task);
  });

  test('just before the swap', async () => {
    const task = stand.taskOf({ options });
    // The databases are made first: only then the table of all databases is locked.
    let release: (() => Promise<void>) | undefined;
    await killAt(task, async () => {
      if (release === undefined && (await busy(`${ours.replace('%', '%\\_2')} AND query LIKE 'COPY public.t %'`))) {
        release = await hold('LOCK TABLE pg_database IN SHARE MODE');
      }
      return release !== undefined && (await busy(`query LIKE 'ALTER DATABASE%RENAME%' AND wait_event_type = 'Lock'`));
    });
    await release?.();
    await expectUntouched(task);
  });

  test('during the swap, when one of two databases is renamed', async () => {
    const task = stand.taskOf({ options });
    // Whoever writes a comment locks the database against renaming until he commits.
    const letGo = await hold(`COMMENT ON DATABASE stock IS 'in the way'`);
    await killAt(task, () => busy(`query LIKE 'ALTER DATABASE "stock" RENAME%' AND wait_event_type = 'Lock'`));
    await letGo();
    await expectUntouched(task);
  });
});

describe('a restore whose runner is asked to stop clears up by itself, and says what the target is', () => {
  const checks = [{ database: 'stock', sql: 'SELECT pg_sleep(60)', operator: 'Equal', value: '' }] as const;
  test.each([
    ['while it loads', {}, () => busy(`${ours} AND query LIKE 'COPY public.t %'`)],
    ['while it checks', { checks: [...checks] }, () => busy(`${ours} AND wait_event = 'PgSleep'`)],
    ['while it loads in place', { mode: 'InPlace', clean: true } as const, () => busy(`query LIKE 'COPY public.t %'`)],
  ])('%s', async (_when, changes, moment) => {
    // In place the table that came since keeps nothing from being dropped.
    const { ended, verdict, output } = await signalAt(stand.taskOf({ options, ...changes }), 'SIGTERM', moment);
    expect(ended, output).toBe(75);
    expect(verdict).toMatchObject({ kind: 'restore', verdict: 'Failed', reason: 'Aborted', target: 'Untouched' });
    expect(verdict).not.toHaveProperty('unsettled');
    expect(await listAll(stand.server)).toEqual(databases);
    expect(await stand.look()).toEqual(changed);
  });

  test('during the swap, which it finishes', async () => {
    const task = stand.taskOf({ options });
    const letGo = await hold(`COMMENT ON DATABASE stock IS 'in the way'`);
    const moment = () => busy(`query LIKE 'ALTER DATABASE "stock" RENAME%' AND wait_event_type = 'Lock'`);
    const { ended, verdict, output } = await signalAt(task, 'SIGTERM', async () => {
      if (!(await moment())) return false;
      // It waits for the lock when it hears of the signal; both orders are well.
      setTimeout(() => void letGo(), 500);
      return true;
    });
    expect(ended, output).toBe(0);
    expect(verdict).toMatchObject({ kind: 'restore', verdict: 'Succeeded', target: 'Restored' });
    expect(await listAll(stand.server)).toEqual(databases);
    expect(await stand.look()).toEqual(stand.dumped);
  });
});

describe('a restore whose runner is killed after the swap is restored', () => {
  /** Waits for the swap in the queue of one who locked the table of databases, and locks it right after the commit. */
  async function killAfterSwap(task: RestoreTask): Promise<void> {
    let first: (() => Promise<void>) | undefined;
    let second: (() => Promise<void>) | undefined;
    await killAt(task, async () => {
      if (first === undefined) {
        if (await busy(`${ours.replace('%', '%\\_2')} AND query LIKE 'COPY public.t %'`)) {
          first = await hold('LOCK TABLE pg_database IN SHARE MODE');
        }
        return false;
      }
      if (second === undefined) {
        if (!(await busy(`query LIKE 'ALTER DATABASE%RENAME%' AND wait_event_type = 'Lock'`))) return false;
        second = await hold('LOCK TABLE pg_database IN SHARE MODE', false);
        await first();
        return false;
      }
      return busy(`(query LIKE 'DROP DATABASE%' OR query LIKE 'COMMENT ON%') AND wait_event_type = 'Lock'`);
    });
    await second?.();
  }

  test('and what it replaced is gone after the cleanup', async () => {
    const task = stand.taskOf({ options });
    await killAfterSwap(task);
    expect(await listAll(stand.server)).not.toEqual(databases);
    await expectRestored(task);
  });

  test('and the next try of the same request finds that, and restores nothing again', async () => {
    const task = stand.taskOf({ options });
    await killAfterSwap(task);
    const ended = await runWith(stand.folder, task, pgSecret(stand.server), [stand.binDir], { podUid: podUids.second });
    expect(ended.verdict).toMatchObject({
      kind: 'restore',
      verdict: 'Succeeded',
      target: 'Restored',
      readBytes: 0,
      source: { backup: 'nightly-20260101t030000z' },
    });
    expect(ended.verdict.message).toContain('RecoveredAfterSwap');
    expect(await listAll(stand.server)).toEqual(databases);
    expect(await stand.look()).toEqual(stand.dumped);
  });
});

async function until(what: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 60_000;
  while (!(await what())) {
    if (Date.now() > end) throw new Error('it never came');
    await delay(10);
  }
}
