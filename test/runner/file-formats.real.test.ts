import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Bytes } from '../../src/pipeline/bytes.ts';
import { loadScript } from '../../src/postgres/load-script.ts';
import { openFileSource } from '../../src/runner/restore/source/file-source.ts';
import { openDirectory } from '../../src/storage/directory.ts';
import { systemRandom } from '../../src/support/clock.ts';
import { writeZip } from '../builders/zip.ts';
import { collect, inPieces } from '../pipeline/streams.ts';
import { listBinDirs, startPostgres, type Postgres } from '../servers/postgres.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { call, callWith, environmentOf, fileWanted, serverOf } from './file-stand.ts';
import { workshopOf } from './workshop-of.ts';

const never = new AbortController().signal;
const checksum = `SELECT md5(string_agg(t::text, E'\\n' ORDER BY a)) || ' ' || (SELECT count(*) FROM pg_largeobject_metadata)
  || ' ' || (SELECT count(*) FROM pg_class WHERE relname LIKE 'table\\_%') AS sum FROM "a table" t`;

/** How a database becomes a file, and what it is found to be. */
const makers: readonly (readonly [
  name: string,
  format: string,
  make: (dump: Dumper, folder: string) => Promise<Buffer | string>,
])[] = [
  ['dump.custom', 'Custom', (dump) => dump('--format=custom')],
  ['dump.tar', 'Tar', (dump) => dump('--format=tar')],
  ['dump.sql', 'Sql', (dump) => dump('--format=plain')],
  ['inserts.sql', 'Sql', (dump) => dump('--format=plain', '--inserts')],
  ['created.sql', 'Sql', (dump) => dump('--format=plain', '--create')],
  ['cleaned.sql', 'Sql', (dump) => dump('--format=plain', '--create', '--clean', '--if-exists')],
  ['custom.gz', 'Custom', async (dump) => gzipSync(await dump('--format=custom', '--compress=0'))],
  ['tar.zst', 'Tar', async (dump) => zstdCompressSync(await dump('--format=tar'))],
  ['sql.zst', 'Sql', async (dump) => zstdCompressSync(await dump('--format=plain'))],
  ['sql.zip', 'Sql', async (dump) => writeZip([{ name: 'x/dump.sql', content: await dump('--format=plain') }])],
  [
    'sql-gz.zip',
    'Sql',
    async (dump) =>
      writeZip([
        { name: 'README.txt', content: 'How to restore: read the manual.' },
        { name: 'dump.sql.gz', content: gzipSync(await dump('--format=plain')) },
      ]),
  ],
  [
    'stored.zip',
    'Custom',
    async (dump) => writeZip([{ name: 'a', content: await dump('--format=custom'), method: 0 }]),
  ],
  ['folder.tar', 'Directory', (dump, folder) => dumpFolder(dump, folder, ['--format=gnu'])],
  ['pax.tar', 'Directory', (dump, folder) => dumpFolder(dump, folder, ['--format=pax'])],
  ['folder.tar.gz', 'Directory', (dump, folder) => dumpFolder(dump, folder, ['--format=gnu', '--gzip'])],
  [
    'folder.zip',
    'Directory',
    async (dump, folder) => {
      const tar = await dumpFolder(dump, folder, ['--format=gnu']);
      const names = (await call('tar', ['--list', '--file', tar])).split('\n').filter((name) => /[^/]$/.test(name));
      const entries = names.map(async (name) => ({ name, content: await readFile(join(folder, name)) }));
      return writeZip(await Promise.all(entries));
    },
  ],
  [
    'sql.tar.gz',
    'Sql',
    async (dump, folder) => {
      await writeFile(join(folder, 'only.sql'), await dump('--format=plain'));
      return await tarOf(folder, 'only.sql', ['--gzip']);
    },
  ],
];

type Dumper = (...args: readonly string[]) => Promise<Buffer>;

/** A folder of pg_dump with a name too long for a plain header, in a tar. */
async function dumpFolder(dump: Dumper, folder: string, args: readonly string[]): Promise<string> {
  const name = join('n'.repeat(90), 'm'.repeat(90));
  await mkdir(join(folder, 'n'.repeat(90)), { recursive: true });
  await dump('--format=directory', `--file=${join(folder, name)}`);
  return await tarOf(folder, 'n'.repeat(90), args);
}

async function tarOf(folder: string, name: string, args: readonly string[]): Promise<string> {
  const path = join(folder, `made${args.length}.tar`);
  await call('tar', ['--create', '--file', path, ...args, '--directory', folder, name]);
  return path;
}

const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);

