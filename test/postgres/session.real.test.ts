import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectClient, type Connection } from '../../src/postgres/connection.ts';
import { dumpDatabase, dumpGlobals } from '../../src/postgres/dump.ts';
import { inspectServer, listDatabases, readSizes } from '../../src/postgres/inspect.ts';
import type { Server } from '../../src/postgres/server.ts';
import { readFacts } from '../../src/postgres/read-facts.ts';
import { readSettable } from '../../src/postgres/read-settable.ts';
import { startupOptions, steadied } from '../../src/postgres/steady-session.ts';
import { collect, rejection } from '../pipeline/streams.ts';
import { listBinDirs } from '../servers/postgres.ts';
import { temporaryPostgres, type TemporaryPostgres } from './temporary-postgres.ts';

const never = new AbortController().signal;
const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);
const lockTimeoutSeconds = 10;
const encoding = 'UTF8';

/** What an administrator may have set, each of it for some good reason. */
const disturbing: Readonly<Record<string, string>> = {
  statement_timeout: '1ms',
  lock_timeout: '1ms',
  idle_in_transaction_session_timeout: '300ms',
  default_transaction_read_only: 'on',
  default_transaction_isolation: 'serializable',
  default_transaction_deferrable: 'on',
  row_security: 'off',
  search_path: 'evil, pg_catalog',
  client_encoding: 'LATIN1',
  client_min_messages: 'debug1',
  DateStyle: 'German, DMY',
  IntervalStyle: 'sql_standard',
  TimeZone: 'Asia/Kolkata',
  extra_float_digits: '-15',
  bytea_output: 'escape',
  xmlbinary: 'hex',
  standard_conforming_strings: 'off',
  quote_all_identifiers: 'on',
  array_nulls: 'off',
  transform_null_equals: 'on',
};
const newer: Readonly<Record<string, number>> = { idle_session_timeout: 14, transaction_timeout: 17 };

/** Functions and an operator that shadow those of pg_catalog, and give themselves away. */
const evil = `
CREATE SCHEMA evil;
CREATE FUNCTION evil.pg_backend_pid() RETURNS int LANGUAGE sql AS 'SELECT -1';
CREATE FUNCTION evil.set_config(text, text, boolean) RETURNS text LANGUAGE sql AS $$ SELECT 'caught'::text $$;
CREATE FUNCTION evil.current_setting(text, boolean) RETURNS text LANGUAGE sql AS 'SELECT NULL::text';
CREATE FUNCTION evil.current_setting(text) RETURNS text LANGUAGE sql AS $$ SELECT '1'::text $$;
CREATE FUNCTION evil.current_database() RETURNS name LANGUAGE sql AS $$ SELECT 'caught'::name $$;
CREATE FUNCTION evil.pg_database_size(oid) RETURNS bigint LANGUAGE sql AS 'SELECT -1::bigint';
GRANT USAGE ON SCHEMA evil TO PUBLIC`;

async function using<T>(server: Server, database: string, work: (connection: Connection) => Promise<T>): Promise<T> {
  const connection = await connectClient(server, database, { timeoutMs: 10_000, queryLimitMs: 60_000 }, never);
  try {
    return await work(connection);
  } finally {
    await connection.close();
  }
}

