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

const things = `
  CREATE SCHEMA "a ""b"; SET search_path = "a ""b"; CREATE TYPE "Odd, t" AS (i int); CREATE DOMAIN d AS int; CREATE SEQUENCE "S s";
  CREATE FUNCTION "F f"("a b" int, varchar(3)[], v "Odd, t") RETURNS int LANGUAGE sql AS 'SELECT 1';
  CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE PROCEDURE p(INOUT a int) LANGUAGE plpgsql AS 'BEGIN END';
  CREATE AGGREGATE ag(int) (SFUNC = int4pl, STYPE = int, INITCOND = 0); CREATE AGGREGATE many(*) (SFUNC = int8inc, STYPE = int8, INITCOND = 0);
  CREATE TABLE t (i int GENERATED ALWAYS AS IDENTITY); CREATE TABLE "U u" (); CREATE PUBLICATION pub FOR TABLE t`;

const rights = `
  SET search_path = "a ""b"; GRANT USAGE ON SCHEMA "a ""b" TO app; GRANT ALL ON TYPE "Odd, t" TO app; REVOKE USAGE ON DOMAIN d FROM PUBLIC;
  GRANT USAGE ON SEQUENCE "S s" TO app WITH GRANT OPTION; GRANT EXECUTE ON FUNCTION "F f" TO app; REVOKE EXECUTE ON FUNCTION f FROM PUBLIC;
  GRANT EXECUTE ON PROCEDURE p TO app; GRANT EXECUTE ON FUNCTION ag TO app; REVOKE ALL ON FUNCTION many FROM PUBLIC;
  GRANT USAGE ON SEQUENCE t_i_seq TO app; ALTER DEFAULT PRIVILEGES IN SCHEMA "a ""b" GRANT SELECT ON TABLES TO app;
  ALTER DEFAULT PRIVILEGES FOR ROLE app IN SCHEMA "a ""b" GRANT SELECT ON TABLES TO PUBLIC; ALTER PUBLICATION pub ADD TABLE "U u";
  CREATE PUBLICATION whole FOR TABLES IN SCHEMA "a ""b"`;

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
    await stand.fresh('rights');
    await stand.at.postgres.sql(`${things}; ${rights}`, 'rights');
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
      return await findFallen(connection, entries, noPrivileges, stand.major);
    } finally {
      await connection.close();
    }
  };

  test('of a database that is as it was dumped nothing would be lost, whatever is in it', async () => {
    for (const database of ['nasty', 'shop', 'rights']) {
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
      expect(await findFallen(connection, entries, false, stand.major)).toEqual({ goes: [], holds: [] });
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

  test('rights of other things than tables, default ones, and what is published are found if they came since', async () => {
    await stand.fresh('rights');
    await stand.at.postgres.sql(things, 'rights');
    const archive = await stand.dump('rights');
    expect(await find('rights', archive, undefined)).toEqual({ goes: [], holds: [] });
    await stand.at.postgres.sql(rights, 'rights');
    expect((await find('rights', archive, undefined)).goes).toEqual([
      'the place of a "b.U u in the publication pub',
      'the right to USAGE the schema a "b of app',
      'the right to EXECUTE a "b.F f(integer, character varying[], "a ""b"."Odd, t") of app',
      'the right to EXECUTE a "b.ag(integer) of app',
      'the right to EXECUTE a "b.p(integer) of app',
      'the right to USAGE a "b.S s of app',
      'the right to USAGE a "b.t_i_seq of app',
      'the right to USAGE a "b.Odd, t of app',
      'the default privileges for tables of admin in the schema a "b',
      'the default privileges for tables of app in the schema a "b',
      'the place of the schema a "b in the publication whole',
      'that PUBLIC has no right to EXECUTE a "b.f()',
      'that PUBLIC has no right to EXECUTE a "b.many(*)',
      'that PUBLIC has no right to USAGE a "b.d',
    ]);
  });
});
