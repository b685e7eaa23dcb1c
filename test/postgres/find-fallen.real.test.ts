import { basename, dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectClient } from '../../src/postgres/connection.ts';
import { findFallen, type Fallen } from '../../src/postgres/find-fallen.ts';
import { readContents } from '../../src/postgres/read-contents.ts';
import { selectEntries } from '../../src/postgres/select-entries.ts';
import { makeNasty } from '../runner/nasty-database.ts';
import { listBinDirs } from '../servers/postgres.ts';
import { openLoadStand, streamOf, type LoadStand } from './load-stand.ts';

const never = new AbortController().signal;
const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);

describe.each(binDirs.map((binDir) => [basename(dirname(binDir)), binDir]))('PostgreSQL %s', (_major, binDir) => {
  let stand: LoadStand;
  beforeAll(async () => {
    stand = await openLoadStand(binDir, binDirs);
    await makeNasty(stand.at.postgres, 'nasty');
    await stand.fresh('shop');
    await stand.at.postgres.sql(
      `CREATE ROLE "a TO ""b""";
       CREATE TABLE t (i int PRIMARY KEY, v text); CREATE INDEX known ON t (v); CREATE VIEW above AS SELECT * FROM t;
       CREATE TABLE p (i int) PARTITION BY LIST (i); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
       GRANT SELECT ON t TO "a TO ""b""", PUBLIC; GRANT UPDATE (v) ON t TO app; GRANT ALL ON p TO app; CREATE TABLE r (i int REFERENCES t); CREATE RULE ru AS ON DELETE TO r DO INSTEAD NOTHING`,
      'shop',
    );
  });
  afterAll(async () => stand?.at.remove());

  const find = async (
    database: string,
    archive: Buffer,
    tables: readonly string[] | undefined,
    noPrivileges = false,
  ): Promise<Fallen> => {
    const contents = await readContents(stand.tools, streamOf(archive), never);
    const selection = { schemaOnly: false, dataOnly: false, ...(tables === undefined ? {} : { tables }) };
    const { entries = contents.entries } = selectEntries(contents, selection);
    const connection = await connectClient(stand.at.server, database, { timeoutMs: 10_000 }, never);
    try {
      return await findFallen(connection, entries, noPrivileges);
    } finally {
      await connection.close();
    }
  };

  test('of a database that is as it was dumped nothing would be lost, whatever is in it', async () => {
    for (const database of ['nasty', 'shop']) {
      expect(await find(database, await stand.dump(database), undefined)).toEqual({ goes: [], holds: [] });
    }
  });

  test('also of an archive of an old pg_dump, which says of no trigger, constraint or right what it is of', async () => {
    const contents = await readContents(stand.tools, streamOf(await stand.dump('shop')), never);
    const entries = contents.entries.map((entry) => {
      const isShort = ['CONSTRAINT', 'FK CONSTRAINT', 'TRIGGER', 'RULE', 'POLICY', 'ACL'].includes(entry.type);
      return isShort ? { ...entry, name: entry.name.replace(/^\S+ /, '') } : entry;
    });
    const connection = await connectClient(stand.at.server, 'shop', { timeoutMs: 10_000 }, never);
    try {
      expect(await findFallen(connection, entries, false)).toEqual({ goes: [], holds: [] });
    } finally {
      await connection.close();
    }
  });

  test('rights are lost when none are restored', async () => {
    expect((await find('shop', await stand.dump('shop'), ['public.p'], true)).goes).toContain(
      'the right to SELECT public.p of app',
    );
  });

  test('what people made since is found, with what would keep the server from dropping a table', async () => {
    const archive = await stand.dump('shop');
    await stand.at.postgres.sql(
      `CREATE SCHEMA later; CREATE FUNCTION later.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
       CREATE INDEX "late r" ON t (i, v); ALTER TABLE t ADD UNIQUE (v);
       CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION later.f();
       CREATE RULE ru AS ON DELETE TO t DO INSTEAD NOTHING; CREATE POLICY po ON t USING (true);
       CREATE STATISTICS later.st ON i, v FROM t; CREATE INDEX ON p (i);
       GRANT INSERT ON t TO "a TO ""b"""; GRANT SELECT (v) ON t TO app;
       CREATE TABLE later.refers (i int CONSTRAINT refers REFERENCES t); CREATE TABLE later.child () INHERITS (t);
       CREATE VIEW later.sees AS SELECT v FROM t; CREATE MATERIALIZED VIEW later.holds AS SELECT i FROM t`,
      'shop',
    );
    const whole = await find('shop', archive, undefined);
    expect(whole.goes).toEqual([
      'the right to SELECT public.t.v of app',
      'the right to INSERT public.t of a TO "b"',
      'the constraint t_v_key of public.t',
      'the index public.late r of t',
      'the index public.p_i_idx of p',
      'the policy po of public.t',
      'the rule ru of public.t',
      'the statistics later.st of t',
      'the trigger tr of public.t',
    ]);
    const held = [
      'the foreign key later.refers.refers to t',
      'the materialized view later.holds over t',
      'the table later.child, which inherits from t',
      'the view later.sees over t',
    ];
    expect(whole.holds).toEqual(held);
    // A view that the archive has is not made again either when the table alone is selected.
    expect((await find('shop', archive, ['public.t'])).holds).toEqual(
      [...held, 'the foreign key public.r.r_i_fkey to t', 'the view public.above over t'].toSorted(),
    );
    expect(await find('shop', archive, ['public.p1', 'public.p'])).toEqual({
      goes: ['the index public.p_i_idx of p'],
      holds: [],
    });
  });
});
