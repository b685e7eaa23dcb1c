import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectClient, type Connection } from '../../src/postgres/connection.ts';
import { analyzeDatabase, findAnalyzed } from '../../src/runner/restore/prove/analyze-database.ts';
import { rejection } from '../pipeline/streams.ts';
import { temporaryPostgres, type TemporaryPostgres } from '../postgres/temporary-postgres.ts';
import { listBinDirs } from '../servers/postgres.ts';

const never = new AbortController().signal;
const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);
const ends = [...new Set([binDirs[0], binDirs.at(-1)])].filter((binDir) => binDir !== undefined);

describe.skipIf(ends.length === 0).each(ends)('ANALYZE on a server of %s', (binDir) => {
  let at: TemporaryPostgres;
  let connection: Connection;
  beforeAll(async () => {
    at = await temporaryPostgres({ binDir });
  });
  afterAll(() => at?.remove());

  const make = async (sql: string): Promise<void> => {
    await connection?.close();
    await at.postgres.sql('DROP DATABASE IF EXISTS app WITH (FORCE)');
    await at.postgres.sql('CREATE DATABASE app');
    await at.postgres.sql(`ALTER DATABASE app SET my.broken = 'yes'`);
    await at.postgres.sql(`CREATE TABLE public.plain AS SELECT 1 AS i; ${sql}`, 'app');
    connection = await connectClient(at.server, 'app', { timeoutMs: 10_000 }, never);
  };
  const analyzed = async (): Promise<readonly unknown[]> =>
    (
      await at.postgres.sql(
        `SELECT relname AS name FROM pg_class c WHERE relkind = 'r' AND oid >= 16384
            AND EXISTS (SELECT FROM pg_statistic WHERE starelid = c.oid) ORDER BY 1`,
        'app',
      )
    ).map(({ name }) => name);

  test('reads from no other server, and says which tables it left', async () => {
    await make(`CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER far FOREIGN DATA WRAPPER nowhere;
      CREATE SCHEMA "S s"; CREATE TABLE "S s"."P p" (y int, z int) PARTITION BY LIST (y);
      CREATE TABLE public.middle PARTITION OF "S s"."P p" FOR VALUES IN (1) PARTITION BY LIST (z);
      CREATE FOREIGN TABLE public.away PARTITION OF public.middle FOR VALUES IN (1) SERVER far;
      CREATE TABLE public.here PARTITION OF public.middle FOR VALUES IN (2);
      INSERT INTO public.middle VALUES (1, 2)`);
    const tables = await findAnalyzed(connection);
    expect(await analyzeDatabase(connection, tables)).toEqual([
      'not analyzed: "S s"."P p", public.middle, which have foreign tables below them',
    ]);
    expect(await analyzed()).toEqual(['here', 'plain']);
  });

  test('leaves out a table that cannot be analyzed, says why, and goes on', async () => {
    await make(`CREATE FUNCTION public.f(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
        BEGIN IF pg_catalog.current_setting('my.broken', true) = 'yes' THEN RAISE 'f is broken'; END IF; RETURN $1; END $$;
      SET my.broken = 'no'; CREATE TABLE public.broken AS SELECT 1 AS i; CREATE INDEX ON public.broken (public.f(i));
      CREATE TABLE public.zlast AS SELECT 1 AS i`);
    const notes = await analyzeDatabase(connection, await findAnalyzed(connection));
    expect(notes).toEqual(['not analyzed: public.broken: ANALYZE failed: f is broken']);
    expect(await analyzed()).toEqual(['plain', 'zlast']);
  });

  test('fails when its connection is lost', async () => {
    await make('');
    const tables = await findAnalyzed(connection);
    await at.postgres.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'app'`);
    expect(await rejection(analyzeDatabase(connection, tables))).toMatchObject({ reason: 'ConnectionLost' });
  });
});
