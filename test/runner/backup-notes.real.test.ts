import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { NoteSum } from '../../src/api/notes.ts';
import { manifestKey } from '../../src/domain/layout.ts';
import { parseManifest, type Manifest } from '../../src/domain/manifest.ts';
import type { BackupTask, TaskLocation } from '../../src/domain/task.ts';
import { damageSecondPage } from '../servers/damage-page.ts';
import { listBinDirs, startPostgres, type Postgres } from '../servers/postgres.ts';
import { backupTaskOf, pgSecret, runWith, type RunEnd } from './run-with.ts';
import { startStandby } from '../servers/standby.ts';
import { checksumTables, fetchVolumes, restoreWithStockTools } from './restore-with-stock-tools.ts';
import { required, startStand, type Stand } from './stand.ts';
import { wrapPgDump } from './wrap-programs.ts';

const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);

const never = new AbortController().signal;

let stand: Stand;
beforeAll(async () => {
  stand = await startStand();
});
afterAll(() => stand?.stop());

interface Told extends RunEnd {
  readonly notes: readonly NoteSum[];
  readonly place: TaskLocation;
  readonly manifest: () => Promise<Manifest>;
}

async function backUp(server: Postgres, programs: string, changes: Partial<BackupTask>): Promise<Told> {
  const place = (await stand.fresh()).directory;
  const task = backupTaskOf(server, { ...changes, destinations: required(place) });
  const ended = await runWith(stand.folder, task, pgSecret(server), [programs]);
  const notes = ended.verdict.kind === 'backup' ? (ended.verdict.notes ?? []) : [];
  const manifest = async () => {
    const key = manifestKey(task.namespace, task.policy.name, task.backup.name);
    const storage = await stand.open(place);
    try {
      return parseManifest(key, await text(storage.get(key, undefined, never)));
    } finally {
      await storage.close();
    }
  };
  return { ...ended, notes, place, manifest };
}

