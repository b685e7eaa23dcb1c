import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Failure } from '../../src/api/failure.ts';
import { dumpDatabase, dumpGlobals, type DumpSelection } from '../../src/postgres/dump.ts';
import { collect, rejection } from '../pipeline/streams.ts';
import { damageSecondPage } from '../servers/damage-page.ts';
import { listBinDirs } from '../servers/postgres.ts';
import { temporaryPostgres, type TemporaryPostgres } from './temporary-postgres.ts';

const never = new AbortController().signal;
const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);

/** Each refusal is provoked on a real server of each major, and what the hint says is then done: the dump succeeds. */
describe.skipIf(binDirs.length === 0).each(binDirs)('a server of %s refuses', (binDir) => {
  let at: TemporaryPostgres;
  let count = 0;
  beforeAll(async () => {
    at = await temporaryPostgres({ binDir, settings: { max_locks_per_transaction: '10', max_connections: '12' } });
    await at.postgres.sql("CREATE ROLE reader LOGIN PASSWORD 'r'");
  });
  afterAll(() => at?.remove());

  const sql = (text: string, database?: string) => at.postgres.sql(text, database);
  const make = async (...statements: readonly string[]): Promise<string> => {
    const database = `d${(count += 1)}`;
    await sql(`CREATE DATABASE ${database}`);
    for (const statement of statements) await sql(statement, database);
    return database;
  };
  const dumpAs = async (user: 'admin' | 'reader', database: string, selection: DumpSelection = {}, lock = 10) => {
    const tools = await at.tools(user === 'admin' ? at.server : { ...at.server, user, password: 'r' });
    const options = { selection, lockTimeoutSeconds: lock, encoding: 'UTF8' };
    return collect(dumpDatabase(tools, database, options, never).bytes);
  };
  const refusal = async (user: 'admin' | 'reader', database: string, selection: DumpSelection = {}): Promise<Failure> =>
    (await rejection(dumpAs(user, database, selection))) as Failure;
  const isArchive = (bytes: Buffer) => expect(bytes.subarray(0, 5).toString()).toBe('PGDMP');

  test('a table, with its name, and pg_read_all_data is what helps', async () => {
    const database = await make('CREATE TABLE secret (i int)');
    const failure = await refusal('reader', database);
    expect(failure).toMatchObject({ reason: 'PermissionDenied', message: expect.stringContaining('secret') as string });
    expect(failure.hint).toContain('pg_read_all_data');
    await sql('GRANT pg_read_all_data TO reader');
    isArchive(await dumpAs('reader', database));
    await sql('REVOKE pg_read_all_data FROM reader');
  });

  test('a sequence, with its name, and pg_read_all_data is what helps', async () => {
    const database = await make('CREATE TABLE t (id serial)', 'GRANT SELECT ON t TO reader');
    const failure = await refusal('reader', database);
    expect(failure).toMatchObject({
      reason: 'PermissionDenied',
      message: expect.stringContaining('t_id_seq') as string,
    });
    expect(failure.hint).toContain('sequences');
    await sql('GRANT pg_read_all_data TO reader');
    isArchive(await dumpAs('reader', database));
    await sql('REVOKE pg_read_all_data FROM reader');
  });

  test('a schema without USAGE, with its name', async () => {
    const database = await make(
      'CREATE SCHEMA closed CREATE TABLE closed.x (i int)',
      'GRANT SELECT ON closed.x TO reader',
    );
    expect(await refusal('reader', database)).toMatchObject({
      reason: 'PermissionDenied',
      message: expect.stringContaining('closed') as string,
      hint: expect.stringContaining('pg_read_all_data') as string,
    });
  });

  test('a large object, and what its hint says helps where pg_read_all_data does not', async () => {
    await sql('GRANT pg_read_all_data TO reader');
    const database = await make("SELECT lo_from_bytea(4711, 'x')");
    const failure = await refusal('reader', database);
    expect(failure).toMatchObject({ reason: 'PermissionDenied', message: expect.stringContaining('4711') as string });
    expect(failure.hint).toMatch(/GRANT SELECT ON LARGE OBJECT.*lo_compat_privileges/);
    await sql(`ALTER DATABASE ${database} SET lo_compat_privileges = on`);
    isArchive(await dumpAs('reader', database));
    await sql(`ALTER DATABASE ${database} RESET lo_compat_privileges`);
    await sql('GRANT SELECT ON LARGE OBJECT 4711 TO reader', database);
    isArchive(await dumpAs('reader', database));
    await sql('REVOKE pg_read_all_data FROM reader');
  });

  test('a table with row security, and BYPASSRLS or owning it helps', async () => {
    await sql('GRANT pg_read_all_data TO reader');
    const database = await make('CREATE TABLE rows (i int)', 'ALTER TABLE rows ENABLE ROW LEVEL SECURITY');
    const failure = await refusal('reader', database);
    expect(failure).toMatchObject({ reason: 'PermissionDenied', message: expect.stringContaining('"rows"') as string });
    expect(failure.hint).toContain('BYPASSRLS');
    await sql('ALTER ROLE reader BYPASSRLS');
    isArchive(await dumpAs('reader', database));
    await sql('ALTER ROLE reader NOBYPASSRLS');
    await sql('ALTER TABLE rows OWNER TO reader', database);
    isArchive(await dumpAs('reader', database));
    await sql('REVOKE pg_read_all_data FROM reader');
  });

  test('password hashes, and leaving them out helps', async () => {
    const tools = await at.tools({ ...at.server, user: 'reader', password: 'r' });
    const globals = (rolePasswords: boolean) =>
      collect(dumpGlobals(tools, 'postgres', { rolePasswords, lockTimeoutSeconds: 10, encoding: 'UTF8' }, never).bytes);
    const failure = (await rejection(globals(true))) as Failure;
    expect(failure).toMatchObject({ reason: 'PermissionDenied' });
    expect(failure.hint).toContain('rolePasswords');
    expect((await globals(false)).toString()).toContain('CREATE ROLE reader');
  });

  test('to wait longer for a lock, with the table', async () => {
    const database = await make('CREATE TABLE locked (i int)');
    const { host, port, user, password } = at.postgres;
    const client = new Client({ host, port, user, password, database });
    await client.connect();
    await client.query('BEGIN; LOCK TABLE locked IN ACCESS EXCLUSIVE MODE');
    const failure = await rejection(dumpAs('admin', database, {}, 1));
    expect(failure).toMatchObject({ reason: 'LockTimeout', message: expect.stringContaining('locked') as string });
    await client.end();
    isArchive(await dumpAs('admin', database));
  });

  test('more locks than it has room for', async () => {
    const database = await make(
      `DO $$ BEGIN FOR i IN 1..2500 LOOP EXECUTE format('CREATE TABLE t%s ()', i);
       IF i % 50 = 0 THEN COMMIT; END IF; END LOOP; END $$`,
    );
    const failure = await refusal('admin', database);
    expect(failure).toMatchObject({ reason: 'LockTableFull' });
    expect(failure.message).toMatch(/out of shared memory.*max_locks_per_transaction/);
  });

  test('a query that somebody cancels', async () => {
    const database = await make('CREATE TABLE held (i int)', 'INSERT INTO held SELECT generate_series(1, 10)');
    const { host, port, user, password } = at.postgres;
    const client = new Client({ host, port, user, password, database });
    await client.connect();
    await client.query('BEGIN; LOCK TABLE held IN ACCESS EXCLUSIVE MODE');
    const failure = rejection(dumpAs('admin', database));
    const cancel = `SELECT pg_cancel_backend(pid) FROM pg_stat_activity
                     WHERE datname = '${database}' AND wait_event_type = 'Lock' AND application_name = 'pgbackup'`;
    while ((await sql(cancel)).length === 0);
    expect(await failure).toMatchObject({ reason: 'QueryCanceled' });
    await client.end();
  });

  test('more connections of a role than it may have', async () => {
    const database = await make('CREATE TABLE t (i int)');
    await sql('ALTER ROLE reader CONNECTION LIMIT 0');
    const failure = await refusal('reader', database);
    expect(failure).toMatchObject({
      reason: 'ServerUnreachable',
      hint: expect.stringContaining('CONNECTION LIMIT') as string,
    });
    await sql('ALTER ROLE reader CONNECTION LIMIT -1');
  });

  test('a database that is not there', async () => {
    expect(await refusal('admin', 'vanished')).toMatchObject({ reason: 'DatabaseMissing' });
  });

  test('patterns that match nothing', async () => {
    const database = await make('CREATE TABLE t (i int)');
    expect(await refusal('admin', database, { tables: ['typo'] })).toMatchObject({ reason: 'SelectionEmpty' });
    expect(await refusal('admin', database, { schemas: ['typo'] })).toMatchObject({ reason: 'SelectionEmpty' });
  });

  test('to read a function’s library that is gone', async () => {
    const database = await make(
      `CREATE FUNCTION gone(int) RETURNS int LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler'`,
      'CREATE TABLE t (i int)',
      `CREATE VIEW v AS SELECT gone(1)`,
      `UPDATE pg_proc SET probin = '$libdir/is_gone' WHERE proname = 'gone'`,
      `CREATE TABLE computed (i int, j int GENERATED ALWAYS AS (i) STORED)`,
      `ALTER DATABASE current SET session_preload_libraries = 'is_gone'`.replace('current', `d${count + 1}`),
    );
    const failure = await refusal('admin', database);
    expect(failure).toMatchObject({
      reason: 'ExtensionMissing',
      message: expect.stringContaining('is_gone') as string,
    });
  });

  test('rows of a table whose file is damaged, and the rest can be saved without them', async () => {
    const database = await make(
      `CREATE TABLE hurt AS SELECT i, md5(i::text) AS m FROM generate_series(1, 5000) i`,
      'CREATE TABLE whole AS SELECT 1 AS i',
    );
    await damageSecondPage(at.postgres, 'hurt', database);
    const failure = await refusal('admin', database);
    expect(failure).toMatchObject({ reason: 'DatabaseCorrupted' });
    expect(failure.message).toMatch(/"hurt".*invalid page in block 1/);
    isArchive(await dumpAs('admin', database, { excludeTableData: ['hurt'] }));
  });
});
