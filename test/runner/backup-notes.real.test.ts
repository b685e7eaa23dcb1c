import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { NoteSum } from '../../src/api/notes.ts';
import { manifestKey } from '../../src/domain/layout.ts';
import { parseManifest, type Manifest } from '../../src/domain/manifest.ts';
import type { BackupTask, TaskLocation } from '../../src/domain/task.ts';
import { listBinDirs, startPostgres, type Postgres } from '../servers/postgres.ts';
import { backupTaskOf, pgSecret, runWith, type RunEnd } from './run-with.ts';
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
});