describe.skipIf(binDirs.length === 0).each(binDirs)('a backup of a server of %s', (binDir) => {
  let server: Postgres;
  let name = 0;
  const makeDatabase = async (sql: string, options = ''): Promise<string> => {
    const database = `d${(name += 1)}`;
    await server.sql(`CREATE DATABASE ${database} ${options}`);
    await server.sql(sql, database);
    return database;
  };
  beforeAll(async () => {
    server = await startPostgres({ binDir, dir: join(stand.folder, `pg-${binDirs.indexOf(binDir)}`) });
  });
  afterAll(() => server?.stop());

  test('has nothing to say when there is nothing', async () => {
    const database = await makeDatabase('CREATE TABLE t (i int)');
    const ended = await backUp(server, binDir, { databases: { names: [database] } });
    expect(ended).toMatchObject({ code: 0, notes: [] });
    expect(ended.verdictText).not.toContain('notes');
    expect(JSON.stringify(await ended.manifest())).not.toContain('notes');
  });

  test('by programs of an older minor version succeeds and says with both versions that they are outdated', async () => {
    const database = await makeDatabase('CREATE TABLE t (i int)');
    const [row] = await server.sql<{ version: string }>(`SELECT current_setting('server_version') AS version`);
    const programs = await wrapPgDump(stand.folder, binDir, 'exec "$REAL" "$@"', `${server.major}.0`);
    const ended = await backUp(server, programs, { databases: { names: [database] } });
    expect(ended).toMatchObject({ code: 0, verdict: { verdict: 'Succeeded' } });
    expect(ended.notes).toMatchObject([{ reason: 'ProgramsOutdated', count: 1 }]);
    expect(ended.notes[0]?.message).toContain(
      `pg_dump ${server.major}.0 is older than the server, ${row?.version.split(' ')[0]}`,
    );
    expect((await ended.manifest()).notes).toMatchObject([{ reason: 'ProgramsOutdated' }]);
  });

  test('leaves out what most servers would refuse, says so, and any server takes it back', async () => {
    const database = await makeDatabase(
      `CREATE TABLE t AS SELECT i, md5(i::text) AS m FROM generate_series(1, 100) i; SET allow_system_table_mods = on;
       UPDATE pg_attribute SET attoptions = '{pg_attver=5}' WHERE attrelid = 't'::regclass AND attnum > 0`,
    );
    const ended = await backUp(server, binDir, { databases: { names: [database] } });
    expect(ended.notes).toMatchObject([{ reason: 'OptionsLeftOut', count: 2 }]);
    const { databases } = await ended.manifest();
    expect(databases[0]?.notes).toMatchObject([{ reason: 'OptionsLeftOut', count: 2 }]);
    const [artifact] = databases[0]?.artifacts ?? [];
    if (artifact === undefined) throw new Error('nothing is stored');
    const storage = await stand.open(ended.place);
    const files = await fetchVolumes(storage, artifact, stand.folder);
    await storage.close();
    const back = await makeDatabase('SELECT 1');
    await restoreWithStockTools(files, server, back);
    expect(await checksumTables(server, back)).toEqual(await checksumTables(server, database));
  });

  test('tells the warnings of pg_dump, and whatever it said stands in the log', async () => {
    const database = await makeDatabase(
      `CREATE TABLE a (i int PRIMARY KEY, b int); CREATE TABLE b (i int PRIMARY KEY, a int REFERENCES a);
       ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b;
       CREATE TABLE chicken (i int PRIMARY KEY, of int REFERENCES chicken)`,
    );
    // With the rows alone the order of tables counts, and a circle has none.
    const programs = await wrapPgDump(stand.folder, binDir, 'exec "$REAL" "$@" --data-only');
    const ended = await backUp(server, programs, { databases: { names: [database] } });
    expect(ended).toMatchObject({ code: 0, notes: [{ reason: 'DumpWarned', count: 2 }] });
    expect(ended.notes[0]?.message).toContain(`database "${database}": there are circular foreign-key constraints`);
    expect(ended.notes[0]?.message).toContain('--disable-triggers');
    const logged = ended.log.split('\n').find((line) => line.includes('messages of the dump'));
    expect(logged).toContain('pg_dump: warning: there are circular foreign-key constraints');
    expect(logged).toContain('chicken');
  });

  test('that fails has the words of pg_dump in the log, without secrets, and their details and a remedy in the verdict', async () => {
    const database = await makeDatabase('CREATE TABLE "table of correct horse: battery\\staple" (i int)');
    await server.sql("DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN PASSWORD 'correct horse: battery\\staple'");
    const task = {
      databases: { names: [database] },
      dump: { globals: false, rolePasswords: false, lockTimeoutSeconds: 5 },
    };
    const ended = await backUp({ ...server, user: 'reader' }, binDir, task);
    expect(ended).toMatchObject({ code: 77, verdict: { reason: 'PermissionDenied' } });
    expect(ended.verdict.message).toContain('Query was: LOCK TABLE');
    expect(ended.verdict.hint).toContain('pg_read_all_data');
    expect(ended.log).toContain('pg_dump: error: query failed');
    expect(ended.log + ended.verdictText).not.toContain('battery');
  });

  test('of chosen tables leaves large objects out and says so, unless they are wanted or knowingly left out', async () => {
    const database = await makeDatabase(
      "CREATE TABLE t (i int); CREATE SCHEMA s CREATE TABLE t (i int); SELECT lo_from_bytea(4711, 'the large one')",
    );
    const plain = { globals: false, rolePasswords: false, lockTimeoutSeconds: 10 };
    const has = async (dump: Partial<BackupTask['dump']>): Promise<{ told: readonly string[]; inside: boolean }> => {
      const task = { databases: { names: [database] }, dump: { ...plain, ...dump } };
      const ended = await backUp(server, binDir, task);
      const { databases } = await ended.manifest();
      const [artifact] = databases[0]?.artifacts ?? [];
      if (artifact === undefined) throw new Error('nothing is stored');
      expect((databases[0]?.notes ?? []).map(({ reason }) => reason)).toEqual(ended.notes.map(({ reason }) => reason));
      const storage = await stand.open(ended.place);
      const files = await fetchVolumes(storage, artifact, stand.folder);
      await storage.close();
      const back = await makeDatabase('SELECT 1');
      await restoreWithStockTools(files, server, back);
      const [row] = await server.sql<{ n: number }>(
        `SELECT count(*)::int AS n FROM pg_largeobject WHERE loid = 4711 AND data = 'the large one'`,
        back,
      );
      return { told: ended.notes.map(({ reason }) => reason), inside: row?.n === 1 };
    };
    const table = { tables: ['public.t'] };
    expect(await has({})).toEqual({ told: [], inside: true });
    expect(await has({ excludeTables: ['t'] })).toEqual({ told: [], inside: true });
    expect(await has(table)).toEqual({ told: ['LargeObjectsLeftOut'], inside: false });
    expect(await has({ schemas: ['s'] })).toEqual({ told: ['LargeObjectsLeftOut'], inside: false });
    expect(await has({ ...table, largeObjects: true })).toEqual({ told: [], inside: true });
    expect(await has({ ...table, largeObjects: false })).toEqual({ told: [], inside: false });
    expect(await has({ largeObjects: false })).toEqual({ told: [], inside: false });
  });

  test('has the facts of databases in every encoding, and bytes that are none in it cost no dump', async () => {
    const make = async (encoding: string): Promise<string> =>
      makeDatabase('SELECT 1', `ENCODING '${encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'`);
    const [latin, euc, broken, ascii] = [
      await make('LATIN1'),
      await make('EUC_JP'),
      await make('EUC_JP'),
      await make('SQL_ASCII'),
    ];
    await server.sql(`COMMENT ON DATABASE ${latin} IS 'größer'; ALTER DATABASE ${latin} SET my.word = 'größe'`, latin);
    await server.sql(`COMMENT ON DATABASE ${euc} IS '日本'`, euc);
    await server.sql(
      `COMMENT ON DATABASE ${ascii} IS E'gr\\xf6\\xdfe \\\\ "x"'; COMMENT ON DATABASE ${broken} IS E'\\xff\\x41'`,
      ascii,
    );
    const mule = `mule${binDirs.indexOf(binDir)}`;
    await server.sql(`CREATE DATABASE ${mule} ENCODING 'MULE_INTERNAL' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'`);
    await server.sql(`COMMENT ON DATABASE ${mule} IS 'mule'; ALTER DATABASE ${mule} SET my.word = 'x'`);
    const names = [latin, euc, broken, ascii, mule];
    const ended = await backUp(server, binDir, { databases: { names } });
    expect(ended, ended.log).toMatchObject({ code: 0, verdict: { verdict: 'Succeeded' } });
    const { databases } = await ended.manifest();
    const facts = Object.fromEntries(databases.map((database) => [database.name, database.facts]));
    expect(facts[latin]).toMatchObject({
      encoding: 'LATIN1',
      comment: 'größer',
      settings: [{ setting: 'my.word=größe' }],
    });
    expect(facts[latin]).not.toHaveProperty('textsAreBytes');
    expect(facts[euc]).toMatchObject({ encoding: 'EUC_JP', comment: '日本' });
    expect(facts[broken]).toMatchObject({ encoding: 'EUC_JP', comment: 'ÿA', textsAreBytes: true });
    expect(facts[ascii]).toMatchObject({
      encoding: 'SQL_ASCII',
      comment: 'gr\u00f6\u00dfe \\ "x"',
      textsAreBytes: true,
    });
    expect(facts[mule]).toMatchObject({
      encoding: 'MULE_INTERNAL',
      comment: 'mule',
      settings: [{ setting: 'my.word=x' }],
    });
    expect(ended.notes).toMatchObject([{ reason: 'FactsMissing', count: 1 }]);
    expect(ended.notes[0]?.message).toContain(mule);
  });

  test('runs no event trigger for logins where that is allowed, and tells those that ran', async () => {
    // They came with 17.
    if (server.major < 17) return;
    const database = await makeDatabase(
      `CREATE TABLE logins (); CREATE FUNCTION note_login() RETURNS event_trigger LANGUAGE plpgsql AS
         'BEGIN INSERT INTO public.logins DEFAULT VALUES; END';
       CREATE EVENT TRIGGER on_login ON login EXECUTE FUNCTION note_login(); GRANT INSERT ON logins TO PUBLIC`,
    );
    const logins = async (): Promise<unknown> => {
      await server.sql(`ALTER ROLE ${server.user} SET event_triggers = off`);
      const rows = await server.sql('SELECT count(*)::int AS n FROM logins', database);
      await server.sql(`ALTER ROLE ${server.user} RESET event_triggers`);
      return rows;
    };
    await server.sql(`CREATE ROLE passer LOGIN PASSWORD 'of passer' IN ROLE pg_read_all_data`);
    const reader = { ...server, user: 'passer', password: 'of passer' };
    const asReader = (): Promise<Told> => backUp(reader, binDir, { databases: { names: [database] } });

    const bySuperuser = await backUp(server, binDir, { databases: { names: [database] } });
    expect(bySuperuser, bySuperuser.log).toMatchObject({ code: 0, notes: [] });
    expect(await logins()).toEqual([{ n: 0 }]);
    const told = await asReader();
    expect(told, told.log).toMatchObject({ code: 0, notes: [{ reason: 'EventTriggersActive', count: 1 }] });
    expect(told.notes[0]?.message).toContain('on_login');
    const ran = await logins();
    await server.sql('GRANT SET ON PARAMETER event_triggers TO passer');
    expect(await asReader()).toMatchObject({ code: 0, notes: [] });
    expect(await logins()).toEqual(ran);
  });

  test('does not take damaged pages for empty ones, where that is allowed, and tells who makes it', async () => {
    const database = await makeDatabase(
      'CREATE TABLE hurt AS SELECT i, md5(i::text) AS m FROM generate_series(1, 5000) i',
    );
    await damageSecondPage(server, 'hurt', database);
    await server.sql(`ALTER DATABASE ${database} SET zero_damaged_pages = on`);
    const bySuperuser = await backUp(server, binDir, { databases: { names: [database] } });
    expect(bySuperuser.verdict, bySuperuser.log).toMatchObject({ reason: 'DatabaseCorrupted' });
    await server.sql(`CREATE ROLE onlooker LOGIN PASSWORD 'of onlooker' IN ROLE pg_read_all_data`);
    const onlooker = { ...server, user: 'onlooker', password: 'of onlooker' };
    const told = await backUp(onlooker, binDir, { databases: { names: [database] } });
    expect(told, told.log).toMatchObject({ code: 0, notes: [{ reason: 'DamageHidden', count: 1 }] });
    expect(told.notes[0]?.message).toContain('zero_damaged_pages');
  });
});

test.skipIf(binDirs.length === 0)('a backup of a standby says which unlogged tables it has no rows of', async () => {
  const binDir = binDirs[0] ?? '';
  const primary = await startPostgres({ binDir, dir: join(stand.folder, 'primary') });
  const standby = await startStandby(primary, join(stand.folder, 'standby'));
  try {
    await primary.sql('CREATE DATABASE mixed');
    await primary.sql('CREATE UNLOGGED TABLE cache AS SELECT 1 AS i; CREATE TABLE kept AS SELECT 2 AS i', 'mixed');
    await standby.caughtUp();
    const ended = await backUp({ ...primary, port: standby.port }, binDir, { databases: { names: ['mixed'] } });
    expect(ended, ended.log).toMatchObject({ code: 0, notes: [{ reason: 'UnloggedTablesEmpty', count: 1 }] });
    expect(ended.notes[0]?.message).toContain('public.cache');
    const there = await backUp(primary, binDir, { databases: { names: ['mixed'] } });
    expect(there).toMatchObject({ code: 0, notes: [] });
  } finally {
    await standby.stop();
    await primary.stop();
  }
});
