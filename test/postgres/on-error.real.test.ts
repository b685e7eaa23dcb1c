import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadArchive } from '../../src/postgres/load-archive.ts';
import { loadScript } from '../../src/postgres/load-script.ts';
import type { LoadOptions } from '../../src/postgres/load-types.ts';
import { explainRefusal, showRefused, type Refusal } from '../../src/postgres/refusal.ts';
import { inPieces, rejection } from '../pipeline/streams.ts';
import { listBinDirs } from '../servers/postgres.ts';
import { loadOptions, openLoadStand, streamOf, type LoadStand } from './load-stand.ts';

const never = new AbortController().signal;
const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);
const ends = [...new Set([binDirs[0], binDirs.at(-1)])].filter((binDir) => binDir !== undefined);

/** Functions that find others by search_path, which loads leave empty; a role that is gone; and what depends on each. */
const source = `
  CREATE FUNCTION helper(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT lower($1)';
  CREATE FUNCTION fold(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN helper($1); END';
  CREATE TABLE a_good (i int PRIMARY KEY); INSERT INTO a_good SELECT generate_series(1, 1000);
  CREATE TABLE folded (name text, low text GENERATED ALWAYS AS (fold(name)) STORED);
  INSERT INTO folded SELECT 'N' || i FROM generate_series(1, 5000) i;
  SET my.word = 'x'; CREATE MATERIALIZED VIEW seen AS SELECT current_setting('my.word') AS x; CREATE INDEX seen_x ON seen (x);
  CREATE TABLE z_good (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, t text);
  INSERT INTO z_good (t) SELECT 'row ' || i FROM generate_series(1, 3000) i;
  SELECT lo_from_bytea(0, 'large'); COMMENT ON TABLE z_good IS 'good';
  GRANT SELECT ON a_good TO gone; CREATE POLICY p ON a_good TO gone USING (true);`;

