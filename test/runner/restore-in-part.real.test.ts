import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RestoreTask, Task } from '../../src/domain/task.ts';
import { leaveSeal } from '../../src/runner/restore/target/seals.ts';
import { cleanupTaskOf } from './restore-task-of.ts';
import { pgSecret, runWith, type RunEnd } from './run-with.ts';
import { startTwoDatabases, type TwoDatabases } from './two-databases.ts';

let stand: TwoDatabases;
beforeAll(async () => {
  stand = await startTwoDatabases({
    fill: `CREATE FUNCTION helper(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT lower($1)';
      CREATE FUNCTION fold(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN helper($1); END';
      CREATE TABLE t (i int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 100);
      CREATE TABLE folded (name text, low text GENERATED ALWAYS AS (fold(name)) STORED); INSERT INTO folded VALUES ('A')`,
  });
});
afterAll(async () => stand?.stop());

const only = (task: RestoreTask, target: string): RestoreTask => ({
  ...task,
  options: { ...task.options, onError: 'Continue' },
  target: { ...task.target, databases: [{ source: 'shop', target }] },
});
const run = (task: Task): Promise<RunEnd> => runWith(stand.folder, task, pgSecret(stand.server), [stand.binDir]);
const count = async (database: string): Promise<unknown> =>
  stand.server.sql('SELECT (SELECT count(*) FROM t)::int AS t, (SELECT count(*) FROM folded)::int AS folded', database);
const refused = {
  count: 1,
  entries: [
    { entry: 'TABLE DATA public.folded', reason: 'RestoreFailed', message: 'function helper(text) does not exist' },
  ],
};

test('what is refused is left out, beside the target and in place, and the run is no success', async () => {
  const made = await run(only(stand.taskOf({ mode: 'Create' }), 'copy'));
  expect(made, made.log).toMatchObject({
    code: 3,
    verdict: { verdict: 'PartlyFailed', reason: 'RestoredInPart', target: 'Restored' },
    results: [{ target: 'copy', outcome: 'Restored', refused }],
  });
  expect(made.verdict.message).toBe(
    'restored without what the server refused (1): TABLE DATA public.folded: function helper(text) does not exist',
  );
  expect(await count('copy')).toEqual([{ t: 100, folded: 0 }]);

  await stand.server.sql('CREATE DATABASE empty');
  const inPlace = await run(only(stand.taskOf({ mode: 'InPlace' }), 'empty'));
  expect(inPlace, inPlace.log).toMatchObject({ code: 3, verdict: { reason: 'RestoredInPart', target: 'Restored' } });
  expect(inPlace.results).toMatchObject([{ target: 'empty', outcome: 'Restored', refused }]);
  expect(await count('empty')).toEqual([{ t: 100, folded: 0 }]);
});

test('checks hold for it as ever, and stopping is what happens when nothing else is asked for', async () => {
  const checks = [{ sql: 'SELECT count(*) FROM folded', operator: 'Equal', value: '1' } as const];
  const checked = await run(only(stand.taskOf({ checks }), 'shop'));
  expect(checked, checked.log).toMatchObject({ code: 65, verdict: { reason: 'CheckFailed', target: 'Untouched' } });
  const task = only(stand.taskOf(), 'shop');
  const stopped = await run({ ...task, options: { ...task.options, onError: 'Stop' } });
  expect(stopped, stopped.log).toMatchObject({ code: 65, verdict: { reason: 'RestoreFailed', target: 'Untouched' } });
  expect(await count('shop')).toEqual([{ t: 100, folded: 1 }]);
});

test.each(['swapped', 'loaded'] as const)(
  'a try that is found done (%s) is no success either: its seal knows it',
  async (is) => {
    const task = only(stand.taskOf({ mode: is === 'swapped' ? 'Create' : 'InPlace' }), `late_${is}`);
    await stand.server.sql(`CREATE DATABASE late_${is}`);
    const [{ oid } = { oid: '' }] = await stand.server.sql<{ oid: string }>(
      `SELECT oid::text AS oid FROM pg_database WHERE datname = 'late_${is}'`,
    );
    await stand.server.sql(leaveSeal(task.request.uid, { name: `late_${is}`, oid }, { is, refused: 7 }));
    expect(await run(cleanupTaskOf(task))).toMatchObject({ verdict: { target: 'Restored', refused: 7 } });
    const again = await run(task);
    expect(again, again.log).toMatchObject({ code: 3, verdict: { reason: 'RestoredInPart', target: 'Restored' } });
    expect(again.verdict.message).toContain('what the server refused (7)');
    expect(again.results).toMatchObject([{ outcome: 'Restored', refused: { count: 7 } }]);
  },
);