describe.each(binDirs)('Files made by the programs of %s', (binDir) => {
  let server: Postgres;
  let expected: unknown;
  let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;
  let files: string;
  const program = (name: string): string => join(binDir, name);
  const dumpWith =
    (name: string) =>
    async (...args: readonly string[]): Promise<Buffer> => {
      const path = join(folder.path, 'out');
      const toFile = args.some((arg) => arg.startsWith('--file=')) ? args : [...args, `--file=${path}`];
      await call(program(name), [...toFile], { env: environmentOf(server) });
      return toFile === args ? Buffer.alloc(0) : await readFile(path);
    };
  const open = (key: string, changes = {}) =>
    openFileSource(
      fileWanted({ key }, changes),
      workshopOf({ files: openDirectory({ path: files }, { random: systemRandom }) }),
    );

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    // The server runs as another user.
    await chmod(folder.path, 0o755);
    files = join(folder.path, 'files');
    await mkdir(files);
    server = await startPostgres({ binDir, dir: join(folder.path, 'pg') });
    await server.sql('CREATE ROLE owner');
    await server.sql('CREATE DATABASE source OWNER owner');
    await server.sql(`CREATE DATABASE "o'ther \\ ""db"`);
    await server.sql("ALTER DATABASE source SET work_mem TO '9MB'");
    await server.sql(
      `CREATE TABLE "a table" (a int PRIMARY KEY, b text);
       INSERT INTO "a table" SELECT i, 'row ' || i || E' \\\\! \\n\\\\.\\n'';--$$' FROM generate_series(1, 5000) i;
       ALTER TABLE "a table" OWNER TO owner;
       CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS $$ begin return '\\! x' || E'\\\\'; end $$;
       CREATE FUNCTION g() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END;
       SELECT lo_from_bytea(0, 'large object');
       DO $$ BEGIN FOR i IN 1..30 LOOP EXECUTE format('CREATE TABLE table_%s (x int)', i); END LOOP; END $$;`,
      'source',
    );
    expected = await server.sql(checksum, 'source');
  });
  afterAll(async () => {
    await server.stop();
    await folder.remove();
  });

  const load = async (key: string, changes = {}): Promise<{ format: string | undefined; notes: readonly string[] }> => {
    const source = await open(key, changes);
    const input = source.inputs[0]?.input;
    if (input === undefined) throw new Error('no input');
    await server.sql('DROP DATABASE IF EXISTS target');
    await server.sql('CREATE DATABASE target');
    const env = environmentOf(server);
    let notes: readonly string[] = [];
    if (input.format === 'directory') {
      const path = await input.unpack?.(join(folder.path, 'scratch'), never);
      await call(program('pg_restore'), ['--exit-on-error', '--dbname=target', path ?? ''], { env });
    } else if (input.format === 'sql') {
      const tools = { server: serverOf(server), serverMajor: server.major };
      const options = { database: 'target', singleTransaction: false, part: input.part ?? 'whole' } as const;
      ({ notes } = await loadScript(tools, input.open, options, never));
    } else {
      const args = ['--exit-on-error', '--dbname=target', `--format=${input.format}`];
      await callWith(input.open(never), program('pg_restore'), args, env);
    }
    await source.close();
    return { format: source.chosen.format, notes };
  };

  it.each(makers)('restore: %s is %s', async (name, format, make) => {
    const own = join(folder.path, 'own', name);
    await mkdir(own, { recursive: true });
    const made = await make((...args) => dumpWith('pg_dump')('--dbname=source', ...args), own);
    // The name says nothing.
    const key = `file-${basename(name).replaceAll('.', '_')}`;
    await writeFile(join(files, key), typeof made === 'string' ? await readFile(made) : made);

    const { format: found, notes } = await load(key);

    expect(found).toBe(format);
    expect(await server.sql(checksum, 'target')).toEqual(expected);
    expect(notes.length > 0).toBe(/^(created|cleaned)/.test(name));
  });

  it('restore: one database of pg_dumpall, by name, or the one that is named like the target', async () => {
    await server.sql('DROP DATABASE IF EXISTS target');
    await writeFile(join(files, 'all'), await dumpWith('pg_dumpall')());
    await expect(open('all')).rejects.toMatchObject({
      reason: 'FileAmbiguous',
      message: expect.stringContaining('source') as string,
    });

    const { format, notes } = await load('all', {
      databases: [{ source: 'source', target: 'target' }],
    });

    expect(format).toBe('Dumpall');
    expect(await server.sql(checksum, 'target')).toEqual(expected);
    expect(notes.join()).toMatch(/about databases left out.*about roles left out|about roles.*about databases/);
    expect(await server.sql("SELECT FROM pg_class WHERE relname = 'a table'", 'o\'ther \\ "db')).toEqual([]);
    const named = await open('all', {
      databases: [{ target: 'o\'ther \\ "db' }],
    });
    expect(named.inputs[0]?.input.database).toBe('o\'ther \\ "db');
    const globals = (await collect(named.openGlobals?.(never) ?? inPieces(Buffer.alloc(0), 1))).toString();
    expect(globals).toContain('CREATE ROLE owner;');
    expect(globals).not.toContain('a table');
    const missing = await open('all', {
      databases: [{ source: 'nothing', target: 'target' }],
    });
    const input = missing.inputs[0]?.input;
    await server.sql('DROP DATABASE target');
    await server.sql('CREATE DATABASE target');
    const options = { database: 'target', singleTransaction: true, part: input?.part ?? 'whole' } as const;
    const tools = { server: serverOf(server), serverMajor: server.major };
    const openMissing = (): Bytes => input?.open(never) ?? inPieces(Buffer.alloc(0), 1);
    await expect(loadScript(tools, openMissing, options, never)).rejects.toMatchObject({ reason: 'BackupMissing' });
  });

  it('tell the server they come from, and the database', async () => {
    await writeFile(join(files, 'head'), await dumpWith('pg_dump')('--dbname=source', '--format=custom'));
    const source = await open('head');

    expect(source.serverMajor).toBe(server.major);
    expect(source.inputs[0]?.input.database).toBe('source');
  });
});
