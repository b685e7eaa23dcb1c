import {
  CreateBucketCommand,
  PutObjectLegalHoldCommand,
  PutObjectRetentionCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import type { PruneTask, TaskLocation } from '../../src/domain/task.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { changeStorage } from '../builders/change-storage.ts';
import { textBody } from '../suites/bodies.ts';
import { backupOf, deletionOf, retentionOf, type TestBackup } from './prune-stand.ts';
import { runWith, s3Location } from './run-with.ts';
import { placeKinds, startStand, type Stand } from './stand.ts';

// What prune*.test.ts says of a folder, at servers; whole runs, with their verdict, exit code and log.
const go = new AbortController().signal;
let stand: Stand;
beforeAll(async () => {
  stand = await startStand();
});
afterAll(() => stand?.stop());

const [one, two, three, newest] = [
  backupOf(1),
  backupOf(2, { databases: ['orders', 'ö/r'], isEncrypted: true, globals: true }),
  backupOf(3),
  backupOf(4, { databases: ['orders', 'ö/r'], isEncrypted: true, globals: true }),
];
const foreign = ['shop/nightly/nightly-01/README', 'shop/nightly/film.mkv', 'other/nightly/nightly-01/manifest.json'];

async function lay(location: TaskLocation, ...backups: readonly TestBackup[]): Promise<void> {
  const storage = await stand.open(location);
  const objects = new Map(backups.flatMap((each) => [...each.objects]));
  for (const key of foreign) objects.set(key, 'foreign');
  await Promise.all([...objects].map(([key, content]) => storage.put(key, textBody(content), {}, go)));
  await storage.close();
}

const keysOf = (...backups: readonly TestBackup[]): readonly string[] =>
  [...foreign, ...backups.flatMap(({ objects }) => [...objects.keys()])].toSorted();

async function run(location: TaskLocation, task: PruneTask, changes: Parameters<typeof runWith>[4] = {}) {
  const ended = await runWith(stand.folder, { ...task, location }, stand.secrets, [], changes);
  const backups = ended.results.flatMap((line) => (line.kind === 'pruned' ? line.backups : []));
  return { ...ended, backups };
}

describe.each(placeKinds)('At a place of kind %s', (kind) => {
  test('a prune removes what it is told to and nothing else, and the same task again finds nothing left to do', async () => {
    const place = (await stand.fresh())[kind];
    await lay(place, one, two, three, newest);
    const task = retentionOf([one, two], [newest]);
    const first = await run(place, task);
    expect(first).toMatchObject({ code: 0, verdict: { verdict: 'Succeeded', removed: 2, resultLines: 1 } });
    expect(first.backups.map(({ outcome }) => outcome)).toEqual(['Removed', 'Removed']);
    expect(await stand.keys(place)).toEqual(keysOf(three, newest));
    const again = await run(place, task);
    expect(again).toMatchObject({ code: 0, verdict: { verdict: 'Succeeded', removed: 2, freedBytes: 0 } });
    expect(again.backups.map(({ outcome }) => outcome)).toEqual(['Gone', 'Gone']);
    expect(await stand.keys(place)).toEqual(keysOf(three, newest));
  });

  test('retention that knew too little is refused, and the location stays as it was', async () => {
    const place = (await stand.fresh())[kind];
    await lay(place, one, three, newest);
    const { code, verdict, backups } = await run(place, retentionOf([one], [three]));
    expect({ code, verdict }).toMatchObject({ code: 65, verdict: { verdict: 'Failed', reason: 'NewerBackupThere' } });
    expect(backups).toEqual([]);
    expect(await stand.keys(place)).toEqual(keysOf(one, three, newest));
  });

  test('one that is asked to stop, and one whose place dies, leave each backup whole or gone; the next one ends all the same', async () => {
    for (const fault of ['stops', 'dies'] as const) {
      const place = (await stand.fresh())[kind];
      await lay(place, one, two, three, newest);
      const task = deletionOf([one, two, three]);
      const stop = new AbortController();
      let deletes = 0;
      const decorate = (storage: Storage): Storage =>
        changeStorage(storage, {
          delete: async (key, signal) => {
            deletes += 1;
            if (fault === 'stops' && deletes === 4) stop.abort(new Failure('Aborted', 'SIGTERM'));
            if (fault === 'dies' && deletes > 4) throw new Failure('StorageUnreachable', 'it is gone');
            await storage.delete(key, signal);
          },
        });
      const first = await run(place, task, { decorate, signal: stop.signal });
      if (fault === 'dies') expect(first).toMatchObject({ code: 75, verdict: { verdict: 'PartlyFailed' } });
      const left = await stand.keys(place);
      for (const backup of [one, two, three]) {
        if (left.includes(backup.key)) expect(left).toEqual(expect.arrayContaining([...backup.objects.keys()]));
      }
      expect((await run(place, task)).verdict).toMatchObject({ verdict: 'Succeeded', removed: 3, failed: 0 });
      expect(await stand.keys(place)).toEqual(keysOf(newest));
    }
  });
});

test('one that is stopped before it began has a verdict of its kind, and so has a task that cannot be read', async () => {
  const { directory } = await stand.fresh();
  await lay(directory, one, newest);
  const task = retentionOf([one], [newest]);
  const stopped = await run(directory, task, { signal: AbortSignal.abort(new Failure('Aborted', 'SIGTERM')) });
  expect(stopped).toMatchObject({
    code: 75,
    verdict: { kind: 'prune', verdict: 'Failed', reason: 'Aborted', removed: 0 },
  });
  const refused = await run(directory, { ...task, remove: [] });
  expect(refused).toMatchObject({ code: 64, verdict: { kind: 'prune', verdict: 'Failed', reason: 'TaskInvalid' } });
  expect(await stand.keys(directory)).toEqual(keysOf(one, newest));
});

test('what an object lock or a legal hold keeps is deferred, and no failure; it goes when the hold has ended', async ({
  skip,
}) => {
  skip(stand.s3.kind !== 'versitygw', 'VERSITYGW is not set: a server that knows object locks is needed');
  const { endpoint, accessKeyId, secretAccessKey } = stand.s3;
  const credentials = { accessKeyId, secretAccessKey };
  const client = new S3Client({ endpoint, credentials, forcePathStyle: true, region: 'us-east-1' });
  const where = { Bucket: 'locked' };
  await client.send(new CreateBucketCommand({ ...where, ObjectLockEnabledForBucket: true }));
  const place = s3Location('cloud', stand.s3, 'locked');
  await lay(place, one, two, three, newest);
  const hold = (status: 'ON' | 'OFF') =>
    client.send(
      new PutObjectLegalHoldCommand({ ...where, Key: `some/prefix/${one.key}`, LegalHold: { Status: status } }),
    );
  await hold('ON');
  const Retention = { Mode: 'GOVERNANCE', RetainUntilDate: new Date(Date.now() + 3_600_000) } as const;
  await client.send(new PutObjectRetentionCommand({ ...where, Key: `some/prefix/${two.key}`, Retention }));
  const task = retentionOf([one, two, three], [newest]);
  const first = await run(place, task);
  expect(first).toMatchObject({ code: 0, verdict: { verdict: 'Succeeded', removed: 1, deferred: 2, failed: 0 } });
  expect(first.backups).toMatchObject([
    { outcome: 'Deferred', reason: 'DeletionHeld' },
    { outcome: 'Deferred', reason: 'DeletionHeld' },
    { outcome: 'Removed' },
  ]);
  expect(await stand.keys(place)).toEqual(keysOf(one, two, newest));
  await hold('OFF');
  expect((await run(place, task)).verdict).toMatchObject({ verdict: 'Succeeded', removed: 2, deferred: 1 });
  expect(await stand.keys(place)).toEqual(keysOf(two, newest));
  client.destroy();
});
