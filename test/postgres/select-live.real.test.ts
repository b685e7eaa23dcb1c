import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { connectClient } from '../../src/postgres/connection.ts';
import { findFallen } from '../../src/postgres/find-fallen.ts';
import { loadArchive } from '../../src/postgres/load-archive.ts';
import type { ArchiveSelection, LoadOptions } from '../../src/postgres/load-types.ts';
import { readContents } from '../../src/postgres/read-contents.ts';
import { selectEntries } from '../../src/postgres/select-entries.ts';
import { rejection } from '../pipeline/streams.ts';
import { listBinDirs } from '../servers/postgres.ts';
import { loadOptions, openLoadStand, streamOf, type LoadStand } from './load-stand.ts';

const never = new AbortController().signal;
const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);
const ends = [...new Set([binDirs[0], binDirs.at(-1)])].filter((binDir) => binDir !== undefined);

const source = `
  CREATE SCHEMA a; CREATE SCHEMA b; CREATE SCHEMA c;
  CREATE TABLE a.t (i int, v text) PARTITION BY RANGE (i);
  CREATE TABLE a.t1 PARTITION OF a.t FOR VALUES FROM (0) TO (100);
  CREATE TABLE b.t2 PARTITION OF a.t FOR VALUES FROM (100) TO (200);
  CREATE INDEX t_i ON a.t (i); INSERT INTO a.t SELECT i, 'row' FROM generate_series(1, 199) i;
  CREATE TABLE c.parent (id int PRIMARY KEY); INSERT INTO c.parent VALUES (1);
  CREATE TABLE b.child (extra text) INHERITS (c.parent); INSERT INTO b.child VALUES (2, 'x');
  CREATE TABLE c.allowed (who text); INSERT INTO c.allowed VALUES ('me');
  CREATE TABLE c.seen (i int); INSERT INTO c.seen VALUES (1); ALTER TABLE c.seen ENABLE ROW LEVEL SECURITY;
  CREATE POLICY everybody ON c.seen USING (true);
  CREATE POLICY few ON c.seen AS RESTRICTIVE USING (EXISTS (SELECT FROM c.allowed));
  CREATE TABLE c.plain (i int REFERENCES c.parent); CREATE POLICY soft ON c.plain USING (EXISTS (SELECT FROM c.allowed));
  CREATE VIEW c.over AS SELECT * FROM c.plain; CREATE VIEW b.above AS SELECT * FROM c.over;
  SELECT lo_from_bytea(0, 'x');`;

