import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { listBinDirs } from '../servers/postgres.ts';
import {
  asPlain,
  openRemedyStand,
  plainOptions as options,
  statementOf,
  type RemedyStand,
  type Where,
} from './remedy-stand.ts';
import type { TwoDatabases } from './two-databases.ts';

// What a failure advises is done here to the letter, and then the restore is done.

const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);
let on: RemedyStand;
let stand: TwoDatabases;
beforeAll(async () => {
  on = await openRemedyStand({ allow_in_place_tablespaces: 'on' });
  ({ stand } = on);
});
afterAll(async () => on?.stop());
const fails: RemedyStand['fails'] = async (...given) => on.fails(...given);
const works: RemedyStand['works'] = async (...given) => on.works(...given);

describe('for a user with few rights', () => {
  beforeEach(async () => {
    await stand.server.sql(`DROP DATABASE IF EXISTS mine WITH (FORCE)`);
    await stand.server.sql(`DROP ROLE IF EXISTS plain, team`);
    await stand.server.sql(`CREATE ROLE plain LOGIN PASSWORD 'plain-password'; CREATE ROLE team`);
  });
  const plain = { secrets: asPlain };
  const own = { options: { ...options, noOwner: true, noPrivileges: true } };

  test('PermissionDenied: the right to create databases is given by the statement, or not needed in place', async () => {
    const hint = await fails('PermissionDenied', 'mine', { mode: 'Create', ...own }, plain);
    expect(hint).toBe('ALTER ROLE "plain" CREATEDB, or restore with mode InPlace into an empty database');
    await stand.server.sql('CREATE DATABASE mine OWNER plain');
    await works('mine', { mode: 'InPlace', ...own }, plain);
    await stand.server.sql('DROP DATABASE mine');
    await stand.server.sql(statementOf(hint));
    await works('mine', { mode: 'Create', ...own }, plain);
  });

  test('PermissionDenied: membership in the owner is given by the statement, or not needed in place', async () => {
    await stand.server.sql('ALTER ROLE plain CREATEDB');
    await stand.server.sql('CREATE DATABASE mine OWNER team');
    const hint = await fails('PermissionDenied', 'mine', own, plain);
    expect(hint).toBe('GRANT "team" TO "plain", or restore with mode InPlace');
    await stand.server.sql('GRANT CREATE ON SCHEMA public TO plain', 'mine');
    await works('mine', { mode: 'InPlace', ...own }, plain);
    await stand.server.sql(statementOf(hint));
    await works('mine', own, plain);
  });

  test('PermissionDenied: owners that it is no member of are not needed without owners and rights', async () => {
    await stand.server.sql('ALTER ROLE plain CREATEDB');
    const hint = await fails('PermissionDenied', 'mine', { mode: 'Create' }, plain);
    expect(hint).toContain('options.noOwner and options.noPrivileges do without them');
    await works('mine', { mode: 'Create', ...own }, plain);
    await stand.server.sql('DROP DATABASE mine');
    await stand.server.sql('GRANT keeper TO plain');
    const ownership = await fails('PermissionDenied', 'another', { mode: 'Create' }, plain);
    expect(ownership).toBe(
      'Who is to own it needs CREATE on the schema (beforeSql: [GRANT CREATE ON SCHEMA … TO …]); or set options.noOwner.',
    );
    await works('mine', { mode: 'Create', beforeSql: ['GRANT CREATE ON SCHEMA public TO keeper'] }, plain);
  });
});

