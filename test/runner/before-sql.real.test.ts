import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RestoreTask } from '../../src/domain/task.ts';
import { pgSecret, runWith, type RunEnd } from './run-with.ts';
import { startTwoDatabases, type TwoDatabases } from './two-databases.ts';

let stand: TwoDatabases;
beforeAll(async () => {
  stand = await startTwoDatabases({
    fill: `CREATE TABLE t (i int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 100);
      CREATE TABLE big (i int REFERENCES t); INSERT INTO big VALUES (1);
      CREATE TABLE p (i int) PARTITION BY LIST (i); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1); INSERT INTO p VALUES (1)`,
  });
});
afterAll(async () => stand?.stop());

const only = (target: string, changes: Partial<RestoreTask>): RestoreTask => {
  const task = stand.taskOf(changes);
  return { ...task, target: { ...task.target, databases: [{ source: 'shop', target }] } };
};
const run = (task: RestoreTask): Promise<RunEnd> => runWith(stand.folder, task, pgSecret(stand.server), [stand.binDir]);
const one = async (text: string, database: string): Promise<unknown> =>
  Object.values((await stand.server.sql(text, database))[0] ?? {})[0];

/** The load finds what was made; what is set is taken back before it. */
const beforeSql = [
  'CREATE SCHEMA made; SET search_path = made; CREATE TABLE made.first (i int)',
  `CREATE FUNCTION made.late() RETURNS event_trigger LANGUAGE plpgsql AS $$
     BEGIN INSERT INTO made.first SELECT 1; END $$;
   CREATE EVENT TRIGGER made ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION made.late()`,
];

test.each(['Create', 'InPlace'] as const)('beforeSql has run before the first table is made (%s)', async (mode) => {
  const target = `before_${mode.toLowerCase()}`;
  if (mode === 'InPlace') await stand.server.sql(`CREATE DATABASE ${target}`);
  const ended = await run(only(target, { mode, beforeSql }));
  expect([ended.verdict.message, ended.verdict], ended.log).toMatchObject([undefined, { target: 'Restored' }]);
  expect(await one('SELECT count(*)::int FROM made.first', target)).toBe(4);
  expect(await one('SELECT count(*)::int FROM public.t', target)).toBe(100);
});

test.each(['Replace', 'InPlace'] as const)('beforeSql that fails changes nothing (%s)', async (mode) => {
  const ended = await run(only('shop', { mode, beforeSql: ['DROP TABLE IF EXISTS t CASCADE', 'SELECT nothing'] }));
  expect(ended, ended.log).toMatchObject({ code: 65, verdict: { reason: 'SqlFailed', target: 'Untouched' } });
  expect(ended.verdict.message).toContain('of beforeSql');
  expect(await one('SELECT count(*)::int FROM t', 'shop')).toBe(100);
});

test('a database is replaced without what is excluded', async () => {
  const select = { excludeTableData: ['public.big'], excludeTables: ['p'], schemaOnly: false, dataOnly: false };
  const ended = await run(only('stock', { select }));
  expect([ended.verdict.message, ended.verdict], ended.log).toMatchObject([undefined, { target: 'Restored' }]);
  expect(await one('SELECT count(*)::int FROM big', 'stock')).toBe(0);
  expect(await one(`SELECT count(*)::int FROM pg_class WHERE relname IN ('p', 'p1')`, 'stock')).toBe(0);
});

test('clean is refused when it would drop rows that do not come back, unless that is meant', async () => {
  await stand.server.sql('ALTER TABLE big DROP CONSTRAINT big_i_fkey', 'shop');
  await stand.server.sql('CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2); INSERT INTO p VALUES (2)', 'shop');
  const task = only('shop', { mode: 'InPlace', clean: true });
  const refused = await run(task);
  expect(refused, refused.log).toMatchObject({ verdict: { reason: 'ObjectConflict', target: 'Untouched' } });
  expect(refused.verdict.message).toBe('clean would also drop what does not come back: the partition public.p2 of p');
  expect(refused.verdict.hint).toContain('inPlace.dropOthers: true');
  expect(await one('SELECT count(*)::int FROM p', 'shop')).toBe(2);
  const meant = await run({ ...task, dropOthers: true });
  expect([meant.verdict.message, meant.verdict], meant.log).toMatchObject([undefined, { target: 'Restored' }]);
  expect(await one('SELECT count(*)::int FROM p', 'shop')).toBe(1);
});

// The foreign key comes back only with both of its tables.
test('clean names what people made since: what would go with a table, and what keeps it; both ways on work', async () => {
  await stand.server.sql(
    'CREATE INDEX later ON big (i); CREATE SCHEMA mine; CREATE VIEW mine.seen AS SELECT * FROM big; INSERT INTO big VALUES (3)',
    'stock',
  );
  const select = { tables: ['public.big'], schemaOnly: false, dataOnly: false };
  const task = only('stock', { mode: 'InPlace', clean: true, select });
  const held = await run(task);
  expect(held, held.log).toMatchObject({ code: 73, verdict: { reason: 'ObjectConflict', target: 'Untouched' } });
  expect(held.verdict.message).toBe('clean cannot drop what others need: the view mine.seen over big');
  expect(held.verdict.hint).toContain('drop them by beforeSql and make them again by afterSql');
  const remade = {
    beforeSql: ['DROP VIEW mine.seen'],
    afterSql: ['CREATE VIEW mine.seen AS SELECT * FROM big', 'CREATE INDEX later ON big (i)'],
  };
  const goes = await run({ ...task, ...remade });
  expect(goes, goes.log).toMatchObject({ code: 73, verdict: { reason: 'ObjectConflict', target: 'Untouched' } });
  expect(goes.verdict.message).toBe(
    'clean would also drop what does not come back: the foreign key big_i_fkey of public.big, the index public.later of big',
  );
  const meant = await run({ ...task, ...remade, dropOthers: true });
  expect([meant.verdict.message, meant.verdict], meant.log).toMatchObject([undefined, { target: 'Restored' }]);
  expect(await one('SELECT count(*)::int FROM mine.seen', 'stock')).toBe(1);
  expect(await one(`SELECT to_regclass('public.later')::text`, 'stock')).toBe('later');
});
