import { basename, dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectClient, type Connection } from '../../src/postgres/connection.ts';
import { readSeals, sealKeyOf, sealStatement } from '../../src/postgres/database-seal.ts';
import { findDatabases } from '../../src/postgres/target-database.ts';
import { listBinDirs } from '../servers/postgres.ts';
import { temporaryPostgres, type TemporaryPostgres } from './temporary-postgres.ts';

const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);
const never = new AbortController().signal;
const key = sealKeyOf('c0ffee00-1234-4000-8000-000000000001');

describe.each(binDirs.map((binDir) => [basename(dirname(binDir)), binDir]))('PostgreSQL %s', (major, binDir) => {
  let server: TemporaryPostgres;
  let session: Connection;
  let oid: string;
  beforeAll(async () => {
    server = await temporaryPostgres({ binDir });
    await server.postgres.sql('CREATE DATABASE "shop zwölf"');
    await server.postgres.sql(`CREATE ROLE common LOGIN PASSWORD 'common'`);
    session = await connectClient(
      { ...server.server, user: 'common', password: 'common' },
      'postgres',
      { timeoutMs: 10_000 },
      never,
    );
    oid = (await findDatabases(session, Number(major), ['shop zwölf'])).get('shop zwölf')?.oid ?? '';
  });
  afterAll(async () => {
    await session?.close();
    await server?.remove();
  });
  const read = async () => (await readSeals(session, key, ['shop zwölf'])).get('shop zwölf');
  const leave = (text: string) => session.query(sealStatement({ name: 'shop zwölf', oid }, key, text));

  test('who owns nothing leaves word with a database in a transaction, and another in its place', async () => {
    await session.query('BEGIN');
    await leave('undone');
    await session.query('ROLLBACK');
    expect(await read()).toBeUndefined();
    await leave('first');
    // Longer than any page.
    const long = `é\u0001"${'x'.repeat(20_000)}`;
    await leave(long);
    expect(await read()).toEqual([long]);
  });

  test('it changes nothing for sessions, and is no setting that is copied', async () => {
    const common = { ...server.server, user: 'common', password: 'common' };
    const inside = await connectClient(common, 'shop zwölf', { timeoutMs: 10_000 }, never);
    expect(await inside.query('SHOW geqo_selection_bias')).toEqual([{ geqo_selection_bias: '2' }]);
    await inside.close();
    await session.query('ALTER ROLE CURRENT_USER IN DATABASE "shop zwölf" SET work_mem = 65536');
    const found = (await findDatabases(session, Number(major), ['shop zwölf'])).get('shop zwölf');
    expect(found?.settings).toEqual([{ role: 'common', setting: 'work_mem=65536' }]);
  });

  test('what somebody copies to another database, or invents, is none', async () => {
    await leave('mine');
    const [row] = await server.postgres.sql<{ value: string }>(
      `SELECT substr(s, 21) AS value FROM pg_db_role_setting, unnest(setconfig) s WHERE s LIKE 'geqo_selection_bias=%'`,
    );
    await server.postgres.sql('CREATE DATABASE stock');
    await server.postgres.sql(`ALTER DATABASE stock SET geqo_selection_bias = '${row?.value}'`);
    await server.postgres.sql(`ALTER DATABASE "shop zwölf" SET geqo_selection_bias = '2.${'0'.repeat(24)}1234'`);
    expect(await readSeals(session, key, ['stock', 'shop zwölf'])).toEqual(new Map([['shop zwölf', ['mine']]]));
  });
});