describe('for a target that is there, or is not', () => {
  beforeEach(async () => {
    await stand.server.sql('DROP DATABASE IF EXISTS target WITH (FORCE)');
  });

  test('TargetMissing: it is created, or made by mode Create', async () => {
    expect(await fails('TargetMissing', 'target', { mode: 'InPlace' })).toBe('Create it, or use mode Create.');
    await works('target', { mode: 'Create' });
    await stand.server.sql('DROP DATABASE target');
    await stand.server.sql('CREATE DATABASE target');
    await works('target', { mode: 'InPlace' });
  });

  test('TargetExists: another name, no database of that name, or mode Replace', async () => {
    await stand.server.sql('CREATE DATABASE target');
    const hint = await fails('TargetExists', 'target', { mode: 'Create' });
    expect(hint).toBe('Choose another name, drop the database, or use mode Replace.');
    await works('another', { mode: 'Create' });
    await works('target', { mode: 'Replace' });
    await stand.server.sql('DROP DATABASE target');
    await works('target', { mode: 'Create' });
  });

  test('ObjectConflict: of an archive by mode Replace or clean', async () => {
    await stand.server.sql('CREATE DATABASE target');
    await stand.server.sql('CREATE TABLE t (other text)', 'target');
    const hint = await fails('ObjectConflict', 'target', { mode: 'InPlace' });
    expect(hint).toBe('Use mode Replace, or inPlace.clean with acknowledgeDataLoss.');
    await works('target', { mode: 'InPlace', clean: true });
    await stand.server.sql('INSERT INTO t VALUES (0)', 'target');
    await works('target', { mode: 'Replace' });
  });

  test('ObjectConflict: of rows alone by emptying the tables first', async () => {
    await works('target', { mode: 'Create' });
    const rows = { mode: 'InPlace', select: { schemaOnly: false, dataOnly: true } } as const;
    const hint = await fails('ObjectConflict', 'target', rows);
    expect(hint).toBe('Empty the tables first, for example with beforeSql: [TRUNCATE …].');
    expect(await fails('SpecInvalid', 'target', { ...rows, clean: true })).toContain('beforeSql: [TRUNCATE …]');
    await works('target', { ...rows, beforeSql: ['TRUNCATE t'] });
  });

  test('ObjectConflict: of a script by mode Replace, or by dropping what is there first', async () => {
    await writeFile(
      join(stand.place.place.directory?.path ?? '', 'made.sql'),
      'CREATE TABLE t AS SELECT generate_series(1, 100)',
    );
    const source = { file: { location: stand.place, key: 'made.sql' } };
    await stand.server.sql('CREATE DATABASE target');
    await stand.server.sql('CREATE TABLE t ()', 'target');
    const hint = await fails('ObjectConflict', 'target', { mode: 'InPlace', source });
    expect(hint).toBe('Use mode Replace, or drop what is there first, for example with beforeSql.');
    await works('target', { mode: 'InPlace', source, beforeSql: ['DROP TABLE t'] });
    await works('target', { mode: 'Replace', source });
  });

  test('ObjectConflict: in a new database by taking it out, or by going on', async () => {
    const beforeSql = ['CREATE TABLE t (i int); INSERT INTO t VALUES (1)'];
    const hint = await fails('ObjectConflict', 'target', { mode: 'Create', beforeSql });
    expect(hint).toBe(
      'The source itself makes it twice, or beforeSql has made it: take it out there (of an archive options.onError: Continue leaves out what is refused).',
    );
    const { verdict } = await on.restore('target', {
      mode: 'Create',
      beforeSql,
      options: { ...options, onError: 'Continue' },
    });
    expect(verdict).toMatchObject({ verdict: 'PartlyFailed', reason: 'RestoredInPart', target: 'Restored' });
    expect(await stand.server.sql('SELECT i FROM t', 'target')).toEqual([{ i: 1 }]);
    await works('target', { mode: 'Replace' });
  });
});

