import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { RestoreTask } from '../../src/domain/task.ts';
import { writeZip } from '../builders/zip.ts';
import { listBinDirs } from '../servers/postgres.ts';
import { asPlain, openRemedyStand, plainOptions as options, type RemedyStand } from './remedy-stand.ts';
import type { TwoDatabases } from './two-databases.ts';

// As restore-remedies.real.test.ts: what keeps a target from being replaced, and what is not understood of a source.

const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);
let on: RemedyStand;
let stand: TwoDatabases;
beforeAll(async () => {
  on = await openRemedyStand({ wal_level: 'logical' });
  ({ stand } = on);
});
afterAll(async () => on?.stop());
beforeEach(async () => {
  await stand.server.sql('DROP DATABASE IF EXISTS target WITH (FORCE)');
});

test('TargetBusy: a slot in the target is dropped first, or stays with mode InPlace', async () => {
  await stand.server.sql('CREATE DATABASE target');
  await stand.server.sql(`SELECT pg_create_logical_replication_slot('held', 'pgoutput')`, 'target');
  const hint = await on.fails('TargetBusy', 'target', {});
  expect(hint).toBe('drop them first, or restore with mode InPlace');
  await on.works('target', { mode: 'InPlace' });
  await stand.server.sql(`SELECT pg_drop_replication_slot('held')`);
  await on.works('target', {});
});

test('TargetBusy: the right to end connections is granted, or they are ended', async () => {
  const sql = async (text: string) => stand.server.sql(text);
  await sql(`CREATE ROLE plain LOGIN CREATEDB PASSWORD 'plain-password'; CREATE ROLE other LOGIN PASSWORD 'other'`);
  await sql('CREATE DATABASE target OWNER plain');
  const { host, port } = stand.server;
  const sit = async (): Promise<Client> => {
    const client = new Client({ host, port, user: 'other', password: 'other', database: 'target' });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  };
  const plain = { secrets: asPlain };
  const own = { options: { ...options, noOwner: true, noPrivileges: true } };
  const first = await sit();
  const hint = await on.fails('TargetBusy', 'target', own, plain);
  expect(hint).toBe('grant pg_signal_backend to the user of the restore, or end these connections');
  await first.end();
  await on.works('target', own, plain);
  await sit();
  await sql('GRANT pg_signal_backend TO plain');
  await on.works('target', own, plain);
});

test('SpecInvalid: where every database is a target there is one more', async () => {
  const server = on.bare;
  const own = { options: { ...options, noOwner: true, noPrivileges: true } };
  const hint = await on.fails('SpecInvalid', 'postgres', own, { server });
  expect(hint).toMatch(/^CREATE DATABASE an empty one, /);
  await server.sql('CREATE DATABASE elsewhere');
  await on.works('postgres', own, { server });
});

test('ObjectConflict: partitioned tables with keys are dropped first, or the database is replaced', async () => {
  const backup = await on.backUp(
    stand.server,
    `CREATE TABLE t (i int); CREATE TABLE p (i int PRIMARY KEY) PARTITION BY RANGE (i);
     CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (9)`,
  );
  await on.works('target', { mode: 'Create' }, { backup });
  const hint = await on.fails('ObjectConflict', 'target', { mode: 'InPlace', clean: true }, { backup });
  expect(hint).toBe('Partitioned tables with keys cannot be cleaned: drop them, or use mode Replace.');
  await on.works('target', { mode: 'InPlace', clean: true, beforeSql: ['DROP TABLE p'] }, { backup });
  await on.works('target', {}, { backup });
});

const [rich, poor] = [15, 16].map((major) => binDirs.find((dir) => dir.includes(`/${major}/`)));
test.skipIf(rich === undefined || poor === undefined)(
  'VersionUnsupported: a database with a locale that the server has is created, and replaced (15 with ICU, 16 without)',
  async () => {
    const from = await on.startServer(rich ?? '', 'rich');
    const server = await on.startServer(poor ?? '', 'poor');
    const create = `TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'de' LOCALE 'C'`;
    const backup = await on.backUp(from, 'CREATE TABLE t (i int)', create);
    const hint = await on.fails('VersionUnsupported', 'target', { mode: 'Create' }, { server, backup });
    expect(hint).toMatch(/^create an empty database with a locale, encoding .* and restore with mode Replace$/);
    await server.sql(`CREATE DATABASE target TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'`);
    await on.works('target', {}, { server, backup });
  },
);

test.skipIf(rich === undefined || poor === undefined).each([
  ['ICU', `CREATE COLLATION c (provider = icu, locale = 'de'); CREATE TABLE t (i int)`],
  ['lz4', 'CREATE TABLE t (i int, v text COMPRESSION lz4)'],
  ['XML', `CREATE TABLE x (x xml); INSERT INTO x VALUES ('<a/>'); CREATE TABLE t (i int)`],
])('VersionUnsupported: it goes to a server that was built with %s (15 with, 16 without)', async (what, fill) => {
  const from = await on.startServer(rich ?? '', `with-${what}`);
  const server = await on.startServer(poor ?? '', `without-${what}`);
  const backup = await on.backUp(from, fill);
  const hint = await on.fails('VersionUnsupported', 'target', { mode: 'Create' }, { server, backup });
  expect(hint).toBe('Restore to a server that was built with it, as the one was that it came from.');
  await server.sql('CREATE DATABASE target');
  expect(await on.fails('VersionUnsupported', 'target', { mode: 'InPlace' }, { server, backup })).toBe(hint);
  await on.works('target', { mode: 'Create' }, { server: from, backup });
});

