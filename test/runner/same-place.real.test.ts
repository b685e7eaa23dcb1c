import { mkdir, readdir, readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import { listArtifacts, parseManifest } from '../../src/domain/manifest.ts';
import type { BackupTask, TaskLocation } from '../../src/domain/task.ts';
import { changeStorage } from '../builders/change-storage.ts';
import { listBinDirs, startPostgres, type Postgres } from '../servers/postgres.ts';
import { backupTaskOf, directoryLocation, pgSecret, podUids, runWith, type RunEnd } from './run-with.ts';
import { required, startStand, type Stand } from './stand.ts';

const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);
const binDir = binDirs.at(-1) ?? '';
const key = 'shop/nightly/nightly-20260101t030000z/manifest.json';

let stand: Stand;
let server: Postgres;
beforeAll(async () => {
  stand = await startStand();
  server = await startPostgres({ binDir, dir: join(stand.folder, 'pg') });
  await server.sql('CREATE DATABASE alpha');
  await server.sql('CREATE TABLE t AS SELECT i, md5(i::text) AS m FROM generate_series(1, 5000) i', 'alpha');
});
afterAll(async () => {
  await server?.stop();
  await stand?.stop();
});

const secrets = () => ({ ...stand.secrets, ...pgSecret(server) });
const taskOf = (destinations: BackupTask['destinations']): BackupTask =>
  backupTaskOf(server, { databases: { names: ['alpha'] }, destinations });
const pathOf = ({ place }: TaskLocation): string => place.directory?.path ?? place.sftp?.path ?? '';

function outcomesOf({ verdict }: RunEnd): readonly unknown[] {
  if (verdict.kind !== 'backup') throw new Error('not a backup');
  return verdict.destinations.map(({ location, outcome, reason }) => [location, outcome, reason]);
}

/** The keys of a place are one manifest and what it names, nothing else. */
async function expectOneBackup(location: TaskLocation): Promise<void> {
  const keys = await stand.keys(location);
  const storage = await stand.open(location);
  const chunks: Uint8Array[] = [];
  for await (const chunk of storage.get(key, undefined, new AbortController().signal)) chunks.push(chunk);
  await storage.close();
  const manifest = parseManifest(key, Buffer.concat(chunks).toString());
  const named = listArtifacts(manifest).flatMap(({ volumes }) => volumes.map((volume) => volume.key));
  expect(keys.toSorted()).toEqual([...named, key].toSorted());
}

/** Two locations that are one place, in several ways. */
const ways = {
  'a bucket twice': async () => {
    const { s3 } = await stand.fresh();
    return [s3, { ...s3, name: 'again' }];
  },
  'a folder, and SFTP to it': async () => {
    const { sftp } = await stand.fresh();
    return [directoryLocation('folder', pathOf(sftp)), sftp];
  },
  'a folder under two names': async () => {
    const { directory } = await stand.fresh();
    const link = `${pathOf(directory)}-link`;
    await symlink(pathOf(directory), link);
    return [directory, directoryLocation('link', link)];
  },
} as const satisfies Record<string, () => Promise<readonly [TaskLocation, TaskLocation]>>;

describe.each(Object.entries(ways))('%s', (_, make) => {
  test('is one copy, whole, and the second of the two says so', async () => {
    const [first, second] = await make();
    const ended = await runWith(stand.folder, taskOf(required(first, second)), secrets(), [binDir]);
    expect(ended).toMatchObject({ code: 3, verdict: { verdict: 'PartlyFailed', reason: 'DestinationFailed' } });
    expect(outcomesOf(ended)).toEqual([
      [first.name, 'Stored', undefined],
      [second.name, 'Failed', 'SamePlace'],
    ]);
    await expectOneBackup(first);
  });

  test('keeps the required one of the two, wherever it stands in the policy', async () => {
    const [first, second] = await make();
    const destinations = [{ location: first, required: false }, ...required(second)];
    const ended = await runWith(stand.folder, taskOf(destinations), secrets(), [binDir]);
    expect(ended).toMatchObject({ code: 0, verdict: { verdict: 'Succeeded' } });
    expect(outcomesOf(ended)).toEqual([
      [first.name, 'Failed', 'SamePlace'],
      [second.name, 'Stored', undefined],
    ]);
    await expectOneBackup(second);
  });

  test('is not taken for two copies by a second try either', async () => {
    const [first, second] = await make();
    await runWith(stand.folder, taskOf(required(first)), secrets(), [binDir]);
    const both = taskOf(required(first, second));
    const ended = await runWith(stand.folder, both, secrets(), [], { podUid: podUids.second });
    expect(outcomesOf(ended)).toEqual([
      [first.name, 'Stored', undefined],
      [second.name, 'Failed', 'SamePlace'],
    ]);
    await expectOneBackup(first);
  });
});

test('two folders of one place are two places, and nothing of the marks stays', async () => {
  const { directory, s3 } = await stand.fresh();
  const inner = join(pathOf(directory), 'inner');
  await mkdir(inner);
  const ended = await runWith(
    stand.folder,
    taskOf(required(directory, directoryLocation('inner', inner), s3)),
    secrets(),
    [binDir],
  );
  expect(ended.verdict.verdict).toBe('Succeeded');
  expect((await readdir(inner, { recursive: true })).filter((name) => name.includes('.place-'))).toEqual([]);
  await expectOneBackup(s3);
  expect(JSON.parse(await readFile(join(pathOf(directory), key), 'utf8'))).toMatchObject({ format: 1 });
});

test('at a place where nothing is deleted no mark is left, and it is recognised all the same', async () => {
  const { directory, sftp } = await stand.fresh();
  const locked: TaskLocation = { ...sftp, appendOnly: true };
  const apart = await runWith(stand.folder, taskOf(required(directory, locked)), secrets(), [binDir]);
  expect(apart.verdict.verdict).toBe('Succeeded');
  await expectOneBackup(sftp);
  const { sftp: other } = await stand.fresh();
  const both = taskOf(required(directoryLocation('folder', pathOf(other)), { ...other, appendOnly: true }));
  expect(outcomesOf(await runWith(stand.folder, both, secrets(), [binDir]))).toEqual([
    ['folder', 'Stored', undefined],
    [other.name, 'Failed', 'SamePlace'],
  ]);
  await expectOneBackup(other);
});

test('a place that takes no mark drops out before a byte is dumped, and the other one holds the backup', async () => {
  const { directory, s3 } = await stand.fresh();
  let puts = 0;
  const ended = await runWith(stand.folder, taskOf(required(directory, s3)), secrets(), [binDir], {
    decorate: (storage, location) =>
      location !== s3.name
        ? storage
        : changeStorage(storage, {
            put: () => {
              puts += 1;
              return Promise.reject(new Failure('StorageFull', 'no room'));
            },
          }),
  });
  expect(outcomesOf(ended)).toEqual([
    [directory.name, 'Stored', undefined],
    [s3.name, 'Failed', 'StorageFull'],
  ]);
  expect(puts).toBe(1);
  await expectOneBackup(directory);
});
