import { execFile } from 'node:child_process';
import { readdir, readFile, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import { loadArchive } from '../../src/postgres/load-archive.ts';
import type { Archive, LoadOptions } from '../../src/postgres/load-types.ts';
import { programPath } from '../../src/postgres/programs.ts';
import { readContents } from '../../src/postgres/read-contents.ts';
import { failingAfter, rejection } from '../pipeline/streams.ts';
import { listBinDirs } from '../servers/postgres.ts';
import { fileOf, loadOptions, openLoadStand, streamOf, type LoadStand } from './load-stand.ts';

const run = promisify(execFile);
const never = new AbortController().signal;
const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);

/** Triggers on the parents of partitions alter rows and invent others when they fire; here they came after the rows. */
const tables = (name: string) => `
CREATE TABLE ${name} (id int, part int, note text, made timestamptz DEFAULT now()) PARTITION BY LIST (part);
${[0, 1, 2, 3].map((part) => `CREATE TABLE ${name}_${part} PARTITION OF ${name} FOR VALUES IN (${part});`).join('\n')}
INSERT INTO ${name} SELECT i, i % 4, 'row ' || i, '2020-01-01' FROM generate_series(1, 4000) i;
INSERT INTO ${name} VALUES (NULL, 1, NULL, NULL);
CREATE INDEX ON ${name} (id);
CREATE TRIGGER alters BEFORE INSERT ON ${name} FOR EACH ROW EXECUTE FUNCTION alters();
CREATE TRIGGER tells AFTER INSERT ON ${name} FOR EACH ROW EXECUTE FUNCTION tells();
CREATE TRIGGER once AFTER INSERT ON ${name}_2 FOR EACH STATEMENT EXECUTE FUNCTION tells();
`;
const schema = `
CREATE TABLE audit (id int, what text);
INSERT INTO audit VALUES (0, 'the only one');
CREATE FUNCTION alters() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN NEW.note := 'altered'; NEW.id := coalesce(NEW.id, -1); RETURN NEW; END $$;
CREATE FUNCTION tells() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO public.audit VALUES (NULL, TG_NAME); RETURN NULL; END $$;
${tables('orders')}
${tables('events')}
CREATE FUNCTION half(i int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT i / 2';
CREATE TABLE own (i int PRIMARY KEY, j int REFERENCES own);
INSERT INTO own SELECT i, NULL FROM generate_series(1, 500) i;
UPDATE own SET j = i - 1 WHERE i > 1;
CREATE INDEX ON own (half(i));
CREATE VIEW seen AS SELECT * FROM own;
CREATE MATERIALIZED VIEW counted AS SELECT count(*), sum(id) FROM orders;
COMMENT ON TABLE own IS 'of one who may not write'; COMMENT ON INDEX own_half_idx IS 'half';
SELECT lo_from_bytea(4711, 'large');
`;
/** Whoever restores may be the owner, and an owner may have taken its own rights away: grants come last of all. */
const grants = `
REVOKE ALL ON own FROM plain; REVOKE ALL ON FUNCTION half(int) FROM plain, PUBLIC; GRANT SELECT ON own TO PUBLIC;
`;

/** Every row, the audit, and what came after the rows. */
const queries = [
  ...['audit', 'orders', 'events', 'own', 'seen', 'counted'].map(
    (name) => `SELECT '${name}', count(*), md5(string_agg(t::text, E'\\n' ORDER BY t::text)) FROM ${name} t`,
  ),
  `SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2`,
  `SELECT conrelid::regclass::text, conname, convalidated FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2`,
  `SELECT indrelid::regclass::text, indisvalid, count(*) FROM pg_index JOIN pg_class c ON c.oid = indrelid
    WHERE relnamespace = 'public'::regnamespace GROUP BY 1, 2 ORDER BY 1, 2`,
  `SELECT relname, pg_get_userbyid(relowner) AS owner, relacl::text FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1`,
  `SELECT proname, proacl::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1`,
  `SELECT objoid::regclass::text, description FROM pg_description WHERE classoid = 'pg_class'::regclass AND objoid >= 16384 ORDER BY 1`,
  `SELECT encode(lo_get(4711), 'escape') AS large`,
];

