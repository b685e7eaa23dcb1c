import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { printToc, type MadeEntry } from '../builders/archive-toc.ts';
import { writeTar } from '../builders/tar.ts';
import { writeZip } from '../builders/zip.ts';
import { listBinDirs, startPostgres, type Postgres } from '../servers/postgres.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { listAll, restoreTaskOf } from './restore-task-of.ts';
import { checksumTables } from './restore-with-stock-tools.ts';
import { directoryLocation, pgSecret, runWith, type RunEnd } from './run-with.ts';

const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);

/** A folder of pg_dump, or a tar of it: its table of contents and its other files. */
interface Made {
  readonly entries: readonly MadeEntry[];
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
}

const table: MadeEntry = {
  dumpId: 1,
  type: 'TABLE',
  name: 't',
  schema: 'public',
  section: 2,
  definition: 'CREATE TABLE public.t (line text);\n',
};
const rowsIn = (file: string, type = 'TABLE DATA'): MadeEntry => ({
  dumpId: 2,
  type,
  name: 't',
  schema: 'public',
  section: 3,
  hasData: true,
  copy: 'COPY public.t (line) FROM stdin;\n',
  dependencies: [1],
  file,
});
const honest = { '2.dat': 'honest\n\\.\n\n\n' };
const withRows = (file: string): Made => ({ entries: [table, rowsIn(file)], files: honest });
const withObjects = (file: string, files: Made['files'] = {}): Made => ({
  entries: [table, { ...rowsIn(file, 'BLOBS'), name: 'BLOBS', schema: '', copy: '' }],
  files: { ...honest, ...files },
});

describe.each(binDirs)('An archive that names files of others, with the programs of %s,', (binDir) => {
  let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;
  let files: string;
  /** A secret of somebody, and the way to it from anywhere. */
  let canary: string;
  let server: Postgres;
  let old: unknown;
  let databases: readonly string[];
  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    // The server runs as another user.
    await chmod(folder.path, 0o755);
    files = join(folder.path, 'files');
    await mkdir(files);
    await writeFile(join(folder.path, 'canary'), 'a canary\n');
    canary = `${'../'.repeat(20)}${join(folder.path, 'canary').slice(1)}`;
    server = await startPostgres({ binDir, dir: join(folder.path, 'pg') });
    await server.sql('CREATE DATABASE target');
    await server.sql("CREATE TABLE t (i int, m text); INSERT INTO t VALUES (0, 'old')", 'target');
    old = await checksumTables(server, 'target');
    databases = await listAll(server);
  });
  afterAll(async () => {
    await server?.stop();
    await folder?.remove();
  });

  const restore = async (name: string, content: Uint8Array, jobs = 1): Promise<RunEnd> => {
    await writeFile(join(files, name), content);
    const task = restoreTaskOf(server, [], {
      source: { file: { location: directoryLocation('files', files), key: name } },
      target: { ...restoreTaskOf(server, []).target, databases: [{ target: 'target' }] },
      options: { jobs, noOwner: false, noPrivileges: false, globals: false, analyze: false },
    });
    return runWith(folder.path, task, pgSecret(server), [binDir]);
  };
  const membersOf = (form: 'directory' | 'tar', { entries, files: others = {} }: Made) =>
    Object.entries({ 'toc.dat': printToc(form, entries), ...others }).map(([name, content]) => ({ name, content }));
  const inside = (members: ReturnType<typeof membersOf>) => members.map((one) => ({ ...one, name: `d/${one.name}` }));
  const packed: Readonly<Record<string, (made: Made) => Buffer>> = {
    'folder.tar': (made) => writeTar(inside(membersOf('directory', made))),
    'folder.zip': (made) => writeZip(inside(membersOf('directory', made))),
    'dump.tar': (made) => writeTar(membersOf('tar', made).map((one) => ({ ...one, ofDump: true }))),
  };

  const expectRefused = async (ended: RunEnd): Promise<void> => {
    expect(ended.verdict).toMatchObject({ verdict: 'Failed', reason: 'FileRefused', target: 'Untouched' });
    expect(ended.log).not.toContain('a canary');
    expect(await checksumTables(server, 'target')).toEqual(old);
    expect(await listAll(server)).toEqual(databases);
  };

  test.each(Object.keys(packed))('is restored when it names its own: %s', async (name) => {
    const ended = await restore(name, packed[name]?.(withRows('2.dat')) ?? Buffer.alloc(0));
    expect(ended.verdict).toMatchObject({ verdict: 'Succeeded' });
    expect(await server.sql('SELECT line FROM t', 'target')).toEqual([{ line: 'honest' }]);
    await server.sql('DROP DATABASE target WITH (FORCE)');
    await server.sql('CREATE DATABASE target');
    await server.sql("CREATE TABLE t (i int, m text); INSERT INTO t VALUES (0, 'old')", 'target');
  });

  test.each(Object.keys(packed))('is refused when rows are to come from elsewhere: %s', async (name) => {
    await expectRefused(await restore(name, packed[name]?.(withRows(canary)) ?? Buffer.alloc(0)));
  });

  test.each(['folder.tar', 'folder.zip'])('is refused when large objects are: %s', async (name) => {
    const list = withObjects('blobs.toc', { 'blobs.toc': `4711 ${canary}\n` });
    await expectRefused(await restore(name, packed[name]?.(list) ?? Buffer.alloc(0)));
    const rows = withObjects('5.dat', { '5.dat': `4711 ${canary}\n` });
    await expectRefused(await restore(name, packed[name]?.(rows) ?? Buffer.alloc(0), 2));
  });
});
