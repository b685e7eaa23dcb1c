import { afterAll, beforeAll, expect, test } from 'vitest';
import { pgSecret, runWith } from './run-with.ts';
import { startTwoDatabases, type TwoDatabases } from './two-databases.ts';

let stand: TwoDatabases;
beforeAll(async () => {
  stand = await startTwoDatabases({ fill: 'CREATE TABLE t (i int); INSERT INTO t SELECT generate_series(1, 100)' });
});
afterAll(async () => stand?.stop());

test('what mode InPlace has committed is not repeated for a failure that time would heal: the exit code is final', async () => {
  const task = stand.taskOf({
    mode: 'InPlace',
    select: { schemaOnly: false, dataOnly: true },
    afterSql: ['SELECT pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid())'],
  });
  const target = { ...task.target, databases: [{ source: 'shop', target: 'shop' }] };
  await stand.server.sql('TRUNCATE t', 'shop');
  const ended = await runWith(stand.folder, { ...task, target }, pgSecret(stand.server), [stand.binDir]);
  expect(ended).toMatchObject({ code: 3, verdict: { verdict: 'Failed', target: 'Changed' } });
  expect(await stand.server.sql('SELECT count(*)::int AS rows FROM t', 'shop')).toEqual([{ rows: 100 }]);
});
