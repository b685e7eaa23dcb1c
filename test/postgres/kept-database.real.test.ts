import { basename, dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectClient, type Connection } from '../../src/postgres/connection.ts';
import { listDatabases } from '../../src/postgres/inspect.ts';
import { keptStatement } from '../../src/postgres/kept-database.ts';
import { listBinDirs } from '../servers/postgres.ts';
import { temporaryPostgres, type TemporaryPostgres } from './temporary-postgres.ts';

const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);
const never = new AbortController().signal;
const dated = 'shop_20260101t030000z';

describe.each(binDirs.map((binDir) => [basename(dirname(binDir)), binDir]))('PostgreSQL %s', (_major, binDir) => {
  let server: TemporaryPostgres;
  const sessions = new Map<string, Connection>();
  beforeAll(async () => {
    server = await temporaryPostgres({ binDir });
    const sql = async (text: string) => server.postgres.sql(text);
    await sql('CREATE ROLE team NOLOGIN');
    for (const role of ['member', 'stranger']) await sql(`CREATE ROLE ${role} LOGIN PASSWORD '${role}'`);
    await sql('GRANT team TO member');
    for (const name of [dated, `${dated}_2`, 'shop']) await sql(`CREATE DATABASE ${name} OWNER team`);
    for (const role of ['member', 'stranger']) {
      const login = { ...server.server, user: role, password: role };
      sessions.set(role, await connectClient(login, 'postgres', { timeoutMs: 10_000 }, never));
    }
  });
  afterAll(async () => {
    for (const session of sessions.values()) await session.close();
    await server?.remove();
  });

  const oidOf = async (name: string): Promise<string> => {
    const [row] = await server.postgres.sql<{ oid: string }>(
      `SELECT oid::text AS oid FROM pg_database WHERE datname = '${name}'`,
    );
    return row?.oid ?? '';
  };
  const mark = async (role: string, name: string): Promise<unknown> =>
    sessions.get(role)?.query(keptStatement({ name, oid: await oidOf(name) }));
  /** As a common user sees it. */
  const kept = async (): Promise<readonly string[]> => {
    const session = sessions.get('stranger');
    if (session === undefined) throw new Error('not connected');
    return (await listDatabases(session)).filter(({ isKept }) => isKept === true).map(({ name }) => name);
  };

  test('a dated name alone marks nothing, nor does the mark of who has no right to the database', async () => {
    await mark('stranger', dated);
    expect(await kept()).toEqual([]);
  });

  test('who may act as the owner marks a database that was kept, and everybody can tell', async () => {
    await mark('member', dated);
    expect(await kept()).toEqual([dated]);
  });

  test('a database in use is never taken for one: not by a mark, not by a copy of one, not once it is renamed', async () => {
    await mark('member', 'shop');
    const [copied] = await server.postgres.sql<{ value: string }>(
      `SELECT substr(s, 21) AS value FROM pg_db_role_setting, unnest(setconfig) s
        WHERE setrole = 'member'::regrole AND setdatabase = ${await oidOf(dated)}`,
    );
    await sessions
      .get('member')
      ?.query(`ALTER ROLE CURRENT_USER IN DATABASE ${dated}_2 SET geqo_selection_bias = '${copied?.value}'`);
    expect(await kept()).toEqual([dated]);
    await server.postgres.sql(`ALTER DATABASE ${dated} RENAME TO shop_20270101t030000z`);
    expect(await kept()).toEqual([]);
    await server.postgres.sql(`ALTER DATABASE shop_20270101t030000z RENAME TO ${dated}`);
    expect(await kept()).toEqual([dated]);
  });
});
