import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectClient } from '../../src/postgres/connection.ts';
import { dumpDatabase, type DumpTools } from '../../src/postgres/dump.ts';
import { leaveOutInternalOptions } from '../../src/postgres/internal-options.ts';
import { loadArchive } from '../../src/postgres/load-archive.ts';
import type { Archive } from '../../src/postgres/load-types.ts';
import { programPath } from '../../src/postgres/programs.ts';
import { surveyDatabase } from '../../src/postgres/survey-database.ts';
import { collect, failingAfter, inPieces, rejection } from '../pipeline/streams.ts';
import { listBinDirs } from '../servers/postgres.ts';
import { fileOf, loadOptions, openLoadStand, streamOf, type LoadStand } from './load-stand.ts';

const run = promisify(execFile);
const never = new AbortController().signal;
const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);
const damaged = (what: string) => {
  throw new Error(what);
};

/** What looks like such an option and is none: it must stay, byte for byte. */
const lookalike = `x;
ALTER TABLE ONLY public.t ALTER COLUMN id SET (pg_attver=1);
`;
const schema = `
CREATE TABLE t (id int PRIMARY KEY, b text);
INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, 500) i;
CREATE TABLE "we""ird'; tab" ("c'x" text DEFAULT '${lookalike}', "Ü" int, "SET (pg_attver=7);" int);
ALTER TABLE "we""ird'; tab" ALTER "Ü" SET (n_distinct = 5, n_distinct_inherited = 3);
CREATE TABLE parts (i int, b text) PARTITION BY RANGE (i);
CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE child (c int) INHERITS (t);
CREATE MATERIALIZED VIEW seen AS SELECT 'ALTER TABLE' AS word, t.* FROM t;
CREATE VIEW looked AS SELECT * FROM t`;

/** As servers with such options keep them: one for each column of each table, before those of the user. */
const mark = `SET allow_system_table_mods = on;
UPDATE pg_attribute SET attoptions = ARRAY['pg_attver=26492696'] || coalesce(attoptions, '{}')
 WHERE attnum > 0 AND attrelid IN (SELECT oid FROM pg_class WHERE oid >= 16384 AND relkind IN ('r', 'p', 'm', 'v', 'f'))`;

