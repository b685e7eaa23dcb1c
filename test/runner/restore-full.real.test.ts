import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RestoreTask, TaskLocation } from '../../src/domain/task.ts';
import { listBinDirs, startPostgres, type Postgres } from '../servers/postgres.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { describeSchema } from './nasty-database.ts';
import { asFile, listAll, restoreTaskOf } from './restore-task-of.ts';
import { checksumTables } from './restore-with-stock-tools.ts';
import { backupTaskOf, directoryLocation, pgSecret, runWith } from './run-with.ts';
import { required } from './stand.ts';

const run = promisify(execFile);
const binDir = (await listBinDirs(process.env['POSTGRES_BINDIRS']))[0] ?? '';
/** Small disks are mounts. */
const isRoot = process.getuid?.() === 0;

describe.skipIf(!isRoot)('a restore that runs out of room (mounts, so as root)', () => {
  let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;
  let server: Postgres;
  let place: TaskLocation;
  const mounts: string[] = [];

  const mountSmall = async (name: string, size: string): Promise<string> => {
    const path = join(folder.path, name);
    await mkdir(path);
    await run('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', path]);
    mounts.push(path);
    return path;
  };

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    // The server runs as another user below it.
    await chmod(folder.path, 0o755);
    server = await startPostgres({ binDir, dir: join(folder.path, 'pg') });
    const disk = await mountSmall('disk', '32m');
    const space = join(disk, 'space');
    await mkdir(space);
    const { stdout } = await run('stat', ['-c', '%u', join(folder.path, 'pg', 'cluster')]);
    await chown(space, Number(stdout), -1);
    await server.sql(`CREATE TABLESPACE small LOCATION '${space}'`);
    await server.sql('CREATE DATABASE shop TABLESPACE small');
    // With 7 MB of its own the database has about 19 MB: there is no room for two.
    await server.sql(
      `CREATE TABLE t AS SELECT i, repeat(md5(i::text), 30) AS m FROM generate_series(1, 12000) i`,
      'shop',
    );
    const directory = join(folder.path, 'place');
    await mkdir(directory);
    place = directoryLocation('place', directory);
    const task = backupTaskOf(server, { databases: { names: ['shop'] }, destinations: required(place) });
    expect((await runWith(folder.path, task, pgSecret(server), [binDir])).verdict.verdict).toBe('Succeeded');
  });
  afterAll(async () => {
    await server?.stop();
    for (const path of mounts) await run('umount', ['--lazy', path]);
    await folder?.remove();
  });

  const look = async (): Promise<unknown> => [
    await listAll(server),
    await server.sql(`SELECT oid, dattablespace FROM pg_database WHERE datname = 'shop'`),
    await describeSchema(server, 'shop'),
    await checksumTables(server, 'shop'),
  ];
  const options = { noOwner: false, noPrivileges: false, globals: false, analyze: true };
  const restore = (root: string, changes: Partial<RestoreTask> = {}) =>
    runWith(root, restoreTaskOf(server, [place], changes), pgSecret(server), [binDir]);

  test('on the scratch volume leaves the target as it was, and says what to do', async () => {
    const scratch = await mountSmall('scratch', '1m');
    const before = await look();
    const task = await asFile(restoreTaskOf(server, [place], { options: { ...options, jobs: 2 } }));
    const ended = await runWith(scratch, task, pgSecret(server), [binDir]);
    expect(ended.verdict).toMatchObject({ verdict: 'Failed', reason: 'DiskFull', target: 'Untouched' });
    expect(ended.verdict.message).toContain('no room for the archive on the scratch volume');
    expect(ended.verdict.hint).toContain('scratch.size');
    expect(await look()).toEqual(before);
    const left = await readdir(scratch, { recursive: true });
    expect(left.filter((name) => name.includes('work/restore'))).toEqual([]);
  });

  test('on the server leaves the target as it was, drops what was made, and succeeds once there is room', async () => {
    await server.sql('CREATE TABLE since (i int)', 'shop');
    const before = await look();
    const full = await restore(folder.path);
    expect(full.verdict).toMatchObject({ verdict: 'Failed', reason: 'DiskFull', target: 'Untouched' });
    expect(full.verdict.message).toMatch(/No space left on device/);
    expect(full.verdict.hint).toBe(
      'Make room on the server’s disk; a restore beside the target needs as much as the target.',
    );
    expect(await look()).toEqual(before);

    await run('mount', ['-o', 'remount,size=96m', join(folder.path, 'disk')]);
    // What our own backups need of the scratch volume is nothing, however many connections there are.
    const small = await mountSmall('small', '256k');
    const ended = await restore(small, { options: { ...options, jobs: 4 } });
    expect(ended.verdict).toMatchObject({ verdict: 'Succeeded', target: 'Restored' });
    // In the tablespace where it was.
    expect(
      await server.sql(
        `SELECT spcname FROM pg_database d JOIN pg_tablespace s ON s.oid = dattablespace WHERE datname = 'shop'`,
      ),
    ).toEqual([{ spcname: 'small' }]);
    expect(await server.sql(`SELECT to_regclass('since') AS since, count(*)::int FROM t`, 'shop')).toEqual([
      { since: null, count: 12000 },
    ]);
  });

  test('on the scratch volume succeeds once that is larger, or with one connection', async () => {
    const scratch = await mountSmall('larger', '1m');
    const file = (jobs: number) => asFile(restoreTaskOf(server, [place], { options: { ...options, jobs } }));
    const full = await runWith(scratch, await file(2), pgSecret(server), [binDir]);
    expect(full.verdict).toMatchObject({ verdict: 'Failed', reason: 'DiskFull', target: 'Untouched' });
    expect(full.verdict.hint).toBe('raise scratch.size, or restore with options.jobs: 1, which needs no disk');
    const works = async (jobs: number): Promise<void> => {
      await server.sql('TRUNCATE t', 'shop');
      const ended = await runWith(scratch, await file(jobs), pgSecret(server), [binDir]);
      expect(ended.verdict, ended.log).toMatchObject({ verdict: 'Succeeded', target: 'Restored' });
      expect(await server.sql('SELECT count(*)::int FROM t', 'shop')).toEqual([{ count: 12000 }]);
    };
    await works(1);
    await run('mount', ['-o', 'remount,size=64m', scratch]);
    await works(2);
  });
});
