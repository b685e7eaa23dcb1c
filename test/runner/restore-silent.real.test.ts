import { afterAll, beforeAll, expect, test } from 'vitest';
import { sessionName } from '../../src/runner/restore/target/scratch-names.ts';
import { until } from '../faults/waiting.ts';
import { requestUid } from './restore-task-of.ts';
import { pgSecret, runWith } from './run-with.ts';
import { startTwoDatabases, type TwoDatabases } from './two-databases.ts';

let stand: TwoDatabases;
beforeAll(async () => {
  stand = await startTwoDatabases({
    // Some seconds of loading, in which the session of the restore has nothing to do.
    fill: `CREATE FUNCTION slow(i int) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_catalog.pg_sleep(0.02); RETURN true; END $$;
       CREATE TABLE t (i int PRIMARY KEY CHECK (slow(i)), m text);
       INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, 100) i`,
    backup: { compression: { algorithm: 'none' } },
  });
});
afterAll(async () => stand?.stop());

test('a restore whose own session at the server is stopped ends in time, and says that it does not know more', async () => {
  const before = await stand.look();
  const task = stand.taskOf();
  const running = runWith(stand.folder, task, pgSecret(stand.server), [stand.binDir], { stallMilliseconds: 3_000 });
  let pid = 0;
  await until('rows are loaded, and the session of the restore itself has nothing to do', async () => {
    // The one that loads is called the same.
    const sessions = await stand.server.sql<{ pid: number; state: string; event: string | null }>(
      `SELECT pid, state, wait_event AS event FROM pg_stat_activity WHERE application_name = '${sessionName(requestUid)}'`,
    );
    pid = sessions.find(({ state }) => state === 'idle')?.pid ?? 0;
    return pid !== 0 && sessions.some(({ event }) => event === 'PgSleep');
  });
  process.kill(pid, 'SIGSTOP');
  try {
    expect(await running).toMatchObject({ code: 75, verdict: { verdict: 'Failed', reason: 'ConnectionLost' } });
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  expect(await stand.look()).toEqual(before);
});