describe.skipIf(binDirs.length === 0).each(binDirs)('several connections on a server of %s', (binDir) => {
  let stand: LoadStand;
  let expected: unknown;
  const archives = new Map<string, Archive>();
  const look = async (database: string) => {
    const all: unknown[] = [];
    for (const query of queries) all.push(await stand.at.postgres.sql(query, database));
    return all;
  };

  beforeAll(async () => {
    stand = await openLoadStand(binDir, binDirs);
    await stand.at.postgres.sql(`CREATE ROLE plain LOGIN PASSWORD 'plain' CREATEDB`);
    await stand.fresh('source');
    await stand.at.postgres.sql(
      'ALTER DATABASE source OWNER TO plain; GRANT CREATE ON SCHEMA public TO plain',
      'source',
    );
    await stand.at.postgres.sql(`SET ROLE plain; ${schema} ${grants}`, 'source');
    expected = await look('source');
    // Written through a pipe, an archive does not know where its rows are.
    const piped = await stand.dump('source');
    archives.set('a stream', streamOf(piped));
    archives.set('a file made through a pipe', await fileOf(stand, piped));
    const dump = await stand.at.tools();
    for (const format of ['custom', 'directory', 'tar'] as const) {
      const path = join(await stand.at.folder(), 'archive');
      const env = { ...stand.tools.environment, PGDATABASE: 'source' };
      await run(programPath(dump.programs, 'pg_dump'), [`--format=${format}`, `--file=${path}`], { env });
      archives.set(format, { kind: 'path', format, path });
    }
  });
  afterAll(() => stand?.at.remove());

  describe.each(['a stream', 'a file made through a pipe', 'custom', 'directory', 'tar'])('from %s', (name) => {
    test.each([1, 2, 4])('%i restore every row as it was, and invent none', async (jobs) => {
      await expectSame(name, { jobs });
    });
  });

  test('by hand are safe in the three passes of docs/recovery.md, and alter rows in one', async () => {
    const archive = archives.get('a file made through a pipe');
    if (archive?.kind !== 'path') throw new Error('no file');
    const page = await readFile(new URL('../../docs/recovery.md', import.meta.url), 'utf8');
    const commands = page.slice(page.indexOf('pg_restore --list --section=pre-data')).split('```')[0] ?? '';
    const { programs } = await stand.at.tools();
    const sh = async (script: string) => {
      const cwd = await stand.at.folder();
      await symlink(archive.path, join(cwd, 'shop.dump'));
      const PATH = `${dirname(programPath(programs, 'pg_restore'))}:${process.env['PATH']}`;
      await run('sh', ['-ec', script.replaceAll('-d shop', '-d back')], {
        cwd,
        env: { ...stand.tools.environment, PATH },
      });
    };
    await fresh();
    await sh(commands);
    expect(await look('back')).toEqual(expected);
    await fresh();
    await sh('pg_restore --exit-on-error -d shop --jobs 4 shop.dump');
    expect(await look('back')).not.toEqual(expected);
  });

  test('restore what the owner itself may not write any more, as the owner', async () => {
    const server = { ...stand.at.server, user: 'plain', password: 'plain' };
    const { environment } = await stand.at.tools(server);
    await expectSame('a file made through a pipe', { jobs: 3 }, environment);
  });

  test('begin with what comes after the rows only when the stream has proved itself, and keep nothing', async () => {
    const piped = await stand.dump('source');
    const damage = new Failure('BackupDamaged', 'hashes differ');
    const archive: Archive = {
      kind: 'stream',
      format: 'custom',
      open: () => failingAfter(piped, piped.length, 8192, damage),
    };
    await fresh();
    const contents = await readContents(stand.tools, streamOf(piped), never);
    const options = loadOptions('back', { jobs: 2, contents });
    expect(await rejection(loadArchive(stand.tools, archive, options, never))).toBe(damage);
    const after = `SELECT (SELECT count(*)::int FROM pg_trigger) + (SELECT count(*)::int FROM pg_index WHERE indexrelid >= 16384
      AND indrelid::regclass::text NOT LIKE 'pg_toast%') AS made`;
    expect(await stand.at.postgres.sql(after, 'back')).toEqual([{ made: 0 }]);
    expect(await readdir(stand.tools.folder)).toEqual([]);
  });

  test('of a stream need its head only, which may be marked, and set what they are told to', async () => {
    await stand.fresh('settings');
    await stand.at.postgres.sql(
      `CREATE TABLE t AS SELECT i FROM generate_series(1, 100000) i;
       CREATE INDEX ON t (i);
       CREATE MATERIALIZED VIEW seen AS SELECT current_setting('maintenance_work_mem') AS memory,
         current_setting('synchronous_commit') AS commit, count(*)::int FROM t;
       SET allow_system_table_mods = on;
       UPDATE pg_attribute SET attoptions = '{pg_attver=1}' WHERE attnum > 0 AND attrelid = 't'::regclass`,
      'settings',
    );
    const environment = { ...stand.tools.environment, PGOPTIONS: '-c client_min_messages=warning' };
    const settings = { maintenance_work_mem: '77MB', synchronous_commit: 'off' };
    await stand.fresh('back');
    const { notes } = await loadArchive(
      { ...stand.tools, environment },
      streamOf(await stand.dump('settings')),
      loadOptions('back', { jobs: 2, settings }),
      never,
    );
    expect(notes).toEqual([]);
    expect(await stand.at.postgres.sql('SELECT * FROM seen', 'back')).toEqual([
      { memory: '77MB', commit: 'off', count: 100_000 },
    ]);
  });

  test('restore a selection, definitions alone, and rows alone', async () => {
    const archive = archives.get('directory');
    if (archive === undefined) throw new Error('no archive');
    await fresh();
    const selection = { tables: ['orders', 'audit'], schemaOnly: true, dataOnly: false };
    const options = { jobs: 2, selection, freshDatabase: true };
    await loadArchive(stand.tools, archive, loadOptions('back', options), never);
    const count = `SELECT (SELECT count(*)::int FROM orders) AS orders, (SELECT count(*)::int FROM audit) AS audit,
      (SELECT count(*)::int FROM pg_trigger WHERE tgrelid = 'orders'::regclass) AS triggers`;
    expect(await stand.at.postgres.sql(count, 'back')).toEqual([{ orders: 0, audit: 0, triggers: 2 }]);
    await stand.at.postgres.sql(
      'ALTER TABLE orders DISABLE TRIGGER USER; ALTER TABLE orders_2 DISABLE TRIGGER USER',
      'back',
    );
    const rows = { jobs: 2, selection: { ...selection, schemaOnly: false, dataOnly: true } };
    await loadArchive(stand.tools, archive, loadOptions('back', rows), never);
    expect(await stand.at.postgres.sql(count, 'back')).toEqual([{ orders: 4001, audit: 1, triggers: 2 }]);
  });

  async function fresh(): Promise<void> {
    await stand.fresh('back');
    await stand.at.postgres.sql('ALTER DATABASE back OWNER TO plain; GRANT CREATE ON SCHEMA public TO plain', 'back');
  }

  async function expectSame(
    name: string,
    changes: Partial<LoadOptions>,
    environment = stand.tools.environment,
  ): Promise<void> {
    const archive = archives.get(name);
    if (archive === undefined) throw new Error(`no ${name}`);
    await fresh();
    await loadArchive({ ...stand.tools, environment }, archive, loadOptions('back', changes), never);
    expect(await look('back')).toEqual(expected);
  }
});
