import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadArchive } from '../../src/postgres/load-archive.ts';
import type { Bytes } from '../../src/pipeline/bytes.ts';
import type { Archive, LoadOptions } from '../../src/postgres/load-types.ts';
import { inPieces, rejection } from '../pipeline/streams.ts';
import { listBinDirs } from '../servers/postgres.ts';
import { loadOptions, openLoadStand, streamOf, type LoadStand } from './load-stand.ts';

const never = new AbortController().signal;
const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);

/** Rows tell by their transaction which session has brought them. */
const sessionsOf = (table: string): string => `SELECT count(DISTINCT xmin::text)::int AS sessions FROM ${table}`;
const contentOf = (table: string): string =>
  `SELECT count(*)::int AS rows, md5(string_agg(md5(t::text), '' ORDER BY t::text)) AS hash FROM ${table} t`;

const schema = `
CREATE SCHEMA "odd.Schema";
CREATE TABLE wide AS SELECT i AS id, repeat(md5(i::text), 20) AS text, CASE i % 3 WHEN 0 THEN E'line\\nback\\\\slash\\ttab' END AS odd
  FROM generate_series(1, 15000) i;
ALTER TABLE wide ADD PRIMARY KEY (id);
CREATE TABLE "odd.Schema"."COPY (x) FROM stdin;" ("a b" int, "FROM" text);
INSERT INTO "odd.Schema"."COPY (x) FROM stdin;" VALUES (1, '\\.'), (2, E'\\\\.'), (3, NULL), (4, '');
CREATE TABLE nothing (i int);
CREATE TABLE long AS SELECT 1 AS id, repeat('ä', 2500000) AS text;
CREATE TABLE anchor AS SELECT i AS id FROM generate_series(1, 3) i;
CREATE FUNCTION follows(i int) RETURNS boolean LANGUAGE plpgsql AS
  $$ BEGIN RETURN i = 1 OR EXISTS (SELECT FROM public.anchor WHERE id = 1); END $$;
CREATE TABLE chained (id int CHECK (public.follows(id)), text text);
INSERT INTO chained SELECT i, repeat(md5(i::text), 20) FROM generate_series(1, 4000) i;
SELECT lo_from_bytea(4711, 'large'), lo_from_bytea(4712, convert_to(repeat('x', 3000000), 'UTF8'));
`;
const tables = ['wide', '"odd.Schema"."COPY (x) FROM stdin;"', 'nothing', 'long', 'anchor', 'chained'];
const ours = `SELECT count(*)::int AS others FROM pg_stat_activity WHERE datname = 'back' AND pid <> pg_backend_pid()
  AND backend_type = 'client backend'`;