describe.skipIf(binDirs.length === 0).each(binDirs)(
  'a server of %s that keeps options of its own with columns',
  (binDir) => {
    let stand: LoadStand;
    let tools: DumpTools;
    let plain: Buffer;
    beforeAll(async () => {
      stand = await openLoadStand(binDir, binDirs);
      tools = await stand.at.tools();
      for (const database of ['clean', 'marked']) {
        await stand.fresh(database);
        await stand.at.postgres.sql(schema, database);
      }
      await stand.at.postgres.sql(mark, 'marked');
      plain = await stand.dump('marked');
    });
    afterAll(() => stand?.at.remove());

    const script = async (archive: Uint8Array): Promise<string> => {
      const file = join(await stand.at.folder(), 'a.dump');
      await writeFile(file, archive);
      const { stdout } = await run(programPath(tools.programs, 'pg_restore'), ['--file=-', file], {
        encoding: 'latin1',
      });
      // Keys of \restrict are random.
      return stdout.replaceAll(/^\\(un)?restrict .*$/gm, '');
    };
    const survey = async (database: string) => {
      const connection = await connectClient(stand.at.server, database, { timeoutMs: 10_000 }, never);
      try {
        return await surveyDatabase(connection, stand.major);
      } finally {
        await connection.close();
      }
    };
    const rows = (database: string) =>
      stand.at.postgres.sql(`SELECT md5(string_agg(t::text, ',' ORDER BY id)) AS hash, count(*) FROM t`, database);

    test('is told from one that does not', async () => {
      expect(await survey('marked')).toMatchObject({ internalOptions: true });
      expect(await survey('clean')).toMatchObject({ internalOptions: false });
    });

    test('is dumped as if it had none: pg_restore says the same as of a database without them', async () => {
      const dump = dumpDatabase(
        tools,
        'marked',
        { lockTimeoutSeconds: 10, internalOptions: true, encoding: 'UTF8' },
        never,
      );
      const archive = await collect(dump.bytes);
      // Two of t, three of the odd one, two of parts and of part, three of child and of seen; views are dumped without.
      expect(dump.optionsLeftOut()).toBe(15);
      const said = await script(archive);
      expect(said).toBe(await script(await stand.dump('clean')));
      expect(said).toContain(lookalike);
      expect(said).toContain('SET (n_distinct=5, n_distinct_inherited=3)');
    });

    test('would else be dumped with them, and no server here would take it', async () => {
      expect(await script(plain)).toContain('SET (pg_attver=26492696)');
      await stand.fresh('target');
      const file = join(await stand.at.folder(), 'a.dump');
      await writeFile(file, plain);
      const env = { ...tools.environment, PGDATABASE: 'target' };
      const refused = await rejection(
        run(programPath(tools.programs, 'pg_restore'), ['--exit-on-error', '--dbname=target', file], { env }),
      );
      expect(String(refused)).toContain('unrecognized parameter "pg_attver"');
    });

    test.each(['stream', 'path'] as const)(
      'an archive that has them, from elsewhere, is restored from a %s',
      async (kind) => {
        const archive: Archive = kind === 'stream' ? streamOf(plain) : await fileOf(stand, plain);
        await stand.fresh('target');
        const { notes } = await loadArchive(stand.tools, archive, loadOptions('target', { jobs: 2 }), never);
        expect(await rows('target')).toEqual(await rows('marked'));
        expect(notes).toHaveLength(kind === 'path' ? 1 : 0);
      },
    );

    test.each(['directory', 'tar'] as const)('so is a %s, with several connections where it can be', async (format) => {
      const path = join(await stand.at.folder(), 'archive');
      const env = { ...tools.environment, PGDATABASE: 'marked' };
      await run(programPath(tools.programs, 'pg_dump'), [`--format=${format}`, `--file=${path}`], { env });
      await stand.fresh('target');
      const archive: Archive = { kind: 'path', format, path };
      const { notes } = await loadArchive(stand.tools, archive, loadOptions('target', { jobs: 2 }), never);
      expect(await rows('target')).toEqual(await rows('marked'));
      expect(notes).toHaveLength(format === 'tar' ? 1 : 0);
      const kept = `SELECT attoptions::text FROM pg_attribute WHERE attoptions IS NOT NULL`;
      expect(await stand.at.postgres.sql(kept, 'target')).toEqual([
        { attoptions: '{n_distinct=5,n_distinct_inherited=3}' },
      ]);
    });

    test('comes through in pieces of any size, and unchanged where there is nothing to leave out', async () => {
      const clean = await stand.dump('clean');
      for (const size of [1, 13, 65_536]) {
        const counts: (number | undefined)[] = [];
        const through = await collect(leaveOutInternalOptions(inPieces(clean, size), damaged, (n) => counts.push(n)));
        expect(through.equals(clean)).toBe(true);
        expect(counts).toEqual([0]);
      }
    });

    test('what breaks off within or after the table of contents breaks off here, too', async () => {
      for (const at of [3, 200, plain.length - 10]) {
        const broken = leaveOutInternalOptions(failingAfter(plain, at, 64, new Error('gone')), damaged);
        expect(await rejection(collect(broken))).toMatchObject({ message: 'gone' });
      }
      expect(
        await rejection(collect(leaveOutInternalOptions(inPieces(plain.subarray(0, 500), 64), damaged))),
      ).toMatchObject({ message: expect.stringContaining('ends within') as string });
    });

    test('an archive of a version that nobody knows passes as it is, and that is told', async () => {
      const unknown = Buffer.from(plain);
      unknown[6] = 99;
      const counts: (number | undefined)[] = [];
      const through = await collect(leaveOutInternalOptions(inPieces(unknown, 1000), damaged, (n) => counts.push(n)));
      expect(through.equals(unknown)).toBe(true);
      expect(counts).toEqual([undefined]);
    });
  },
);