describe('for a server that lacks something', () => {
  const there = (): Where => ({ server: on.bare });
  beforeEach(async () => {
    await on.bare.sql('DROP DATABASE IF EXISTS target WITH (FORCE)');
    await on.bare.sql('DROP ROLE IF EXISTS keeper');
  });

  test('RoleMissing: the role is created, or comes with the globals, or nobody is made the owner', async () => {
    const hint = await fails('RoleMissing', 'target', { mode: 'Create' }, there());
    expect(hint).toBe('create them, set options.globals, or set options.noOwner and options.noPrivileges');
    await works('target', { mode: 'Create', options: { ...options, noOwner: true, noPrivileges: true } }, there());
    await works('target', { options: { ...options, globals: true } }, there());
    await on.bare.sql('DROP DATABASE target');
    await on.bare.sql('DROP ROLE keeper');
    await on.bare.sql('CREATE ROLE keeper');
    await works('target', { mode: 'Create' }, there());
  });

  test('RoleMissing: nobody asks for the roles of what is excluded', async () => {
    const roles = 'CREATE ROLE gone; CREATE ROLE reader; CREATE TABLE t (i int); CREATE SCHEMA x AUTHORIZATION gone';
    const fill = `${roles}; CREATE TABLE x.y (i int); GRANT SELECT ON x.y TO reader; CREATE TABLE z (i int); ALTER TABLE z OWNER TO gone`;
    const backup = await on.backUp(stand.server, fill);
    await fails('RoleMissing', 'target', { mode: 'Create' }, { ...there(), backup });
    const rest = { schemaOnly: false, dataOnly: false, excludeSchemas: ['x'], excludeTables: ['public.z'] };
    await works('target', { mode: 'Create', select: rest }, { ...there(), backup });
  });

  test('TablespaceMissing: it is created, or left out', async () => {
    await stand.server.sql(`CREATE TABLESPACE fast LOCATION ''`);
    const backup = await on.backUp(stand.server, 'CREATE TABLE t (i int) TABLESPACE fast');
    const hint = await fails('TablespaceMissing', 'target', { mode: 'Create' }, { server: on.bare, backup });
    expect(hint).toBe('create them, or set options.without: [tablespaces], which puts everything into the default one');
    await works(
      'target',
      { mode: 'Create', options: { ...options, without: ['tablespaces'] } },
      { server: on.bare, backup },
    );
    await on.bare.sql(`CREATE TABLESPACE fast LOCATION ''`);
    await works('target', { mode: 'Replace' }, { server: on.bare, backup });
  });

  test('PermissionDenied: event triggers are left out, or made by a superuser', async () => {
    const backup = await on.backUp(
      stand.server,
      `CREATE TABLE t (i int); CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
       CREATE EVENT TRIGGER e ON sql_drop EXECUTE FUNCTION f()`,
    );
    await on.bare.sql(`DROP ROLE IF EXISTS plain`);
    await on.bare.sql(`CREATE ROLE plain LOGIN CREATEDB PASSWORD 'plain-password'`);
    const own = { ...options, noOwner: true, noPrivileges: true };
    const plain = { server: on.bare, backup, secrets: asPlain };
    const hint = await fails('PermissionDenied', 'target', { mode: 'Create', options: own }, plain);
    expect(hint).toContain('options.without: [eventTriggers]');
    await works('target', { mode: 'Create', options: { ...own, without: ['eventTriggers'] } }, plain);
    await works('target', { mode: 'Replace', options: own }, { server: on.bare, backup });
  });

  const [debian, small] = [15, 16].map((major) => binDirs.find((dir) => dir.includes(`/${major}/`)));
  test.skipIf(debian === undefined || small === undefined)(
    'ExtensionMissing: it is left out if nothing needs it (servers of 15, and of 16 without extensions)',
    async () => {
      const rich = await on.startServer(debian ?? '', 'rich');
      const poor = await on.startServer(small ?? '', 'poor');
      const backup = await on.backUp(rich, 'CREATE EXTENSION hstore; CREATE TABLE t (i int)');
      const where = { server: poor, backup };
      const hint = await fails('ExtensionMissing', 'target', { mode: 'Create' }, where);
      expect(hint).toContain('set options.without: [extensions] if nothing needs them');
      await works('target', { mode: 'Create', options: { ...options, without: ['extensions'] } }, where);
    },
  );

  const newest = binDirs.find((dir) => dir.includes('/18/'));
  test.skipIf(newest === undefined)(
    'VersionUnsupported: it goes to a server of the version that it came from (a server of 18)',
    async () => {
      const young = await on.startServer(newest ?? '', 'young');
      const backup = await on.backUp(young, 'CREATE TABLE t (i int, d int GENERATED ALWAYS AS (i * 2) VIRTUAL)');
      const hint = await fails('VersionUnsupported', 'target', { mode: 'Create' }, { server: on.bare, backup });
      expect(hint).toBe('Restore to a server of that version or newer.');
      await works('target', { mode: 'Create' }, { server: young, backup });
    },
  );
});
