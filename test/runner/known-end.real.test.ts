import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { RestoreTask } from '../../src/domain/task.ts';
import { leaveSeal } from '../../src/runner/restore/target/seals.ts';
import { until } from '../faults/waiting.ts';
import { cleanupTaskOf, listAll, requestDigits, requestUid } from './restore-task-of.ts';
import { pgSecret, podUids, runWith, type RunEnd } from './run-with.ts';
import { startTwoDatabases, type TwoDatabases } from './two-databases.ts';

let stand: TwoDatabases;
beforeAll(async () => {
  stand = await startTwoDatabases({ fill: 'CREATE TABLE t (i int); INSERT INTO t SELECT generate_series(1, 100)' });
});
afterAll(async () => stand?.stop());
beforeEach(async () => {
  for (const name of stand.names) {
    await stand.server.sql(`ALTER ROLE CURRENT_USER IN DATABASE ${name} RESET ALL`);
    await stand.server.sql('TRUNCATE t', name);
  }
});

const run = (task: RestoreTask, podUid: string = podUids.first): Promise<RunEnd> =>
  runWith(stand.folder, task, pgSecret(stand.server), [stand.binDir], { podUid });
const cleanUp = (task: RestoreTask): Promise<RunEnd> =>
  runWith(stand.folder, cleanupTaskOf(task), pgSecret(stand.server), [stand.binDir], { podUid: podUids.second });
const count = async (name: string): Promise<number | undefined> =>
  (await stand.server.sql<{ n: number }>('SELECT count(*)::int AS n FROM t', name))[0]?.n;

/** The same in every try. */
const request = { name: 'request', uid: requestUid };
const rowsOf = (...names: readonly string[]): RestoreTask => {
  const task = stand.taskOf({ request, mode: 'InPlace', select: { schemaOnly: false, dataOnly: true } });
  return { ...task, target: { ...task.target, databases: names.map((name) => ({ source: name, target: name })) } };
};
async function scriptTask(text: string, changes: Partial<RestoreTask> = {}): Promise<RestoreTask> {
  await writeFile(join(stand.place.place.directory?.path ?? '', 'script.sql'), text);
  const task = stand.taskOf({ request, ...changes });
  const source = { file: { location: stand.place, key: 'script.sql' } };
  return { ...task, source, target: { ...task.target, databases: [{ target: 'shop' }] } };
}
const oidOf = async (name: string): Promise<string> =>
  (await stand.server.sql<{ oid: string }>(`SELECT oid::text AS oid FROM pg_database WHERE datname = '${name}'`))[0]
    ?.oid ?? '';

test('a script that copies every mark that it finds, and ends its own session, is not taken for restored', async () => {
  // A seal of the same request that is true, of another database.
  const seal = leaveSeal(requestUid, { name: 'stock', oid: await oidOf('stock') }, { is: 'swapped' });
  await stand.server.sql(seal);
  await stand.server.sql('CREATE DATABASE decoy');
  const forger = `
    DO $$ DECLARE mark record; BEGIN
      EXECUTE format('COMMENT ON DATABASE shop IS %L', '{"pgbackup":{"v":1,"request":"${requestUid}","target":"shop","swapped":true}}');
      FOR mark IN SELECT split_part(s, '=', 1) AS name, split_part(s, '=', 2) AS value
                    FROM pg_db_role_setting, unnest(setconfig) s LOOP
        EXECUTE format('ALTER ROLE CURRENT_USER IN DATABASE shop SET %I = %L', mark.name, mark.value);
      END LOOP;
      EXECUTE 'ALTER DATABASE decoy RENAME TO pgbackup_replaced_${requestDigits}';
    END $$;
    SELECT pg_terminate_backend(pg_backend_pid());`;
  const task = await scriptTask(forger, { checks: [{ sql: 'SELECT 1', operator: 'Equal', value: '2' }] });
  const before = await oidOf('shop');
  expect(await run(task)).toMatchObject({ code: 75, verdict: { reason: 'ConnectionLost', target: 'Untouched' } });
  const honest = { ...(await scriptTask('SELECT 1')), checks: task.checks };
  expect(await run(honest, podUids.second)).toMatchObject({ verdict: { reason: 'CheckFailed', target: 'Untouched' } });
  const cleaned = await cleanUp(task);
  expect(cleaned.verdict).toMatchObject({ verdict: 'Succeeded', target: 'Untouched' });
  expect(JSON.stringify(cleaned.results)).toContain(`pgbackup_replaced_${requestDigits}`);
  expect(await oidOf('shop')).toBe(before);
  await stand.server.sql(`DROP DATABASE pgbackup_replaced_${requestDigits}`);
  await stand.server.sql(`COMMENT ON DATABASE shop IS 'comment of shop'`);
});

