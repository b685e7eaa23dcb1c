import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import { connectClient } from '../../src/postgres/connection.ts';
import { dumpGlobals } from '../../src/postgres/dump.ts';
import { dropRoles, loadGlobals } from '../../src/postgres/load-globals.ts';
import { collect, inPieces, rejection } from '../pipeline/streams.ts';
import { listBinDirs } from '../servers/postgres.ts';
import { temporaryPostgres, type TemporaryPostgres } from './temporary-postgres.ts';

const never = new AbortController().signal;
const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);
const ends = [...new Set([binDirs[0], binDirs.at(-1)])].filter((binDir) => binDir !== undefined);
const pairs = ends.flatMap((from) => ends.map((to) => [from, to] as const));

const roles = String.raw`
CREATE ROLE "group 1" NOLOGIN NOINHERIT; COMMENT ON ROLE "group 1" IS 'it''s \ a
group; DROP ROLE x;';
CREATE ROLE alice LOGIN PASSWORD 'secret''s' CREATEDB CONNECTION LIMIT 5 VALID UNTIL '2030-01-01 00:00:00+00' IN ROLE "group 1";
CREATE ROLE "Bob; --" LOGIN REPLICATION BYPASSRLS CREATEROLE PASSWORD 'x';
CREATE ROLE "new
line""q"; CREATE ROLE existing LOGIN PASSWORD 'theirs' CREATEDB;
GRANT "group 1" TO "Bob; --" WITH ADMIN OPTION; GRANT pg_read_all_data TO alice; GRANT alice TO existing;
GRANT pg_monitor TO existing;
ALTER ROLE alice SET search_path = "$user", public, 'Odd ''x'; ALTER ROLE alice SET my.setting = 'a"b\c''d';
ALTER ROLE existing SET work_mem = '9MB'; GRANT SET ON PARAMETER work_mem TO alice;`;

const facts = `SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls,
    rolconnlimit, rolpassword, rolvaliduntil, shobj_description(oid, 'pg_authid') AS comment,
    (SELECT setconfig FROM pg_db_role_setting WHERE setrole = r.oid AND setdatabase = 0) AS settings,
    (SELECT array_agg(roleid::regrole::text || admin_option ORDER BY 1) FROM pg_auth_members WHERE member = r.oid) AS groups
  FROM pg_authid r WHERE rolname !~ '^pg_' AND rolname <> 'admin' ORDER BY rolname`;

interface Fact {
  readonly rolname: string;
}