describe.skipIf(binDirs.length === 0).each(binDirs)('a stream into a server of %s', (binDir) => {
  let stand: LoadStand;
  let dump: Buffer;
  const load = async (archive: Archive, changes: Partial<LoadOptions>, signal = never) => {
    await stand.fresh('back');
    return loadArchive(stand.tools, archive, loadOptions('back', changes), signal);
  };
  const sql = async (text: string, database = 'back') => stand.at.postgres.sql(text, database);

  beforeAll(async () => {
    stand = await openLoadStand(binDir, binDirs);
    await stand.fresh('source');
    await sql(schema, 'source');
    dump = await stand.dump('source');
  });
  afterAll(() => stand?.at.remove());

  test.each([1, 2, 4])('by %i connections has every row and large object', async (jobs) => {
    await load(streamOf(dump), { jobs });
    for (const table of tables) expect(await sql(contentOf(table))).toEqual(await sql(contentOf(table), 'source'));
    const objects = `SELECT lomowner::regrole::text AS owner, oid::int, md5(lo_get(oid)) AS hash FROM pg_largeobject_metadata ORDER BY oid`;
    expect(await sql(objects)).toEqual(await sql(objects, 'source'));
    // Large objects come by one of the connections.
    expect(await sql(sessionsOf('wide'))).toEqual([{ sessions: Math.max(1, jobs - 1) }]);
    expect(await sql(`SELECT indisvalid FROM pg_index WHERE indrelid = 'wide'::regclass`)).toEqual([
      { indisvalid: true },
    ]);
  });

  test('brings rows that something looks at in their order, by one session, after those of the table before', async () => {
    await load(streamOf(dump), { jobs: 4 });
    expect(await sql(sessionsOf('chained'))).toEqual([{ sessions: 1 }]);
    const order = `SELECT bool_and(id > before) AS ordered FROM (SELECT id, lag(id, 1, 0) OVER (ORDER BY ctid) AS before FROM chained) c`;
    expect(await sql(order)).toEqual([{ ordered: true }]);
  });

  test('brings rows alone into tables that are there by one connection', async () => {
    await stand.fresh('back');
    await sql('CREATE TABLE wide (id int, text text, odd text)');
    const selection = { tables: ['wide'], schemaOnly: false, dataOnly: true };
    await loadArchive(stand.tools, streamOf(dump), loadOptions('back', { jobs: 4, selection }), never);
    expect(await sql(sessionsOf('wide'))).toEqual([{ sessions: 1 }]);
    expect(await sql(contentOf('wide'))).toEqual(await sql(contentOf('wide'), 'source'));
  });

  test('brings no rows where definitions alone are wanted', async () => {
    await load(streamOf(dump), { jobs: 4, selection: { schemaOnly: true, dataOnly: false } });
    for (const table of tables) expect(await sql(`SELECT count(*)::int AS rows FROM ${table}`)).toEqual([{ rows: 0 }]);
    expect(await sql(`SELECT indisvalid FROM pg_index WHERE indrelid = 'wide'::regclass`)).toEqual([
      { indisvalid: true },
    ]);
  });

  test('tells what the server refuses of rows, and no session stays', async () => {
    await stand.fresh('refused');
    await sql(
      `CREATE FUNCTION good(i int) RETURNS boolean LANGUAGE sql AS 'SELECT true';
       CREATE TABLE t (i int CHECK (public.good(i)));
       INSERT INTO t SELECT generate_series(1, 10);
       CREATE OR REPLACE FUNCTION good(i int) RETURNS boolean LANGUAGE sql AS 'SELECT i < 7'`,
      'refused',
    );
    const failure = await rejection(load(streamOf(await stand.dump('refused')), { jobs: 2 }));
    expect(failure).toMatchObject({ reason: 'RestoreFailed' });
    expect((failure as Error).message).toContain('"t_i_check"');
    await expect.poll(async () => sql(ours)).toEqual([{ others: 0 }]);
  });

  test('ends when one of its sessions is ended', async () => {
    /** Holds the stream in the rows of `wide` until a session has brought some, and then ends all. */
    async function* held(): Bytes {
      let passed = 0;
      let isEnded = false;
      for await (const piece of inPieces(dump, 65_536)) {
        passed += piece.length;
        if (!isEnded && passed > 10_000_000) {
          isEnded = true;
          await sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY public.wide%'`);
        }
        yield piece;
      }
    }
    const failure = await rejection(load({ kind: 'stream', format: 'custom', open: held }, { jobs: 2 }));
    expect(failure).toMatchObject({ reason: 'ConnectionLost' });
    await expect.poll(async () => sql(ours)).toEqual([{ others: 0 }]);
  });

  test('leaves no session when it is aborted among rows', async () => {
    const abort = new AbortController();
    async function* aborting(): Bytes {
      let passed = 0;
      for await (const piece of inPieces(dump, 65_536)) {
        passed += piece.length;
        if (passed > 10_000_000) abort.abort();
        yield piece;
      }
    }
    const failure = await rejection(
      load({ kind: 'stream', format: 'custom', open: aborting }, { jobs: 2 }, abort.signal),
    );
    expect(failure).toMatchObject({ reason: 'Aborted' });
    await expect.poll(async () => sql(ours)).toEqual([{ others: 0 }]);
  });

  test('that is cut in its rows is damaged', async () => {
    const failure = await rejection(load(streamOf(dump.subarray(0, 10_000_000)), { jobs: 2 }));
    expect(failure).toMatchObject({ reason: 'FileDamaged' });
  });
});