describe.skipIf(ends.length === 0).each(ends)('a load that goes on, on a server of %s', (binDir) => {
  let stand: LoadStand;
  let archive: Buffer;
  let script: Buffer;
  beforeAll(async () => {
    stand = await openLoadStand(binDir, binDirs);
    await stand.at.postgres.sql('CREATE ROLE gone');
    await stand.fresh('source');
    await stand.at.postgres.sql(source, 'source');
    archive = await stand.dump('source');
    script = await stand.script('source');
    await stand.at.postgres.sql('DROP DATABASE source');
    await stand.at.postgres.sql('DROP ROLE gone');
  });
  afterAll(() => stand?.at.remove());

  /** What was refused. */
  const load = async (
    kind: 'archive' | 'script',
    changes: Partial<LoadOptions>,
    text: string | Buffer = script,
  ): Promise<readonly Refusal[]> => {
    const refused: Refusal[] = [];
    const hooks = { onRefused: (refusal: Refusal) => void refused.push(refusal) };
    const options = loadOptions('back', changes);
    if (kind === 'archive') await loadArchive(stand.tools, streamOf(archive), options, never, hooks);
    else {
      const tools = { server: stand.at.server, serverMajor: stand.major };
      await loadScript(tools, () => inPieces(Buffer.from(text), 1000), { ...options, part: 'whole' }, never, hooks);
    }
    return refused;
  };
  const one = async (query: string): Promise<unknown> =>
    Object.values((await stand.at.postgres.sql(query, 'back'))[0] ?? {})[0];
  const told = (refused: readonly Refusal[]): readonly string[] => refused.map(showRefused).toSorted();

  test.each([
    ['archive', true],
    ['archive', false],
    ['script', true],
    ['script', false],
  ] as const)('%s: all that can be loaded is, and the rest is named (in one transaction: %s)', async (kind, isOne) => {
    await stand.fresh('back');
    const refused = await load(kind, { singleTransaction: isOne, jobs: isOne ? 1 : 4 });
    expect(told(refused)).toEqual([
      'ACL public.TABLE a_good',
      'MATERIALIZED VIEW DATA public.seen',
      'POLICY public.a_good p',
      'TABLE DATA public.folded',
    ]);
    expect(refused.map(({ failure }) => failure.reason).toSorted()).toEqual([
      'RestoreFailed',
      'RestoreFailed',
      'RoleMissing',
      'RoleMissing',
    ]);
    const rows = refused.find(({ entry }) => entry === 'TABLE DATA public.folded');
    expect(rows && explainRefusal(rows)).toMatch(/^function helper\(text\) does not exist$/);
    expect(await one('SELECT count(*)::int FROM a_good')).toBe(1000);
    expect(await one('SELECT count(*)::int FROM z_good')).toBe(3000);
    expect(await one('SELECT count(*)::int FROM folded')).toBe(0);
    expect(await one(`SELECT nextval('z_good_id_seq')::int`)).toBe(3001);
    expect(await one(`SELECT convert_from(lo_get(oid), 'UTF8') FROM pg_largeobject_metadata`)).toBe('large');
    expect(await one(`SELECT obj_description('z_good'::regclass)`)).toBe('good');
    expect(await one(`SELECT count(*)::int FROM pg_indexes WHERE schemaname = 'public'`)).toBe(3);
  });

  test.each(['archive', 'script'] as const)(
    '%s: a table that is there gets no rows, and stays as it is',
    async (kind) => {
      await stand.fresh('back');
      await stand.at.postgres.sql(
        `CREATE TABLE z_good (id int GENERATED ALWAYS AS IDENTITY, t text); INSERT INTO z_good (t) VALUES ('mine')`,
        'back',
      );
      const refused = await load(kind, { singleTransaction: true });
      expect(told(refused)).toEqual(
        expect.arrayContaining(['SEQUENCE public.z_good_id_seq', 'TABLE DATA public.z_good', 'TABLE public.z_good']),
      );
      expect(refused.find(({ entry }) => entry === 'TABLE DATA public.z_good')?.failure).toMatchObject({
        reason: 'ObjectConflict',
        message: 'not loaded, because public.z_good was refused',
      });
      expect(await one('SELECT count(*)::int FROM z_good')).toBe(1);
      expect(await one(`SELECT nextval('z_good_id_seq')::int`)).toBe(2);
      expect(await one('SELECT count(*)::int FROM a_good')).toBe(1000);
    },
  );

  test('a script that names no entries ends at a table that is there: its rows would be doubled', async () => {
    await stand.fresh('back');
    await stand.at.postgres.sql('CREATE TABLE t (i int); INSERT INTO t VALUES (1)', 'back');
    const text = 'CREATE TABLE u (i int); CREATE TABLE t (i int); INSERT INTO t VALUES (1);';
    const error = await rejection(load('script', { singleTransaction: true }, text));
    expect(error).toMatchObject({ reason: 'ObjectConflict' });
    expect(await one('SELECT count(*)::int FROM t')).toBe(1);
    expect(await one(`SELECT to_regclass('u')`)).toBe(null);
  });

  test.each([true, false])('savepoints and transactions of a script mean what they did (one: %s)', async (isOne) => {
    await stand.fresh('back');
    const text = `CREATE TABLE t (i int); BEGIN; INSERT INTO t VALUES (1); SAVEPOINT a; INSERT INTO t VALUES (2); SELECT 1/0;
      ROLLBACK TO SAVEPOINT a; RELEASE a; INSERT INTO t VALUES (3); COMMIT; SELECT nothing; INSERT INTO t VALUES (4);`;
    const refused = await load('script', { singleTransaction: isOne }, text);
    expect(refused.map(explainRefusal)).toEqual(['division by zero', 'column "nothing" does not exist']);
    expect(await one(`SELECT string_agg(i::text, ' ' ORDER BY i) FROM t`)).toBe('1 3 4');
  });

  test.each(['53100', '40P01', '57014', 'XX001'])('trouble of the server (%s) ends it all the same', async (code) => {
    await stand.fresh('back');
    const text = `CREATE TABLE t (); DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '${code}'; END $$; CREATE TABLE u ();`;
    expect(await rejection(load('script', { singleTransaction: true }, text))).toMatchObject({
      message: expect.stringContaining('failed: ERROR:  no') as string,
    });
    expect(await one(`SELECT to_regclass('t')`)).toBe(null);
  });

  test('a script that ends the transaction is no refusal', async () => {
    await stand.fresh('back');
    const text = 'CREATE TABLE t (); DO $$ BEGIN COMMIT; END $$; SELECT nothing;';
    const refused = await load('script', { singleTransaction: true }, text);
    expect(refused.map(({ line }) => line)).toEqual([1, 1]);
    expect(await one(`SELECT to_regclass('t')::text`)).toBe('t');
  });
});