describe.skipIf(ends.length === 0).each(pairs)('roles of a server of %s on one of %s', (from, to) => {
  let source: TemporaryPostgres;
  let target: TemporaryPostgres;
  let script: Buffer;
  const load = async (content: Uint8Array, server = target.server, privileged = true) => {
    const connection = await connectClient(server, 'postgres', { timeoutMs: 10_000 }, never);
    try {
      return await loadGlobals(connection, () => inPieces(content, 100), privileged, never);
    } finally {
      await connection.close();
    }
  };

  beforeAll(async () => {
    source = await temporaryPostgres({ binDir: from });
    target = await temporaryPostgres({ binDir: to });
    await source.postgres.sql(roles);
    script = await collect(
      dumpGlobals(
        await source.tools(),
        'postgres',
        { rolePasswords: true, lockTimeoutSeconds: 10, encoding: 'UTF8' },
        never,
      ).bytes,
    );
  });
  afterAll(async () => {
    await source?.remove();
    await target?.remove();
  });

  test('a script that fails at its end creates nothing', async () => {
    const damage = new Failure('BackupDamaged', 'hashes differ');
    const connection = await connectClient(target.server, 'postgres', { timeoutMs: 10_000 }, never);
    const open = async function* () {
      yield script;
      throw damage;
    };
    expect(await rejection(loadGlobals(connection, open, true, never))).toBe(damage);
    await connection.close();
    expect(await target.postgres.sql(facts)).toEqual([]);
  });

  test('who may not create such roles creates none of them', async () => {
    await target.postgres.sql(`CREATE ROLE maker LOGIN CREATEROLE PASSWORD 'm'`);
    const maker = { ...target.server, user: 'maker', password: 'm' };
    expect(await rejection(load(script, maker))).toMatchObject({
      reason: 'PermissionDenied',
      message: expect.stringContaining('Bob; --') as string,
    });
    await target.postgres.sql('DROP ROLE maker');
    expect(await target.postgres.sql(facts)).toEqual([]);
  });

  test('a script gives nobody power over the server unless it may; what was made can be taken back', async () => {
    await target.postgres.sql(`CREATE ROLE existing`);
    const before = await target.postgres.sql<Fact>(facts);
    const mighty = `ALTER ROLE alice WITH SUPERUSER INHERIT CREATEROLE CREATEDB LOGIN REPLICATION BYPASSRLS;`;
    const content = Buffer.concat([script, Buffer.from(`${mighty}GRANT existing TO alice WITH ADMIN OPTION;`)]);
    const { rolesCreated, notes } = await load(content, target.server, false);
    expect(rolesCreated).toEqual(['Bob; --', 'alice', 'group 1', 'new\nline"q']);
    expect(notes).toEqual([
      'left out: CREATEROLE, REPLICATION, BYPASSRLS of role Bob; --: it needs privilegedGlobals',
      'left out: SUPERUSER, CREATEROLE, REPLICATION, BYPASSRLS of role alice: it needs privilegedGlobals',
      ...notes.slice(2),
    ]);
    expect(notes.slice(2).toSorted()).toEqual([
      'left out: membership of alice in existing, which was there before: it needs privilegedGlobals',
      'left out: membership of alice in pg_read_all_data, which was there before: it needs privilegedGlobals',
      'left out: right to set work_mem of role alice: it needs privilegedGlobals',
    ]);
    const now = await target.postgres.sql(`SELECT 1 AS one FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> 'admin'
      AND (rolsuper OR rolcreaterole OR rolreplication OR rolbypassrls)`);
    expect(now).toEqual([]);
    const reach = await target.postgres.sql(`SELECT 1 AS one FROM pg_auth_members m
      WHERE m.roleid IN (SELECT oid FROM pg_roles WHERE rolname ~ '^pg_' OR rolname = 'existing')
        AND m.member IN (SELECT oid FROM pg_roles WHERE rolname IN ('alice', 'Bob; --'))`);
    expect(reach).toEqual([]);
    await target.postgres.sql(`CREATE DATABASE used OWNER alice`);
    const connection = await connectClient(target.server, 'postgres', { timeoutMs: 10_000 }, never);
    expect(await dropRoles(connection, rolesCreated)).toEqual(['alice']);
    await target.postgres.sql(`DROP DATABASE used`);
    expect(await dropRoles(connection, rolesCreated)).toEqual([]);
    await connection.close();
    expect(await target.postgres.sql<Fact>(facts)).toEqual(before);
    await target.postgres.sql(`DROP ROLE existing`);
  });

  test('missing ones are created as they were; those that exist stay as they are; twice changes nothing', async () => {
    await target.postgres.sql(`CREATE ROLE existing PASSWORD 'mine' CONNECTION LIMIT 3`);
    const mine = await target.postgres.sql<Fact>(facts);
    const result = await load(script);
    expect(result).toEqual({ rolesCreated: ['Bob; --', 'alice', 'group 1', 'new\nline"q'], notes: [] });
    const others = ({ rolname }: Fact) => rolname !== 'existing';
    expect((await target.postgres.sql<Fact>(facts)).filter(others)).toEqual(
      (await source.postgres.sql<Fact>(facts)).filter(others),
    );
    const [existing] = (await target.postgres.sql<Fact>(facts)).filter((fact) => !others(fact));
    // Its membership in a new role comes with that role; the one in pg_monitor would change what was there.
    expect(existing).toEqual({ ...mine[0], groups: ['alicefalse'] });
    expect(await load(script)).toEqual({ rolesCreated: [], notes: [] });
  });

  test('tablespaces, unknown statements and settings of other servers are left out and told', async () => {
    const { rolesCreated, notes } = await load(
      Buffer.from(`CREATE ROLE late; ALTER ROLE late WITH LOGIN; ALTER ROLE late SET no_such_setting TO 'x'; ALTER ROLE late SET "TimeZone" TO 'se"cret';
        CREATE ROLE odd; ALTER ROLE odd WITH TELEPATHY; DROP ROLE alice; CREATE TABLESPACE t OWNER late LOCATION '/x';
        GRANT nobody TO late;`),
    );
    expect(rolesCreated).toEqual(['late']);
    expect(notes).toEqual([
      'left out: role odd, whose attributes could not be read',
      'left out: statement ALTER ROLE odd WITH …',
      'left out: statement DROP ROLE alice …',
      'left out: tablespace t',
      'left out: membership of late in nobody: there is no role nobody',
      expect.stringContaining('setting no_such_setting of role late') as string,
      expect.stringMatching(
        /^left out: setting TimeZone of role late: .*invalid value for parameter "TimeZone"$/,
      ) as string,
    ]);
    expect(await target.postgres.sql(`SELECT 1 AS one FROM pg_roles WHERE rolname = 'alice'`)).toEqual([{ one: 1 }]);
  });
});
