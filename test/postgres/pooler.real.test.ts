import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Failure } from '../../src/api/failure.ts';
import { connectClient } from '../../src/postgres/connection.ts';
import { collect, rejection } from '../pipeline/streams.ts';
import { dumpDatabase } from '../../src/postgres/dump.ts';
import { pgbouncer, startPgbouncer, type PgbouncerOptions } from '../servers/pgbouncer.ts';
import { listBinDirs } from '../servers/postgres.ts';
import type { RunningProgram } from '../servers/program.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { temporaryPostgres, type TemporaryPostgres } from './temporary-postgres.ts';

const never = new AbortController().signal;
const binDir = (await listBinDirs(process.env['POSTGRES_BINDIRS'])).at(-1) ?? '';
const changed = `SELECT name, setting FROM pg_settings WHERE source IN ('session', 'interactive') ORDER BY name`;

// Needs PgBouncer (Debian: pgbouncer).
describe.skipIf(binDir === '' || pgbouncer === undefined)('a pooler in front of the server', () => {
  let at: TemporaryPostgres;
  let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;
  const running: RunningProgram[] = [];
  let count = 0;
  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    // PgBouncer refuses root and runs as another user below it.
    await chmod(folder.path, 0o755);
    at = await temporaryPostgres({ binDir });
    await at.postgres.sql('CREATE DATABASE shop');
    await at.postgres.sql('CREATE TABLE t AS SELECT generate_series(1, 1000) i', 'shop');
  });
  afterAll(async () => {
    for (const program of running) await program.stop();
    await at?.remove();
    await folder?.remove();
  });
  const start = async (
    poolMode: PgbouncerOptions['poolMode'],
    settings: Readonly<Record<string, string>> = {},
    more: Pick<PgbouncerOptions, 'databases'> = {},
  ) => {
    count += 1;
    const dir = join(folder.path, `pgbouncer-${count}`);
    const program = await startPgbouncer({ dir, server: at.postgres, poolMode, settings, ...more });
    running.push(program);
    return { ...at.server, port: program.port };
  };
  const connect = (server: typeof at.server) => connectClient(server, 'shop', { timeoutMs: 5_000 }, never);
  /** An application of the pool, which keeps its connection. */
  const application = async (port: number): Promise<Client> => {
    const { host, user, password } = at.server;
    const client = new Client({ host, port, user, password, database: 'shop' });
    await client.connect();
    return client;
  };

  test.each([
    ['one session', 'transaction', { default_pool_size: '1' }, 1],
    ['several sessions', 'transaction', {}, 3],
    ['sessions in turn', 'transaction', { server_round_robin: '1' }, 3],
    ['one session by statements', 'statement', { default_pool_size: '1' }, 1],
    ['several sessions by statements', 'statement', {}, 3],
  ] as const)(
    'that shares %s is refused, and applications find theirs as they were',
    async (_, mode, settings, size) => {
      const server = await start(mode, settings);
      const applications = await Promise.all(Array.from({ length: size }, () => application(server.port)));
      await Promise.all(applications.map((client) => client.query('SELECT pg_sleep(0.1)')));
      const failure = (await rejection(connect(server))) as Failure;
      expect(failure.reason).toBe('TransactionPooling');
      expect(failure.hint).toContain('pool_mode = session');
      for (const client of applications) {
        expect((await client.query('SELECT i FROM t LIMIT 1')).rows).toEqual([{ i: 1 }]);
        const { rows } = await client.query<{ name: string }>(changed);
        // What PgBouncer itself carries over for each of its clients.
        const carried = ['application_name', 'client_encoding', 'DateStyle', 'TimeZone', 'standard_conforming_strings'];
        expect(rows.filter(({ name }) => !carried.includes(name))).toEqual([]);
        await client.end();
      }
    },
  );

  test('that shares sessions with applications at work is refused', async () => {
    const server = await start('transaction', { default_pool_size: '4' });
    const busy = await Promise.all([1, 2, 3].map(() => application(server.port)));
    const over = new AbortController();
    const work = busy.map(async (client) => {
      while (!over.signal.aborted) await client.query('SELECT count(*) FROM t');
      await client.end();
    });
    for (let round = 0; round < 10; round++) {
      expect(await rejection(connect(server))).toMatchObject({ reason: 'TransactionPooling' });
    }
    over.abort();
    await Promise.all(work);
  });

  test.each([
    ['several sessions', {}],
    ['a single session', { default_pool_size: '1' }],
  ] as const)('that gives us %s of our own is used, for dumps too, and gets it back clean', async (_, settings) => {
    const server = await start('session', settings);
    const connection = await connect(server);
    expect(connection.direct).toBe(false);
    expect(await connection.query('SELECT current_setting($1) AS path', ['search_path'])).toEqual([{ path: '' }]);
    await connection.close();
    const tools = await at.tools(server);
    const archive = await collect(
      dumpDatabase(tools, 'shop', { lockTimeoutSeconds: 5, encoding: 'UTF8' }, never).bytes,
    );
    expect(archive.subarray(0, 5).toString()).toBe('PGDMP');
    const client = await application(server.port);
    expect((await client.query('SELECT i FROM t LIMIT 1')).rows).toEqual([{ i: 1 }]);
    await client.end();
  });

  test('whose pool of one session is in use is waited for, and is not taken for one that shares', async () => {
    const server = await start('session', { default_pool_size: '1' });
    const client = await application(server.port);
    await client.query('SELECT 1');
    const attempt = connectClient(server, 'shop', { timeoutMs: 1_000 }, never);
    expect(await rejection(attempt)).toMatchObject({ reason: 'ServerUnreachable' });
    await client.end();
    const connection = await connect(server);
    expect(await connection.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await connection.close();
  });

  test('a database that pools otherwise than the others is judged by itself', async () => {
    const route = `host=${at.postgres.host} port=${at.postgres.port}`;
    const databases = { shop: `${route} pool_mode=transaction`, '*': route };
    const server = await start('session', {}, { databases });
    expect(await rejection(connect(server))).toMatchObject({ reason: 'TransactionPooling' });
    const connection = await connectClient(server, 'postgres', { timeoutMs: 5_000 }, never);
    await connection.close();
  });

  test('that refuses says so at once', async () => {
    const server = await start('session', {}, { databases: { shop: `host=127.0.0.1 port=${at.postgres.port}` } });
    for (const [as, database, reason] of [
      [{ ...server, password: 'wrong' }, 'shop', 'AuthenticationFailed'],
      [{ ...server, user: 'nobody' }, 'shop', 'AuthenticationFailed'],
      [server, 'postgres', 'DatabaseMissing'],
    ] as const) {
      expect(await rejection(connectClient(as, database, { timeoutMs: 5_000 }, never))).toMatchObject({ reason });
    }
  });
});