test('FileAmbiguous: the member that is meant is named', async () => {
  const content = 'CREATE TABLE t AS SELECT generate_series(1, 100)';
  const zip = writeZip([
    { name: 'a.sql', content },
    { name: 'b.sql', content: 'SELECT 1' },
  ]);
  await writeFile(join(stand.place.place.directory?.path ?? '', 'two.zip'), zip);
  const file = { location: stand.place, key: 'two.zip' };
  const hint = await on.fails('FileAmbiguous', 'target', { mode: 'Create', source: { file } });
  expect(hint).toContain('source.file.member');
  await on.works('target', { mode: 'Create', source: { file: { ...file, member: 'a.sql' } } });
});

test('PermissionDenied: roles that the user may not create are created by hand, or globals are left out', async () => {
  const server = on.bare;
  await server.sql(`CREATE ROLE plain LOGIN CREATEDB PASSWORD 'plain-password'`);
  await server.sql('DROP DATABASE IF EXISTS target');
  const plain = { server, secrets: asPlain };
  const globals = {
    mode: 'Create',
    options: { ...options, globals: true, noOwner: true, noPrivileges: true },
  } as const;
  const hint = await on.fails('PermissionDenied', 'target', globals, plain);
  expect(hint).toBe('Create it by hand, or restore without options.globals.');
  await on.works('target', { ...globals, options: { ...globals.options, globals: false } }, plain);
  await server.sql('DROP DATABASE target');
  await server.sql('CREATE ROLE keeper');
  await on.works('target', globals, plain);
});

test('SelectionMissing: the table that a partition is of is selected in its place', async () => {
  const fill = `CREATE TABLE t (i int) PARTITION BY RANGE (i); CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (1) TO (101)`;
  const backup = await on.backUp(stand.server, fill);
  await on.works('target', { mode: 'Create' }, { backup });
  const rows = { schemaOnly: false, dataOnly: false };
  const part = {
    mode: 'InPlace',
    clean: true,
    select: { ...rows, tables: ['public.t1'] },
  } satisfies Partial<RestoreTask>;
  const hint = await on.fails('SelectionMissing', 'target', part, { backup });
  expect(hint).toBe('select public.t in its place, or restore the partition to another database with mode Create');
  await on.works('target', { ...part, select: { ...rows, tables: ['public.t'] } }, { backup });
  const { verdict, log } = await on.restore('part', { mode: 'Create', select: part.select }, { backup });
  expect([verdict.message, verdict], log).toMatchObject([undefined, { target: 'Restored' }]);
  expect(await stand.server.sql('SELECT count(*)::int AS rows FROM t1', 'part')).toEqual([{ rows: 100 }]);
});

test('triggers that run for rows alone are told, and rows come in as they were saved where these are disabled meanwhile', async () => {
  const audited = `CREATE TABLE t (i int PRIMARY KEY); CREATE TABLE audit (i int);
    CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS
      'BEGIN INSERT INTO public.audit VALUES (NEW.i); NEW.i := NEW.i + 1000; RETURN NEW; END';
    CREATE TRIGGER alters BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f(); ALTER TABLE t DISABLE TRIGGER alters`;
  const backup = await on.backUp(stand.server, audited);
  await on.works('target', { mode: 'Create' }, { backup });
  await stand.server.sql('ALTER TABLE t ENABLE TRIGGER alters', 'target');
  const look = async (): Promise<unknown> =>
    stand.server.sql('SELECT max(i) AS i, (SELECT count(*)::int FROM audit) AS audit FROM t', 'target');
  const restore = async (...beforeSql: string[]) => {
    const changes = {
      mode: 'InPlace',
      select: { schemaOnly: false, dataOnly: true, tables: ['public.t'] },
      beforeSql: ['TRUNCATE t, audit', ...beforeSql],
    } satisfies Partial<RestoreTask>;
    const { verdict, results, log } = await on.restore('target', changes, { backup });
    expect(verdict, log).toMatchObject({ verdict: 'Succeeded', target: 'Restored' });
    return results.flatMap((line) => (line.kind === 'restored' ? (line.notes ?? []) : []));
  };
  expect(await restore()).toContain(
    'triggers ran for the rows: alters of public.t; beforeSql: [ALTER TABLE … DISABLE TRIGGER USER] lets them in as they were saved',
  );
  expect(await look()).toEqual([{ i: 1100, audit: 100 }]);
  expect(await restore('ALTER TABLE t DISABLE TRIGGER USER')).toEqual([]);
  expect(await look()).toEqual([{ i: 100, audit: 0 }]);
  expect(await restore('ALTER TABLE t ENABLE ALWAYS TRIGGER alters')).toEqual([]);
  expect(await look()).toEqual([{ i: 1100, audit: 100 }]);
});
