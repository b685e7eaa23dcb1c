import { basename, dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectClient, type Connection } from '../../src/postgres/connection.ts';
import { dropDatabase } from '../../src/postgres/drop-database.ts';
import { listBinDirs } from '../servers/postgres.ts';
import { temporaryPostgres, type TemporaryPostgres } from './temporary-postgres.ts';

const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);
const never = new AbortController().signal;

describe.each(binDirs.map((binDir) => [basename(dirname(binDir)), binDir]))('PostgreSQL %s', (_major, binDir) => {
  let server: TemporaryPostgres;
  let session: Connection;
  const connect = (name: string): Promise<Connection> =>
    connectClient(server.server, name, { timeoutMs: 30_000 }, never);
  beforeAll(async () => {
    server = await temporaryPostgres({
      binDir,
      settings: { max_prepared_transactions: '5', wal_level: 'logical' },
    });
    session = await connect('postgres');
  });
  afterAll(async () => {
    await session?.close();
    await server?.remove();
  });
  const sql = (text: string, name = 'postgres') => server.postgres.sql(text, name);
  const subscribe = `CREATE SUBSCRIPTION s CONNECTION 'dbname=nowhere' PUBLICATION p WITH (connect = false, slot_name = 'of_the_publisher', enabled = false)`;

  test.each([
    ['a subscription, whose publisher is not asked', [subscribe]],
    ['a prepared transaction', [`BEGIN; CREATE TABLE t (i int); PREPARE TRANSACTION 'half'`]],
    ['a logical slot', [`SELECT pg_create_logical_replication_slot('slot', 'pgoutput')`]],
    ['the mark of a template, closed to everybody', ['ALTER DATABASE d IS_TEMPLATE true ALLOW_CONNECTIONS false']],
    [
      'a subscription, closed to everybody',
      [subscribe.replace("'of_the_publisher'", 'NONE'), 'ALTER DATABASE d ALLOW_CONNECTIONS false'],
    ],
  ] as const)('a database with %s is dropped', async (_what, statements) => {
    await sql('CREATE DATABASE d');
    for (const statement of statements) await sql(statement, statement.startsWith('ALTER') ? 'postgres' : 'd');
    await dropDatabase(session, 'd', connect);
    expect(await sql(`SELECT 1 AS one FROM pg_database WHERE datname = 'd'`)).toEqual([]);
    await dropDatabase(session, 'd', connect);
  });
});
