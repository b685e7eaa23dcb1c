import { afterAll, beforeAll, expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import { CommitLost } from '../../src/postgres/commit-lost.ts';
import type { OpenTarget } from '../../src/runner/restore/target/open-target.ts';
import { settleCommit } from '../../src/runner/restore/load/settle-commit.ts';
import { Unsettled } from '../../src/runner/restore/unsettled.ts';
import { rejection } from '../pipeline/streams.ts';
import { workshopOf } from './workshop-of.ts';
import { startAnswerProxy } from './answer-proxy.ts';
import { pgSecret, runWith } from './run-with.ts';
import { startTwoDatabases, type TwoDatabases } from './two-databases.ts';

let stand: TwoDatabases;
beforeAll(async () => {
  stand = await startTwoDatabases({ fill: 'CREATE TABLE t (i int); INSERT INTO t SELECT generate_series(1, 100)' });
});
afterAll(async () => stand?.stop());

/** Rows of one table are put back through a proxy that loses the answer to the load's own COMMIT. */
async function loseCommit(how: Parameters<typeof startAnswerProxy>[2]) {
  // Of the extended protocol, as scripts are loaded: the end of Parse, and nothing of its parameters.
  const proxy = await startAnswerProxy(stand.server, 'P\0\0\0\x0e\0COMMIT\0', how);
  try {
    const task = stand.taskOf({ mode: 'InPlace', select: { schemaOnly: false, dataOnly: true } });
    const server = { ...task.target.server, port: proxy.port };
    const target = { ...task.target, server, databases: [{ source: 'shop', target: 'shop' }] };
    await stand.server.sql('TRUNCATE t', 'shop');
    await stand.server.sql('ALTER ROLE CURRENT_USER IN DATABASE shop RESET ALL');
    const ended = await runWith(stand.folder, { ...task, target }, pgSecret(stand.server), [stand.binDir]);
    expect(proxy.cuts()).toBe(1);
    const [found] = await stand.server.sql<{ rows: number }>('SELECT count(*)::int AS rows FROM t', 'shop');
    return { ended, rows: found?.rows };
  } finally {
    await proxy.stop();
  }
}

test('a load in place whose commit was done although the answer got lost has succeeded, and is not repeated', async () => {
  const { ended, rows } = await loseCommit({});
  expect(ended, ended.log).toMatchObject({ code: 0, verdict: { verdict: 'Succeeded', target: 'Restored' } });
  expect(rows).toBe(100);
});

test('a load in place whose commit the server never heard has changed nothing, and may be tried again', async () => {
  const { ended, rows } = await loseCommit({ heard: false });
  expect(ended, ended.log).toMatchObject({ code: 75, verdict: { reason: 'ConnectionLost', target: 'Untouched' } });
  expect(rows).toBe(0);
});

test('a commit that nobody can be asked about is left to the next try', async () => {
  let nowMs = 0;
  const clock = {
    nowMs: () => nowMs,
    monotonicMs: () => (nowMs += 2_000),
    // Pauses are over at once, limits are never met.
    sleep: (milliseconds: number, signal?: AbortSignal) =>
      milliseconds <= 5_000
        ? Promise.resolve()
        : new Promise<void>((_, reject) => signal?.addEventListener('abort', () => reject(new Error('over')))),
  };
  const nobody = { host: '127.0.0.1', port: 1, user: 'u', password: 'p', database: 'shop', tls: { mode: 'disable' } };
  const target = { server: nobody } as unknown as OpenTarget;
  const lost = new CommitLost('7', new Failure('ConnectionLost', 'reset'));
  const thrown = await rejection(
    settleCommit(lost, { uid: 'uid', database: 'shop' }, target, workshopOf({}, { clock })),
  );
  expect(thrown).toBeInstanceOf(Unsettled);
  expect(thrown).toMatchObject({ failure: lost });
});