describe.each(binDirs)('a role and a database full of settings (%s)', (binDir) => {
  let at: TemporaryPostgres;
  let calm: Server;
  let disturbed: Server;
  beforeAll(async () => {
    at = await temporaryPostgres({ binDir });
    const { major } = at.postgres;
    const sql = (text: string, database?: string) => at.postgres.sql(text, database);
    await sql('CREATE DATABASE shop');
    await sql(`${evil}; CREATE TABLE t AS SELECT i, 'grüße €' AS text FROM generate_series(1, 1000) i`, 'shop');
    for (const role of ['calm', 'disturbed'])
      await sql(`CREATE ROLE ${role} LOGIN PASSWORD 'p' IN ROLE pg_read_all_data`);
    const added = Object.entries(newer).flatMap(([name, since]) => (major >= since ? [[name, '300ms'] as const] : []));
    for (const [name, value] of [...Object.entries(disturbing), ...added]) {
      // In its row the name is quoted; a list of names must not be.
      const literal = name === 'search_path' ? value : `'${value}'`;
      await sql(`ALTER ROLE disturbed SET ${name} = ${literal}`);
      if (!name.endsWith('timeout')) await sql(`ALTER DATABASE shop SET ${name} = ${literal}`);
    }
    calm = { ...at.server, user: 'calm', password: 'p' };
    disturbed = { ...at.server, user: 'disturbed', password: 'p' };
  });
  afterAll(() => at?.remove());

  test('makes no difference for any setting of our sessions, with and without options at the login', async () => {
    const look = (server: Server, database: string) =>
      using(server, database, (connection) =>
        connection.query(`SELECT name, setting FROM pg_settings WHERE context = 'user' ORDER BY name`),
      );
    const expected = await look(calm, 'postgres');
    expect(expected.length).toBeGreaterThan(100);
    expect(await look(disturbed, 'shop')).toEqual(expected);
    expect(await look({ ...disturbed, startupOptions: startupOptions({ major: at.postgres.major }) }, 'shop')).toEqual(
      expected,
    );
  });

  test('changes nothing of what we learn, and functions that shadow the catalog are not called', async () => {
    const learn = (server: Server) =>
      using(server, 'shop', async (connection) => {
        const facts = await inspectServer(connection);
        const databases = await listDatabases(connection);
        const sizes = await readSizes(connection, 10_000);
        return {
          direct: connection.direct,
          facts,
          databases,
          sized: databases.filter(({ oid }) => (sizes.get(oid) ?? 0) > 0),
          database: (await readFacts(connection, facts.major)).facts,
        };
      });
    const learnt = await learn(disturbed);
    expect(learnt).toEqual(await learn(calm));
    expect(learnt).toMatchObject({ direct: true, facts: { major: at.postgres.major } });
    expect(learnt.sized.length).toBe(learnt.databases.length);
  });

  test('has messages in English and fails at damage where the role may say so, and logs in where it may not', async () => {
    const { major } = at.postgres;
    for (const [name, value] of [['lc_messages', 'C.UTF-8'] as const, ['zero_damaged_pages', 'on'] as const]) {
      await at.postgres.sql(`ALTER DATABASE shop SET ${name} = '${value}'`);
    }
    const look = (server: Server) =>
      using(server, 'shop', async (connection) => {
        const settable = await readSettable(connection, major);
        const steady = steadied(server, { direct: true, major, settable, onlyReads: true });
        return using(steady, 'shop', (second) =>
          second.query(
            `SELECT current_setting('lc_messages') AS language, current_setting('zero_damaged_pages') AS zeroed`,
          ),
        );
      });
    expect(await look(at.server)).toEqual([{ language: 'C', zeroed: 'off' }]);
    expect(await look(calm)).toEqual([{ language: 'C.UTF-8', zeroed: 'on' }]);
    await at.postgres.sql('GRANT SET ON PARAMETER lc_messages, zero_damaged_pages TO calm');
    expect(await look(calm)).toEqual([{ language: 'C', zeroed: 'off' }]);
    await at.postgres.sql('REVOKE SET ON PARAMETER lc_messages, zero_damaged_pages FROM calm');
    await at.postgres.sql('ALTER DATABASE shop RESET lc_messages');
    await at.postgres.sql('ALTER DATABASE shop RESET zero_damaged_pages');
  });

  test('does not stop dumps, which are the same', async () => {
    const dump = async (server: Server): Promise<readonly string[]> => {
      const steady = steadied(server, { direct: true, major: at.postgres.major });
      const tools = await at.tools(steady);
      const archive = await collect(dumpDatabase(tools, 'shop', { lockTimeoutSeconds, encoding }, never).bytes);
      const globals = await collect(
        dumpGlobals(tools, 'postgres', { rolePasswords: false, lockTimeoutSeconds, encoding }, never).bytes,
      );
      // The archive begins with the time when it was made.
      return [archive.subarray(200).toString('latin1'), globals.toString().replaceAll(/^\\(un)?restrict .*$/gm, '')];
    };
    expect(await dump(disturbed)).toEqual(await dump(calm));
  });

  test('does not end a session that waits', async () => {
    await using(disturbed, 'shop', async (connection) => {
      await connection.query('BEGIN');
      await connection.query('SELECT pg_sleep(0.6)');
      const idle = await at.postgres.sql(`SELECT pg_sleep(0.6)`);
      expect(idle.length).toBe(1);
      await connection.query('CREATE TEMP TABLE written (i int)');
      await connection.query('COMMIT');
      await at.postgres.sql(`SELECT pg_sleep(0.6)`);
      expect(await connection.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    });
  });

  test('does not end with a statement that is refused', async () => {
    await at.postgres.sql(`CREATE ROLE touchy LOGIN PASSWORD 'p'; ALTER ROLE touchy SET exit_on_error = on`);
    await using({ ...at.server, user: 'touchy', password: 'p' }, 'shop', async (connection) => {
      await expect(connection.query('SELECT * FROM public.t')).rejects.toMatchObject({ reason: 'PermissionDenied' });
      expect(await connection.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    });
  });

  test('a statement of ours that takes longer than it may is ended at the server', async () => {
    const connection = await connectClient(calm, 'shop', { timeoutMs: 10_000, queryLimitMs: 300 }, never);
    expect(await rejection(connection.query('SELECT pg_sleep(60)'))).toMatchObject({ reason: 'LockTimeout' });
    expect(await connection.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await connection.close();
  });
});
