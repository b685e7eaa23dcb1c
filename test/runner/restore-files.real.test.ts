import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RestoreTask } from '../../src/domain/task.ts';
import { writeZip } from '../builders/zip.ts';
import { listBinDirs, startPostgres, type Postgres } from '../servers/postgres.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { call, environmentOf } from './file-stand.ts';
import { listAll, restoreTaskOf } from './restore-task-of.ts';
import { checksumTables } from './restore-with-stock-tools.ts';
import { directoryLocation, pgSecret, runWith, type RunEnd } from './run-with.ts';

const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);

describe.each(binDirs)('Files of anybody, restored with the programs of %s,', (binDir) => {
  let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;
  let files: string;
  let server: Postgres;
  let source: unknown;
  let old: unknown;
  let databases: readonly string[];
  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    // The server runs as another user.
    await chmod(folder.path, 0o755);
    files = join(folder.path, 'files');
    await mkdir(files);
    server = await startPostgres({ binDir, dir: join(folder.path, 'pg') });
    for (const name of ['source', 'target']) await server.sql(`CREATE DATABASE ${name}`);
    await server.sql(
      `CREATE TABLE t (i int PRIMARY KEY, m text);
       INSERT INTO t SELECT i, E'row \\\\! \\n\\\\.\\n\\'; ' || md5(i::text) FROM generate_series(1, 20000) i`,
      'source',
    );
    await server.sql("CREATE TABLE t (i int, m text); INSERT INTO t VALUES (0, 'old')", 'target');
    source = await checksumTables(server, 'source');
    old = await checksumTables(server, 'target');
    databases = await listAll(server);
  });
  afterAll(async () => {
    await server?.stop();
    await folder?.remove();
  });

  async function dump(name: string, ...args: readonly string[]): Promise<Buffer> {
    const path = join(folder.path, 'out');
    await call(join(binDir, name), [...args, `--file=${path}`], { env: environmentOf(server) });
    return readFile(path);
  }

  function restore(
    file: { readonly key?: string; readonly pattern?: string; readonly member?: string },
    changes: Partial<RestoreTask> = {},
  ): Promise<RunEnd> {
    const task = restoreTaskOf(server, [], {
      source: { file: { location: directoryLocation('files', files), ...file } },
      target: { ...restoreTaskOf(server, []).target, databases: [{ target: 'target' }] },
      ...changes,
    });
    return runWith(folder.path, task, pgSecret(server), [binDir]);
  }

  /** The old target again. */
  async function reset(): Promise<void> {
    await server.sql('DROP DATABASE target WITH (FORCE)');
    await server.sql('CREATE DATABASE target');
    await server.sql("CREATE TABLE t (i int, m text); INSERT INTO t VALUES (0, 'old')", 'target');
  }

  async function expectUntouched(ended: RunEnd, reason: string, message: string | RegExp): Promise<void> {
    expect(ended.verdict).toMatchObject({ verdict: 'Failed', reason, target: 'Untouched' });
    expect(ended.verdict.message).toMatch(message);
    expect(await checksumTables(server, 'target')).toEqual(old);
    expect(await listAll(server)).toEqual(databases);
  }

  test.each([
    ['Custom', 'custom', () => dump('pg_dump', '--format=custom', '--dbname=source')],
    ['Tar', 'tar', () => dump('pg_dump', '--format=tar', '--dbname=source')],
    ['Sql', 'sql.gz', async () => gzipSync(await dump('pg_dump', '--dbname=source'))],
    [
      'Sql',
      'sql.zip',
      async () =>
        writeZip([{ name: 'a.sql.zst', content: zstdCompressSync(await dump('pg_dump', '--dbname=source')) }]),
    ],
    [
      'Directory',
      'folder.tar',
      async () => {
        await call(
          join(binDir, 'pg_dump'),
          ['--format=directory', '--dbname=source', `--file=${join(folder.path, 'fd')}`],
          { env: environmentOf(server) },
        );
        await call('tar', ['--create', '--file', join(folder.path, 'fd.tar'), '--directory', folder.path, 'fd']);
        return readFile(join(folder.path, 'fd.tar'));
      },
    ],
  ] as const)('replace the target: %s as %s', async (format, key, make) => {
    await writeFile(join(files, key), await make());

    const ended = await restore({ key });

    expect(ended.verdict).toMatchObject({
      verdict: 'Succeeded',
      target: 'Restored',
      source: { location: 'files', key, format },
    });
    expect(await checksumTables(server, 'target')).toEqual(source);
    expect(await listAll(server)).toEqual(databases);
    await reset();
  });

  test('replace the target: one database of pg_dumpall, with the roles that are missing', async () => {
    await server.sql('CREATE ROLE lost NOLOGIN');
    await server.sql('CREATE TABLE of_lost (); ALTER TABLE of_lost OWNER TO lost', 'source');
    const everything = await dump('pg_dumpall');
    await server.sql('DROP TABLE of_lost', 'source');
    await server.sql('DROP ROLE lost');
    await writeFile(join(files, 'everything'), everything);
    const target = { ...restoreTaskOf(server, []).target, databases: [{ source: 'source', target: 'target' }] };

    await expectUntouched(await restore({ key: 'everything' }, { target }), 'RoleMissing', /lost/);
    const { options } = restoreTaskOf(server, []);
    const ended = await restore({ key: 'everything' }, { target, options: { ...options, globals: true } });

    expect(ended.verdict).toMatchObject({ verdict: 'Succeeded', target: 'Restored', source: { format: 'Dumpall' } });
    expect(ended.results).toContainEqual(expect.objectContaining({ kind: 'roles', names: ['lost'] }));
    expect(await checksumTables(server, 'target')).toEqual(
      expect.objectContaining({ ...(source as Record<string, unknown>) }),
    );
    await reset();
    await server.sql('DROP ROLE lost');
  });

  test('keep every row where a script is written by hand: empty statements, rows at its very end', async () => {
    await writeFile(
      join(files, 'hand.sql'),
      'CREATE TABLE t (i int);\n;;\nCOPY t FROM stdin;\n1\n2\n\\.\n;\nINSERT INTO t VALUES (3);\nCOPY t FROM stdin;\n4\n5\n\\.',
    );

    const ended = await restore({ key: 'hand.sql' });

    expect(ended.verdict).toMatchObject({ verdict: 'Succeeded', target: 'Restored' });
    expect(await server.sql('SELECT i FROM t ORDER BY i', 'target')).toEqual([1, 2, 3, 4, 5].map((i) => ({ i })));
    await reset();
  });

  test('change nothing when an SQL error stands in the middle, beside the target or in it', async () => {
    await writeFile(
      join(files, 'error.sql'),
      'CREATE TABLE a (i int);\nINSERT INTO a VALUES (1);\nINSERT INTO nothing VALUES (1);\nCREATE TABLE b ();\n',
    );

    await expectUntouched(await restore({ key: 'error.sql' }), 'RestoreFailed', /nothing/);
    await expectUntouched(await restore({ key: 'error.sql' }, { mode: 'InPlace' }), 'RestoreFailed', /nothing/);
  });

  test('change nothing when they hold a command of psql, wherever it stands; rows that look like one are rows', async () => {
    const commands = [
      '\\! touch /tmp/x',
      "\\copy t from program 'id'",
      'SELECT 1 \\g |id',
      'SELECT 1; \\i /etc/passwd',
    ];
    for (const [index, command] of commands.entries()) {
      await writeFile(join(files, 'command.sql'), `CREATE TABLE a (i int);\n${command}\nSELECT 1;\n`);

      await expectUntouched(await restore({ key: 'command.sql' }), 'SqlRefused', /line 2/);
      expect(index).toBeLessThan(commands.length);
    }
    await writeFile(join(files, 'rows.sql'), 'CREATE TABLE t (m text);\nCOPY t FROM stdin;\n\\\\! id\n\\\\copy\n\\.\n');
    const ended = await restore({ key: 'rows.sql' });
    expect(ended.verdict).toMatchObject({ verdict: 'Succeeded' });
    expect(await server.sql('SELECT m FROM t ORDER BY m', 'target')).toEqual(
      [{ m: '\\!\tid' }, { m: '\\copy' }].map(({ m }) => ({ m: m.replace('\t', ' ') })),
    );
    await reset();
  });

  test('change nothing when they are cut short, in every format', async () => {
    const formats = {
      custom: await dump('pg_dump', '--format=custom', '--compress=0', '--dbname=source'),
      tar: await dump('pg_dump', '--format=tar', '--dbname=source'),
      sql: await dump('pg_dump', '--dbname=source'),
      'sql.gz': gzipSync(await dump('pg_dump', '--dbname=source')),
      'sql.zip': writeZip([{ name: 'a.sql', content: await dump('pg_dump', '--dbname=source') }]),
    };
    for (const [name, whole] of Object.entries(formats)) {
      for (const share of [0.5, 0.98]) {
        await writeFile(join(files, `cut-${name}`), whole.subarray(0, Math.floor(whole.length * share)));

        await expectUntouched(await restore({ key: `cut-${name}` }), 'FileDamaged', /./);
      }
    }
  });

  test('are chosen by the newest time among those that match, and say what there is when none does', async () => {
    const name = async (key: string, row: number): Promise<void> =>
      writeFile(join(files, key), `CREATE TABLE t (i int); INSERT INTO t VALUES (${row});\n`);
    await name('nightly-2.sql', 2);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await name('nightly-1.sql', 1);

    const ended = await restore({ pattern: 'nightly-*.sql' });

    expect(ended.verdict).toMatchObject({ verdict: 'Succeeded', source: { key: 'nightly-1.sql', format: 'Sql' } });
    expect(await server.sql('SELECT i FROM t', 'target')).toEqual([{ i: 1 }]);
    await reset();
    await expectUntouched(
      await restore({ pattern: 'weekly-*' }, { waitForServerSeconds: 0 }),
      'FileMissing',
      /nightly-1\.sql/,
    );
  });
});
