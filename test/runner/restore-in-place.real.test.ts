import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { RestoreTask } from '../../src/domain/task.ts';
import { pgSecret, runWith, type RunEnd } from './run-with.ts';
import { startTwoDatabases, type TwoDatabases } from './two-databases.ts';

let stand: TwoDatabases;
beforeAll(async () => {
  stand = await startTwoDatabases({
    fill: `CREATE TABLE t (i int PRIMARY KEY, m text); INSERT INTO t SELECT i, 'personal' FROM generate_series(1, 100) i`,
  });
  await stand.server.sql('CREATE ROLE somebody');
});
afterAll(async () => stand?.stop());
beforeEach(async () => stand.server.sql('TRUNCATE t', 'shop'));

const check = (sql: string, value: string) => ({ sql, operator: 'Equal', value }) as const;
const count = async (): Promise<unknown> => (await stand.server.sql('SELECT count(*)::int AS n FROM t', 'shop'))[0];

/** The rows of one table, put back in place. */
function restoreRows(changes: Partial<RestoreTask>): Promise<RunEnd> {
  const task = stand.taskOf({ mode: 'InPlace', select: { schemaOnly: false, dataOnly: true }, ...changes });
  return run({ ...task, target: { ...task.target, databases: [{ source: 'shop', target: 'shop' }] } });
}

/** A script, loaded in place. */
async function restoreScript(text: string, changes: Partial<RestoreTask>): Promise<RunEnd> {
  await writeFile(join(stand.place.place.directory?.path ?? '', 'script.sql'), text);
  const task = stand.taskOf({ mode: 'InPlace', ...changes });
  const source = { file: { location: stand.place, key: 'script.sql' } };
  return run({ ...task, source, target: { ...task.target, databases: [{ target: 'shop' }] } });
}

const run = (task: RestoreTask): Promise<RunEnd> => runWith(stand.folder, task, pgSecret(stand.server), [stand.binDir]);

test('nobody sees rows in place that fail their checks, and the target is as it was', async () => {
  const wrong = await restoreRows({ checks: [check('SELECT count(*) FROM t', '99')] });
  expect(wrong, wrong.log).toMatchObject({ code: 65, verdict: { reason: 'CheckFailed', target: 'Untouched' } });
  expect(wrong.verdict.message).toContain('gave 100, wanted equal to 99');
  expect(wrong.results).toMatchObject([{ target: 'shop', outcome: 'Untouched', reason: 'CheckFailed' }]);
  expect(await count()).toEqual({ n: 0 });
  const writing = await restoreRows({ checks: [check('SELECT count(*) FROM t; COMMIT', '100')] });
  expect(writing, writing.log).toMatchObject({ verdict: { reason: 'SqlFailed', target: 'Untouched' } });
  expect(await count()).toEqual({ n: 0 });
});

test('afterSql in place is done before anybody sees a row; what it sets does not count for the checks', async () => {
  const ended = await restoreRows({
    afterSql: [
      `UPDATE t SET m = 'ünknown; ' || i; SET search_path = nowhere`,
      'BEGIN; CREATE ROLE made_after; GRANT SELECT ON public.t TO made_after; COMMIT',
    ],
    checks: [check(`SELECT count(*) FROM t WHERE m LIKE 'ünknown; %'`, '100'), check(`SELECT 'zwölf'`, 'zwölf')],
  });
  expect([ended.verdict.message, ended.verdict]).toMatchObject([undefined, { target: 'Restored' }]);
  expect(await stand.server.sql(`SELECT 1 AS one FROM t WHERE m = 'personal'`, 'shop')).toEqual([]);
  expect(await count()).toEqual({ n: 100 });
  await stand.server.sql('DROP OWNED BY made_after; DROP ROLE made_after', 'shop');
});

test('SQL that runs in no transaction, or would end that of the load, is refused before anything is seen', async () => {
  const vacuum = await restoreRows({ afterSql: ['VACUUM t'] });
  expect(vacuum, vacuum.log).toMatchObject({ code: 65, verdict: { reason: 'SqlFailed', target: 'Untouched' } });
  expect(vacuum.verdict.message).toContain('VACUUM cannot run inside a transaction block');
  expect(vacuum.verdict.hint).toContain('run it yourself after the restore');
  const rollback = await restoreRows({ afterSql: ['DELETE FROM t; ROLLBACK'] });
  expect(rollback.verdict).toMatchObject({ reason: 'SqlFailed', target: 'Untouched' });
  const lost = await restoreRows({ afterSql: ['SELECT pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid())'] });
  expect(lost).toMatchObject({ code: 75, verdict: { reason: 'ConnectionLost', target: 'Untouched' } });
  expect(await count()).toEqual({ n: 0 });
});

test('what a script leaves in its session deceives neither afterSql nor a check', async () => {
  const script = `INSERT INTO t VALUES (1, 'personal');
    CREATE TEMP TABLE t AS SELECT i, 'masked' AS m FROM generate_series(1, 100) i;
    DECLARE pgbackup_check CURSOR FOR SELECT 100;
    SET search_path = nowhere; SET client_encoding = 'LATIN1'; SET standard_conforming_strings = off;
    SET SESSION AUTHORIZATION somebody;`;
  const deceived = await restoreScript(script, { checks: [check(`SELECT count(*) FROM t WHERE m = 'masked'`, '100')] });
  expect(deceived, deceived.log).toMatchObject({ verdict: { reason: 'CheckFailed', target: 'Untouched' } });
  expect(await count()).toEqual({ n: 0 });
  const honest = await restoreScript(script, {
    afterSql: [`UPDATE t SET m = 'mäsked\\'`],
    checks: [check(`SELECT current_user || count(*) FROM t WHERE m = 'mäsked\\'`, `${stand.server.user}1`)],
  });
  expect([honest.verdict.message, honest.verdict]).toMatchObject([undefined, { target: 'Restored' }]);
  expect(await count()).toEqual({ n: 1 });
});

test('what waits for the end of the transaction has happened before the checks', async () => {
  await stand.server.sql(
    `CREATE FUNCTION double() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN IF NEW.i < 1000 THEN INSERT INTO public.t VALUES (NEW.i + 1000, 'late'); END IF; RETURN NULL; END $$;
     CREATE CONSTRAINT TRIGGER late AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION double()`,
    'shop',
  );
  const ended = await restoreRows({ checks: [check('SELECT count(*) FROM t', '100')] });
  expect(ended, ended.log).toMatchObject({ verdict: { reason: 'CheckFailed', target: 'Untouched' } });
  expect(ended.verdict.message).toContain('gave 200');
  expect(await count()).toEqual({ n: 0 });
  await stand.server.sql('DROP TRIGGER late ON t', 'shop');
});