describe.skipIf(ends.length === 0).each(ends)('a selection on a server of %s', (binDir) => {
  let stand: LoadStand;
  let archive: Buffer;
  beforeAll(async () => {
    stand = await openLoadStand(binDir, binDirs);
    await stand.fresh('source');
    await stand.at.postgres.sql(source, 'source');
    archive = await stand.dump('source');
  });
  afterAll(() => stand?.at.remove());
  beforeEach(async () => stand.fresh('back'));

  const load = async (selection: Partial<ArchiveSelection>, changes: Partial<LoadOptions> = {}) => {
    const whole = { schemaOnly: false, dataOnly: false, ...selection };
    const options = loadOptions('back', { freshDatabase: true, ...changes, selection: whole });
    return (await loadArchive(stand.tools, streamOf(archive), options, never)).notes;
  };
  const one = async (query: string): Promise<unknown> =>
    Object.values((await stand.at.postgres.sql(query, 'back'))[0] ?? {})[0];
  const relations = (): Promise<unknown> =>
    one(`SELECT string_agg(oid::regclass::text, ' ' ORDER BY oid::regclass::text) FROM pg_class
          WHERE relkind IN ('r', 'p', 'v') AND relnamespace::regnamespace::text IN ('a', 'b', 'c')`);

  test('of a schema takes partitions along that lie in others, with their rows', async () => {
    const notes = await load({ schemas: ['a'] });
    expect(notes).toContain('selected too, partitions in other schemas: b.t2');
    expect(await one('SELECT count(*)::int FROM a.t')).toBe(199);
    expect(await one(`SELECT count(*)::int FROM pg_index WHERE indexrelid::regclass::text ~ '_i_idx$|t_i$'`)).toBe(3);
  });

  test('with clean leaves the rows of such partitions as dumped', async () => {
    await load({});
    await stand.at.postgres.sql('DELETE FROM a.t', 'back');
    await load({ schemas: ['a'] }, { clean: true, singleTransaction: true, freshDatabase: false });
    expect(await one('SELECT count(*)::int FROM b.t2')).toBe(100);
  });

  test('with clean of a partition alone is refused', async () => {
    await load({});
    const changes = { clean: true, singleTransaction: true, freshDatabase: false };
    expect(await rejection(load({ tables: ['b.t2'] }, changes))).toMatchObject({
      reason: 'SelectionMissing',
      message: 'with clean, b.t2 would be taken out of a.t, which is not selected',
    });
  });

  test('what would fall besides is found: partitions made since, and a place in a publication', async () => {
    await load({});
    await stand.at.postgres.sql(
      `CREATE TABLE b."t 3" PARTITION OF a.t FOR VALUES FROM (200) TO (300); INSERT INTO a.t VALUES (250, 'mine');
       CREATE PUBLICATION later FOR TABLE c.plain; CREATE SEQUENCE c.s OWNED BY c.plain.i`,
      'back',
    );
    const contents = await readContents(stand.tools, streamOf(archive), never);
    const connection = await connectClient(stand.at.server, 'back', { timeoutMs: 10_000 }, never);
    try {
      const fallen = async (selection: Partial<ArchiveSelection>) =>
        (
          await findFallen(
            connection,
            selectEntries(contents, { schemaOnly: false, dataOnly: false, ...selection }).entries ?? contents.entries,
            false,
            stand.major,
          )
        ).goes;
      expect(await fallen({})).toEqual([
        'the place of c.plain in the publication later',
        'the sequence c.s of plain',
        'the partition b.t 3 of t',
      ]);
      expect(await fallen({ schemas: ['a'] })).toEqual(['the partition b.t 3 of t']);
      expect(await fallen({ tables: ['c.parent'] })).toEqual([]);
    } finally {
      await connection.close();
    }
  });

  test('of a child takes its parent along into a new database', async () => {
    const notes = await load({ tables: ['b.child'] });
    expect(notes).toContain('selected too, tables that others inherit from, or are made of: c.parent');
    expect(await one(`SELECT string_agg(id::text, ' ' ORDER BY id) FROM c.parent`)).toBe('1 2');
    expect(await relations()).toBe('b.child c.parent');
  });

  test('is refused when a restrictive policy names what is not selected; a permissive one is left out', async () => {
    expect(await rejection(load({ tables: ['c.seen'] }))).toMatchObject({
      reason: 'SelectionMissing',
      message: 'the restrictive policy c.seen few needs c.allowed, which is not selected',
    });
    await load({ tables: ['c.seen', 'c.allowed'] });
    expect(await one('SELECT count(*)::int FROM pg_policy')).toBe(2);
    await stand.fresh('back');
    await load({ tables: ['c.seen'] }, { without: ['policies'] });
    expect(await one('SELECT count(*)::int FROM pg_policy')).toBe(0);
    await stand.fresh('back');
    const notes = await load({ tables: ['c.plain'] });
    expect(notes.join('; ')).toContain('left out: policy soft of c.plain, because c.allowed is not selected');
  });

  test('excludes tables and schemas with what needs them, and rows alone', async () => {
    const notes = await load({ excludeTables: ['c.plain'], excludeSchemas: ['a'], excludeTableData: ['c.parent'] });
    expect(notes).toEqual(['left out, because it needs what is excluded: view c.over, view b.above']);
    expect(await relations()).toBe('b.child c.allowed c.parent c.seen');
    expect(await one('SELECT count(*)::int FROM ONLY c.parent')).toBe(0);
    expect(await one('SELECT count(*)::int FROM pg_largeobject_metadata')).toBe(1);
    await stand.fresh('back');
    expect(await rejection(load({ excludeTables: ['c.allowed'] }))).toMatchObject({ reason: 'SelectionMissing' });
    expect(await rejection(load({ excludeTables: ['c.none'] }))).toMatchObject({ reason: 'SelectionMissing' });
    const some = await load({ schemas: ['c'], excludeTables: ['c.parent'] });
    expect(some.join('; ')).toContain('fk constraint c.plain');
    expect(await relations()).toBe('c.allowed c.over c.plain c.seen');
  });
});
