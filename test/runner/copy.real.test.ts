import { afterAll, beforeAll, expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import type { CopyTask, TaskLocation } from '../../src/domain/task.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { changeStorage } from '../builders/change-storage.ts';
import { textBody } from '../suites/bodies.ts';
import { copyOf } from './copy-stand.ts';
import { backupOf, type TestBackup } from './prune-stand.ts';
import { runWith } from './run-with.ts';
import { startStand, type PlaceKind, type Stand } from './stand.ts';

// What copy.test.ts says of folders, at servers; whole runs, with their verdict, exit code and log.
const go = new AbortController().signal;
let stand: Stand;
beforeAll(async () => {
  stand = await startStand();
});
afterAll(() => stand?.stop());

const one = backupOf(1);
const two = backupOf(2, { databases: ['ö/r'], isEncrypted: true, globals: true });
const keysOf = (...backups: readonly TestBackup[]): readonly string[] =>
  backups.flatMap(({ objects }) => [...objects.keys()]).toSorted();

async function lay(location: TaskLocation, ...backups: readonly TestBackup[]): Promise<void> {
  const storage = await stand.open(location);
  const objects = backups.flatMap((backup) => [...backup.objects]);
  await Promise.all(objects.map(([key, content]) => storage.put(key, textBody(content), {}, go)));
  await storage.close();
}

const run = (task: CopyTask, changes: Parameters<typeof runWith>[4] = {}) =>
  runWith(stand.folder, task, stand.secrets, [], changes);

test.each<[PlaceKind, PlaceKind]>([
  ['s3', 'sftp'],
  ['sftp', 'directory'],
  ['directory', 's3'],
])(
  'from %s to %s a copy that is stopped in the middle shows nothing of what it had begun, and the next one ends it',
  async (source, target) => {
    const places = await stand.fresh();
    const [from, to] = [places[source], places[target]];
    await lay(from, one, two);
    const task = copyOf([one, two], { from, to });
    const stop = new AbortController();
    let puts = 0;
    const decorate = (storage: Storage): Storage =>
      changeStorage(storage, {
        put: async (...given) => {
          puts += 1;
          if (puts === 5) stop.abort(new Failure('Aborted', 'SIGTERM'));
          return await storage.put(...given);
        },
      });
    const stopped = await run(task, { decorate, signal: stop.signal });
    expect(stopped).toMatchObject({ code: 75, verdict: { verdict: 'PartlyFailed', reason: 'Aborted', copied: 1 } });
    const left = await stand.keys(to);
    expect(left).toEqual(expect.arrayContaining([...one.objects.keys()]));
    expect(left).not.toContain(two.key);
    const next = await run(task);
    expect(next).toMatchObject({ code: 0, verdict: { verdict: 'Succeeded', copied: 1, present: 1, resultLines: 1 } });
    expect(await stand.keys(to)).toEqual(keysOf(one, two));
    const again = await run(task);
    expect(again).toMatchObject({ code: 0, verdict: { verdict: 'Succeeded', present: 2, bytes: 0 } });
  },
);

test('a copy that cannot reach its place says so, and one that was stopped before it began has a verdict of its kind', async () => {
  const { s3, directory } = await stand.fresh();
  await lay(directory, one);
  const missing: TaskLocation = { name: 'gone', place: { directory: { path: `${stand.folder}/nowhere` } } };
  const lost = await run(copyOf([one], { from: directory, to: missing }));
  expect(lost).toMatchObject({ code: 66, verdict: { kind: 'copy', verdict: 'Failed', reason: 'StorageMissing' } });
  const stopped = await run(copyOf([one], { from: directory, to: s3 }), {
    signal: AbortSignal.abort(new Failure('Aborted', 'SIGTERM')),
  });
  expect(stopped).toMatchObject({ code: 75, verdict: { kind: 'copy', verdict: 'Failed', reason: 'Aborted' } });
  expect(await stand.keys(s3)).toEqual([]);
});