const modes = [
  ['Replace', {}],
  ['Replace', { keepPrevious: true }],
  ['Create', {}],
  ['InPlace', { select: { schemaOnly: false, dataOnly: true } }],
] as const;
test.each(modes)(
  'mode %s %o: a try after the last statement of the one before restores nothing',
  async (mode, more) => {
    const all = await listAll(stand.server);
    const base = stand.taskOf({ request, mode, ...more });
    const target = mode === 'Create' ? 'created' : 'shop';
    const task = { ...base, target: { ...base.target, databases: [{ source: 'shop', target }] } };
    const first = await run(task);
    expect(first.verdict, first.log).toMatchObject({ verdict: 'Succeeded', target: 'Restored' });
    await stand.server.sql('INSERT INTO t VALUES (4711)', target);
    for (const again of [await run(task, podUids.second), await cleanUp(task)]) {
      expect(again.verdict, again.log).toMatchObject({ verdict: 'Succeeded', target: 'Restored' });
      expect(again.verdict).toMatchObject({ source: { backup: 'nightly-20260101t030000z' } });
      const [line] = first.results;
      const previous = line?.kind === 'restored' ? line.previous : undefined;
      expect(again.results).toMatchObject([{ target, outcome: 'Restored', ...(previous && { previous }) }]);
    }
    expect(await count(target)).toBe(101);
    // Another request is another one, and takes the place of the seal.
    if (mode === 'InPlace') {
      const other = await run({ ...task, request: { name: 'other', uid: 'f00d0000-1234-4000-8000-000000000001' } });
      expect(other.verdict).toMatchObject({ verdict: 'Succeeded', target: 'Restored' });
      expect(await count(target)).toBe(201);
    }
    for (const name of await listAll(stand.server)) {
      if (!all.includes(name)) await stand.server.sql(`DROP DATABASE "${name}"`);
    }
  },
);

test('of several databases in place, a second try loads those that the first did not come to', async () => {
  expect((await run(rowsOf('shop'))).verdict).toMatchObject({ target: 'Restored' });
  const cleaned = await cleanUp(rowsOf('shop', 'stock'));
  expect(cleaned.verdict).toMatchObject({ verdict: 'Succeeded', target: 'Changed' });
  expect(cleaned.results).toMatchObject([
    { target: 'shop', outcome: 'Restored' },
    { target: 'stock', outcome: 'Untouched' },
  ]);
  const again = await run(rowsOf('shop', 'stock'), podUids.second);
  expect(again.verdict, again.log).toMatchObject({ verdict: 'Succeeded', target: 'Restored' });
  expect([await count('shop'), await count('stock')]).toEqual([100, 100]);
});

test('a try that fails after the first database of the try before says what is there', async () => {
  expect((await run(rowsOf('shop'))).verdict).toMatchObject({ target: 'Restored' });
  const wrong = rowsOf('shop', 'stock');
  const checks = [{ database: 'stock', sql: 'SELECT 1', operator: 'Equal', value: '2' }] as const;
  const again = await run({ ...wrong, checks: [...checks] }, podUids.second);
  expect(again).toMatchObject({ code: 3, verdict: { reason: 'CheckFailed', target: 'Changed' } });
  expect(again.results).toMatchObject([
    { target: 'shop', outcome: 'Restored' },
    { target: 'stock', outcome: 'Untouched', reason: 'CheckFailed' },
  ]);
  expect([await count('shop'), await count('stock')]).toEqual([100, 0]);
});

test('a load in place that was committed in the middle is changed for good: nobody repeats it', async () => {
  await stand.server.sql(leaveSeal(requestUid, { name: 'shop', oid: await oidOf('shop') }, { is: 'loading' }));
  const again = await run(rowsOf('shop'), podUids.second);
  expect(again, again.log).toMatchObject({ code: 3, verdict: { reason: 'RestoreFailed', target: 'Changed' } });
  expect(await count('shop')).toBe(0);
  expect((await cleanUp(rowsOf('shop'))).verdict).toMatchObject({ verdict: 'Succeeded', target: 'Changed' });
});

test('what the SQL of a file leaves for the end of the transaction takes no seal away', async () => {
  await stand.server.sql(
    `CREATE FUNCTION erase() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN ALTER ROLE CURRENT_USER IN DATABASE shop RESET ALL; RETURN NULL; END $$;
     CREATE CONSTRAINT TRIGGER late AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION erase()`,
    'shop',
  );
  const ended = await run(rowsOf('shop'));
  expect(ended.verdict, ended.log).toMatchObject({ target: 'Restored' });
  const again = await run(rowsOf('shop'), podUids.second);
  expect(again.verdict).toMatchObject({ verdict: 'Succeeded', target: 'Restored', readBytes: 0 });
  expect(await count('shop')).toBe(100);
  await stand.server.sql('DROP TRIGGER late ON t; DROP FUNCTION erase', 'shop');
});

test('a second try ends the load of the first, whatever its script calls the session', async () => {
  const insert = 'INSERT INTO t SELECT generate_series(1, 100);';
  const slow = await scriptTask(`${insert} SET application_name = 'innocent'; SELECT pg_sleep(600);`, {
    mode: 'InPlace',
  });
  const first = run(slow);
  await until('the script sleeps', async () => {
    const asleep = `SELECT 1 FROM pg_stat_activity WHERE application_name = 'innocent' AND wait_event = 'PgSleep'`;
    return (await stand.server.sql(asleep)).length > 0;
  });
  const second = await run(await scriptTask(insert, { mode: 'InPlace' }), podUids.second);
  expect(second.verdict, second.log).toMatchObject({ verdict: 'Succeeded', target: 'Restored' });
  expect(await first).toMatchObject({ code: 75, verdict: { reason: 'ConnectionLost' } });
  expect(await count('shop')).toBe(100);
});
