import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadArchive } from '../../src/postgres/load-archive.ts';
import { readContents } from '../../src/postgres/read-contents.ts';
import { tryDefinitions } from '../../src/postgres/try-definitions.ts';
import { rejection } from '../pipeline/streams.ts';
import { listBinDirs } from '../servers/postgres.ts';
import { fileOf, loadOptions, openLoadStand, streamOf, type LoadStand } from './load-stand.ts';
import { fingerprint, nastyDatabase, nastyRoles } from './nasty-database.ts';

const never = new AbortController().signal;
const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);
const stands = new Map<number, LoadStand>();
const archives = new Map<number, Buffer>();
const standOf = (major: number): LoadStand => {
  const stand = stands.get(major);
  if (stand === undefined) throw new Error(`no server of ${major}`);
  return stand;
};
const archiveOf = (major: number): Buffer => archives.get(major) ?? Buffer.alloc(0);
/** `/…/16/bin` is how Debian and POSTGRES_BINDIRS both name them. */
const majors = binDirs.map((binDir) => Number(/(\d+)\/bin$/.exec(binDir)?.[1] ?? 0));
const pairs = majors.flatMap((from) => majors.map((to) => [from, to] as const));

beforeAll(async () => {
  for (const binDir of binDirs) {
    const stand = await openLoadStand(binDir, binDirs);
    stands.set(stand.major, stand);
    await stand.at.postgres.sql(nastyRoles);
    await stand.fresh('nasty');
    await stand.at.postgres.sql(nastyDatabase, 'nasty');
    archives.set(stand.major, await stand.dump('nasty'));
  }
  expect(new Set(stands.keys())).toEqual(new Set(majors));
});
afterAll(async () => {
  for (const stand of stands.values()) await stand.at.remove();
});

describe.skipIf(binDirs.length === 0).each(pairs)('a database of PostgreSQL %i on a server of %i', (from, to) => {
  /** A server of `to` that made the same database itself: what the restore must look like. */
  const expected = () => fingerprint(standOf(to).at.postgres, 'nasty');

  test('is restored from a stream, to the last row, owner, grant and comment', async () => {
    const { tools, fresh, at } = standOf(to);
    await fresh('back');
    let bytes = 0;
    const result = await loadArchive(tools, streamOf(archiveOf(from)), loadOptions('back'), never, {
      onBytes: (count) => (bytes += count),
    });
    expect(result.notes).toEqual([]);
    expect(bytes).toBe(archiveOf(from).length);
    expect(await fingerprint(at.postgres, 'back')).toEqual(await expected());
  });

  test('is restored in one transaction, and with several connections', async () => {
    const { tools, fresh, at } = standOf(to);
    await fresh('back');
    await loadArchive(tools, streamOf(archiveOf(from)), loadOptions('back', { singleTransaction: true }), never);
    expect(await fingerprint(at.postgres, 'back')).toEqual(await expected());
    await fresh('back');
    const archive = await fileOf(standOf(to), archiveOf(from));
    const { notes } = await loadArchive(tools, archive, loadOptions('back', { jobs: 3 }), never);
    // pg_restore of 17 and newer sets what servers before 17 do not know: its script goes through one psql.
    const isFiltered = from >= 17 && to < 17;
    expect(notes).toEqual(isFiltered ? [expect.stringContaining('one connection instead of 3') as string] : []);
    expect(await fingerprint(at.postgres, 'back')).toEqual(await expected());
  });

  test('its definitions are tried when it is newer, and nothing of that stays', async () => {
    const { tools, fresh, at } = standOf(to);
    await fresh('trial');
    const before = await fingerprint(at.postgres, 'trial');
    expect(await tryDefinitions(tools, streamOf(archiveOf(from)), loadOptions('trial'), never)).toEqual({ notes: [] });
    expect(await fingerprint(at.postgres, 'trial')).toEqual(before);
  });
});

/** What only 18 has. Ranges alone have the operators that WITHOUT OVERLAPS needs: btree_gist may be missing. */
const news = [
  [18, 'CREATE TABLE x (a int, b int GENERATED ALWAYS AS (a * 2) VIRTUAL)'],
  [18, 'CREATE TABLE x (id int4range, during tsrange, PRIMARY KEY (id, during WITHOUT OVERLAPS))'],
  [18, 'CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE x (id int CONSTRAINT f REFERENCES p NOT ENFORCED)'],
  [18, 'CREATE TABLE x (id int, CONSTRAINT c CHECK (id > 0) NOT ENFORCED)'],
  [18, 'CREATE TABLE x (id int); ALTER TABLE x ADD CONSTRAINT n NOT NULL id NOT VALID'],
] as const;

test.skipIf(!majors.includes(18) || !majors.includes(15))('all that is refused is told at once', async () => {
  const source = standOf(18);
  await source.fresh('news');
  await source.at.postgres.sql(
    `CREATE TABLE good (i int); CREATE TABLE one (a int, b int GENERATED ALWAYS AS (a * 2) VIRTUAL); COMMENT ON TABLE one IS 'c';
     CREATE TABLE two (id int, CONSTRAINT c CHECK (id > 0) NOT ENFORCED)`,
    'news',
  );
  const archive = streamOf(await source.dump('news'));
  const { tools, fresh, at } = standOf(15);
  await fresh('trial');
  const failure = await rejection(tryDefinitions(tools, archive, loadOptions('trial'), never));
  expect(failure).toMatchObject({ reason: 'VersionUnsupported' });
  const { message } = failure as Error;
  expect(message).toMatch(
    /TABLE public\.one.*; refused too: COMMENT public\.TABLE one: relation "public\.one" does not exist; CHECK CONSTRAINT public\.two c: /,
  );
  expect(await at.postgres.sql(`SELECT to_regclass('good') AS found`, 'trial')).toEqual([{ found: null }]);
});

describe.skipIf(!majors.includes(18)).each(majors.filter((major) => major < 18))('on a server of %i', (to) => {
  test.each(news)('what only %i knows is refused before rows are loaded: %s', async (since, sql) => {
    const source = standOf(since);
    await source.fresh('news');
    await source.at.postgres.sql(sql, 'news');
    const archive = streamOf(await source.dump('news'));
    const { tools, fresh, at } = standOf(to);
    await fresh('trial');
    const failure = await rejection(tryDefinitions(tools, archive, loadOptions('trial'), never));
    expect(failure).toMatchObject({
      reason: 'VersionUnsupported',
      message: expect.stringContaining('syntax error at or near') as string,
    });
    // The load itself says the same, and does not pass either.
    expect(await rejection(loadArchive(tools, archive, loadOptions('trial'), never))).toMatchObject({
      reason: 'VersionUnsupported',
    });
    expect((await readContents(tools, archive, never)).serverMajor).toBe(since);
    expect(await at.postgres.sql('SELECT 1 AS one', 'trial')).toEqual([{ one: 1 }]);
  });
});
