import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import { loadArchive } from '../../src/postgres/load-archive.ts';
import { loadScript } from '../../src/postgres/load-script.ts';
import type { Archive, ArchiveEntry } from '../../src/postgres/load-types.ts';
import { programPath } from '../../src/postgres/programs.ts';
import { readContents } from '../../src/postgres/read-contents.ts';
import { failingAfter, inPieces, rejection } from '../pipeline/streams.ts';
import { listBinDirs } from '../servers/postgres.ts';
import { loadOptions, openLoadStand, streamOf, type LoadStand } from './load-stand.ts';
import { fingerprint, nastyDatabase, nastyRoles } from './nasty-database.ts';

const run = promisify(execFile);
const never = new AbortController().signal;
const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);
// The oldest and the newest: those between behave like one of them.
const ends = [...new Set([binDirs[0], binDirs.at(-1)])].filter((binDir) => binDir !== undefined);

describe.skipIf(ends.length === 0).each(ends)('on a server of %s', (binDir) => {
  let stand: LoadStand;
  let content: Buffer;
  const tables = async (database: string) =>
    (
      await stand.at.postgres.sql<{ name: string }>(
        `SELECT oid::regclass::text AS name FROM pg_class WHERE relkind IN ('r', 'p') AND oid >= 16384 ORDER BY 1`,
        database,
      )
    ).map(({ name }) => name);
  const failing = (bytes: number, error: Error): Archive => ({
    kind: 'stream',
    format: 'custom',
    open: () => failingAfter(content, bytes, 4096, error),
  });
  const damage = new Failure('BackupDamaged', 'hashes differ');

  beforeAll(async () => {
    stand = await openLoadStand(binDir, binDirs);
    await stand.at.postgres.sql(nastyRoles);
    await stand.fresh('nasty');
    await stand.at.postgres.sql(nastyDatabase, 'nasty');
    content = await stand.dump('nasty');
  });
  afterAll(() => stand?.at.remove());

  test('what pg_restore lists is what is read, in every format, and names are exact', async () => {
    const dump = await stand.at.tools();
    const env = { ...stand.tools.environment, PGDATABASE: 'nasty' };
    for (const format of ['custom', 'tar', 'directory'] as const) {
      const path = join(await stand.at.folder(), 'archive');
      await run(programPath(dump.programs, 'pg_dump'), [`--format=${format}`, `--file=${path}`], { env });
      const { stdout } = await run(programPath(dump.programs, 'pg_restore'), ['--list', path]);
      const archive: Archive = { kind: 'path', format, path };
      const { entries, largeObjects, serverMajor } = await readContents(stand.tools, archive, never);
      const own = new Set(['ENCODING', 'STDSTRINGS', 'SEARCHPATH', 'DATABASE']);
      const showLine = ({ dumpId, type, schema, name, owner }: ArchiveEntry) =>
        `${dumpId}; ${type} ${schema ?? '-'} ${name} ${owner ?? ''}`.replaceAll(/[\r\n]/g, ' ');
      const lines = entries.filter(({ type }) => !own.has(type)).map(showLine);
      const listed = stdout.split('\n').filter((line) => /^\d/.test(line));
      const isOfObject = / (?:BLOB|(?:ACL|COMMENT) - LARGE OBJECT) /;
      // Large objects are counted, but for one of each owner.
      expect(lines).toEqual(
        listed
          .map((line) => line.replace(/^(\d+;) \d+ \d+/, '$1'))
          .filter((line) => !isOfObject.test(line) || lines.includes(line)),
      );
      expect(lines.length + Object.values(largeObjects).flat().length).toBe(listed.length);
      expect(serverMajor).toBe(stand.major);
      expect(entries.filter(({ type }) => type === 'TABLE').map(({ name }) => name)).toContain('new\nline');
      await stand.fresh('back');
      await loadArchive(stand.tools, archive, loadOptions('back', { jobs: 2 }), never);
      expect(await fingerprint(stand.at.postgres, 'back')).toEqual(await fingerprint(stand.at.postgres, 'nasty'));
    }
  });

  test('a tar archive that is cut short fails instead of hanging', async () => {
    const path = join(await stand.at.folder(), 'archive.tar');
    const env = { ...stand.tools.environment, PGDATABASE: 'nasty' };
    const dump = await stand.at.tools();
    await run(programPath(dump.programs, 'pg_dump'), ['--format=tar', `--file=${path}`], { env });
    const whole = await readFile(path);
    await writeFile(path, whole.subarray(0, whole.length - 40_000));
    await stand.fresh('back');
    const archive: Archive = { kind: 'path', format: 'tar', path };
    expect(await rejection(loadArchive(stand.tools, archive, loadOptions('back'), never))).toMatchObject({
      reason: 'FileDamaged',
    });
  });

  test.each([false, true])('a source that fails at its very end fails the load (one transaction: %s)', async (one) => {
    await stand.fresh('back');
    const options = loadOptions('back', { singleTransaction: one });
    expect(await rejection(loadArchive(stand.tools, failing(content.length, damage), options, never))).toBe(damage);
    if (one) expect(await tables('back')).toEqual([]);
  });

  test('nothing is committed when the source fails after all that was wanted of it', async () => {
    await stand.fresh('back');
    const selection = { schemaOnly: true, dataOnly: false };
    const options = loadOptions('back', { singleTransaction: true, selection });
    expect(await rejection(loadArchive(stand.tools, failing(content.length, damage), options, never))).toBe(damage);
    expect(await tables('back')).toEqual([]);
  });

  test('a source that fails wins over what its damage makes pg_restore say', async () => {
    await stand.fresh('back');
    const flipped = Buffer.from(content);
    const at = flipped.indexOf('\tok\t');
    flipped.write('\txx\t', at);
    const archive = (end: Error | undefined): Archive => ({
      kind: 'stream',
      format: 'custom',
      async *open() {
        yield* inPieces(flipped, 4096);
        if (end !== undefined) throw end;
      },
    });
    expect(await rejection(loadArchive(stand.tools, archive(damage), loadOptions('back'), never))).toBe(damage);
    await stand.fresh('back');
    expect(await rejection(loadArchive(stand.tools, archive(undefined), loadOptions('back'), never))).toMatchObject({
      reason: 'RestoreFailed',
      message: expect.stringContaining('invalid input value for enum') as string,
    });
  });

  test.each([false, true])('an archive that is cut short is damaged (one transaction: %s)', async (one) => {
    await stand.fresh('back');
    const options = loadOptions('back', { singleTransaction: one });
    const cut = streamOf(content.subarray(0, content.length - 30_000));
    expect(await rejection(loadArchive(stand.tools, cut, options, never))).toMatchObject({ reason: 'FileDamaged' });
    const headless = streamOf(content.subarray(0, 2000));
    expect(await rejection(loadArchive(stand.tools, headless, options, never))).toMatchObject({
      reason: 'FileDamaged',
    });
    if (one) expect(await tables('back')).toEqual([]);
  });

  test.each([false, true])('what is there already is a conflict (one transaction: %s)', async (one) => {
    await stand.fresh('back');
    await stand.at.postgres.sql('CREATE TABLE loop (mine text)', 'back');
    const options = loadOptions('back', { singleTransaction: one });
    expect(await rejection(loadArchive(stand.tools, streamOf(content), options, never))).toMatchObject({
      reason: 'ObjectConflict',
      message: expect.stringContaining('relation "loop" already exists') as string,
    });
    if (one) expect(await tables('back')).toEqual(['loop']);
  });

  test('selected tables come back in place, with all that belongs to them', async () => {
    await stand.fresh('back');
    await loadArchive(stand.tools, streamOf(content), loadOptions('back'), never);
    // What is made anew gets what the target grants by default, as always.
    await stand.at.postgres.sql('ALTER DEFAULT PRIVILEGES IN SCHEMA other REVOKE SELECT ON TABLES FROM reader', 'back');
    const before = await fingerprint(stand.at.postgres, 'back');
    const replace = async (tables: readonly string[]) => {
      const selection = { tables, schemaOnly: false, dataOnly: false };
      const options = loadOptions('back', { selection, clean: true, singleTransaction: true });
      return loadArchive(stand.tools, streamOf(content), options, never);
    };
    const refused = { reason: 'ObjectConflict' };
    await stand.at.postgres.sql('CREATE TABLE mine AS SELECT 1 AS one', 'back');
    // Others need its key, or the views need it: nothing is dropped then.
    expect(await rejection(replace(['Sales Dept.my table']))).toMatchObject(refused);
    expect(await rejection(replace(['part']))).toMatchObject(refused);
    await stand.at.postgres.sql(
      `DROP TABLE "new\nline", mine; UPDATE other.child SET pid = NULL; DROP INDEX "Sales Dept"."ix 1";
       ALTER TABLE other.child DROP CONSTRAINT child_id_fkey; TRUNCATE "Sales Dept".my CASCADE; DROP TABLE part CASCADE;
       DROP MATERIALIZED VIEW IF EXISTS mv; DROP POLICY "p 2" ON "Sales Dept"."my table"`,
      'back',
    );
    expect(await fingerprint(stand.at.postgres, 'back')).not.toEqual(before);
    const tables = ['part', 'public.new\nline', 'child', 'Sales Dept.my table', 'my', 'v', 'mv'];
    expect((await replace(tables)).notes).toEqual(['left out: large objects']);
    expect(await fingerprint(stand.at.postgres, 'back')).toEqual(before);
  });

  test('selected tables come into a new database with the schema, type and functions that they need', async () => {
    await stand.fresh('back');
    const selection = { tables: ['Sales Dept.my table', 'uses_lone'], schemaOnly: false, dataOnly: false };
    const { notes } = await loadArchive(
      stand.tools,
      streamOf(content),
      loadOptions('back', { selection, freshDatabase: true }),
      never,
    );
    expect(notes).toEqual([
      'left out: policy p 1 of Sales Dept.my table, because Sales Dept.my is not selected',
      'left out: large objects',
    ]);
    const whole = await fingerprint(stand.at.postgres, 'nasty');
    const back = await fingerprint(stand.at.postgres, 'back');
    const mine = /^"Sales Dept"\."my table|^public\.(?:uses_)?lone/;
    expect(back['rows']).toEqual(whole['rows']?.filter((row) => mine.test(row)));
    expect(back['trigger']).toHaveLength(1);
    expect(back['policy']).toEqual(['"Sales Dept"."my table" p 2 true']);
  });

  test('a stopped load says so and leaves no process', async () => {
    await stand.fresh('back');
    const stop = new AbortController();
    const archive: Archive = {
      kind: 'stream',
      format: 'custom',
      async *open(signal) {
        yield* inPieces(content.subarray(0, content.length - 1000), 4096);
        stop.abort();
        await new Promise((_resolve, reject) => {
          if (signal.aborted) reject(new Error('stopped'));
          signal.addEventListener('abort', () => reject(new Error('stopped')));
        });
      },
    };
    const contents = await readContents(stand.tools, streamOf(content), never);
    expect(
      await rejection(loadArchive(stand.tools, archive, loadOptions('back', { contents }), stop.signal)),
    ).toMatchObject({ reason: 'Aborted' });
    await stand.at.postgres.sql('DROP DATABASE back WITH (FORCE)');
  });

  describe('a script', () => {
    const load = (script: string, one = true, end?: Error) =>
      loadScript(
        stand.tools,
        async function* () {
          yield* inPieces(Buffer.from(script), 100);
          if (end !== undefined) throw end;
        },
        { database: 'back', singleTransaction: one, part: 'whole' },
        never,
      );
    const rows = async () => (await stand.at.postgres.sql('SELECT a FROM t ORDER BY 1', 'back')).length;
    const good = 'CREATE TABLE t (a text);\nCOPY t FROM stdin;\n1\n\\\\.\n:HOST\n\\.\n';

    test.each([true, false])('is run whole (one transaction: %s)', async (one) => {
      await stand.fresh('back');
      expect(await load(`${good}INSERT INTO t VALUES ('x;'); -- the end`, one)).toEqual({ notes: [] });
      expect(await rows()).toBe(4);
    });

    test.each([
      ['a literal', `${good}INSERT INTO t VALUES ('never`],
      ['a comment', `${good}/* never`],
      ['a body', `${good}DO $$ never`],
      ['rows', 'CREATE TABLE t (a text);\nCOPY t FROM stdin;\n1\n2\n'],
    ])('that ends within %s is damaged, and nothing of it stays', async (_what, script) => {
      await stand.fresh('back');
      const failure = await rejection(load(script));
      expect(['FileDamaged', 'RestoreFailed']).toContain((failure as Failure).reason);
      expect(await tables('back')).toEqual([]);
    });

    test('stops at the first error and tells it', async () => {
      await stand.fresh('back');
      expect(await rejection(load(`${good}SELECT 1/0;\nCREATE TABLE later ();`))).toMatchObject({
        reason: 'RestoreFailed',
        message: expect.stringContaining('division by zero') as string,
      });
      expect(await tables('back')).toEqual([]);
    });

    test.each(['\\! touch /tmp/pgbackup-was-here', '\\copy t from program $$id$$', '\\unrestrict abc', '\\connect x'])(
      'cannot run %s',
      async (command) => {
        await stand.fresh('back');
        expect(await rejection(load(`${good}${command}\n`))).toMatchObject({ reason: 'SqlRefused' });
        expect(await tables('back')).toEqual([]);
      },
    );

    test('whose source fails at its end leaves nothing', async () => {
      await stand.fresh('back');
      expect(await rejection(load(good, true, damage))).toBe(damage);
      expect(await tables('back')).toEqual([]);
    });
  });
});
