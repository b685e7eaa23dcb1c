import { rm } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import { shortHash } from '../../src/domain/attempt.ts';
import { parseTask } from '../../src/domain/parse-task.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { redactor } from '../../src/support/redaction.ts';
import { changeStorage } from '../builders/change-storage.ts';
import {
  backupOf,
  deletionOf,
  named,
  pruneAt,
  retentionOf,
  startPruneStand,
  type PruneStand,
  type TestBackup,
} from './prune-stand.ts';

let stand: PruneStand;
beforeEach(async () => {
  stand = await startPruneStand();
});
afterEach(() => stand.stop());

const keysOf = (...backups: readonly TestBackup[]): readonly string[] =>
  backups.flatMap(({ objects }) => [...objects.keys()]).toSorted();
const bytesOf = ({ objects }: TestBackup): number =>
  [...objects.values()].reduce((sum, content) => sum + Buffer.byteLength(content), 0);
const ownAttempt = (id: string, digits: string): string => shortHash(`uid-of-${id}`).slice(-3) + digits;

describe('What a prune removes', () => {
  test('are the backups it is told to, whole, and the key of encrypted ones; all others stay as they were', async () => {
    const [one, two, three, four] = [
      backupOf(1),
      backupOf(2, { databases: ['orders', 'users'], globals: true, isEncrypted: true }),
      backupOf(3),
      backupOf(4, { databases: ['orders', 'users'], globals: true }),
    ];
    await stand.lay(one, two, three, four);
    const { verdict, backups } = await pruneAt(stand.place, retentionOf([one, two], [four]));
    expect(await stand.left()).toEqual(keysOf(three, four));
    expect(verdict).toMatchObject({
      verdict: 'Succeeded',
      removed: 2,
      freedBytes: bytesOf(one) + bytesOf(two),
      deferred: 0,
      refused: 0,
      failed: 0,
      resultLines: 1,
    });
    expect(verdict.reason).toBeUndefined();
    expect(backups).toEqual([
      { id: 'nightly-01', uid: 'uid-of-nightly-01', outcome: 'Removed', bytes: bytesOf(one) },
      { id: 'nightly-02', uid: 'uid-of-nightly-02', outcome: 'Removed', bytes: bytesOf(two) },
    ]);
  });

  test('is no foreign object, no try that may live, and nothing of others', async () => {
    const [old, newest] = [backupOf(1), backupOf(2)];
    await stand.lay(old, newest);
    const [before, after] = [old.storedMs - 60_000, old.storedMs + 60_000];
    const { id } = old.manifest.backup;
    const folder = `shop/nightly/${id}`;
    const stays = [
      await stand.put(`${folder}/README`, 'foreign', before),
      await stand.put(`${folder}/${old.manifest.attempt}/notes.txt`, 'foreign', before),
      await stand.put(`${folder}/manifest.json.bak`, 'foreign', before),
      // Younger than the manifest; in part younger; of another Backup of that name; nobody knows when.
      await stand.put(`${folder}/${ownAttempt(id, '11111')}/orders.dump`, 'x', after),
      await stand.put(`${folder}/${ownAttempt(id, '22222')}/orders.dump`, 'x', before),
      await stand.put(`${folder}/${ownAttempt(id, '22222')}/orders.dump.0002`, 'x', after),
      await stand.put(`${folder}/${ownAttempt('other', '33333')}/orders.dump`, 'x', before),
      await stand.put(`${folder}/${ownAttempt(id, '44444')}/orders.dump`, 'x', 0),
      // Beside it.
      await stand.put(`${folder}-more/${old.manifest.attempt}/orders.dump`, 'x', before),
      await stand.put(`shop/nightly-more/${id}/${old.manifest.attempt}/orders.dump`, 'x', before),
      await stand.put(`other/nightly/${id}/${old.manifest.attempt}/orders.dump`, 'x', before),
      await stand.put(`other/nightly/${id}/manifest.json`, 'x', before),
      await stand.put(`nightly/${id}/manifest.json`, 'x', before),
      await stand.put('film.mkv', 'x', before),
    ];
    // Remains of an earlier try of this Backup; a volume of its own that it does not name.
    await stand.put(`${folder}/${ownAttempt(id, '55555')}/orders.dump`, 'remains', before);
    await stand.put(`${folder}/${ownAttempt(id, '55555')}/.place-near`, '', before);
    await stand.put(`${folder}/${old.manifest.attempt}/broken.dump`, 'remains', before);
    const { verdict } = await pruneAt(stand.place, retentionOf([old], [newest]));
    expect(verdict).toMatchObject({ verdict: 'Succeeded', removed: 1, freedBytes: bytesOf(old) + 14 });
    expect(await stand.left()).toEqual([...stays, ...keysOf(newest)].toSorted());
  });

  test('is the last copy, too, when its deletion was asked for', async () => {
    const only = backupOf(1);
    await stand.lay(only);
    const { verdict } = await pruneAt(stand.place, deletionOf([only]));
    expect(verdict).toMatchObject({ verdict: 'Succeeded', removed: 1 });
    expect(await stand.left()).toEqual([]);
  });

  test('is what an earlier prune left of a try, where no manifest stands any more; without its try nothing is', async () => {
    const [one, two, newest] = [backupOf(1), backupOf(2), backupOf(3)];
    await stand.lay(one, two, newest);
    for (const { key } of [one, two]) await rm(`${stand.folder}/${key}`);
    const other = await stand.put('shop/nightly/nightly-01/99999999/orders.dump', 'x', one.storedMs);
    const task = retentionOf([one, two, backupOf(9)], [newest]);
    const { attempt: _attempt, ...unknown } = named(two);
    const { verdict, backups } = await pruneAt(stand.place, {
      ...task,
      remove: [named(one), unknown, named(backupOf(9))],
    });
    expect(verdict).toMatchObject({ verdict: 'Succeeded', removed: 3 });
    expect(backups.map(({ outcome }) => outcome)).toEqual(['Gone', 'Gone', 'Gone']);
    expect(await stand.left()).toEqual([other, ...keysOf(two).filter((key) => key !== two.key), ...keysOf(newest)]);
  });

  test('can be more backups than one line tells of', async () => {
    const all = Array.from({ length: 60 }, (_, day) => backupOf(day));
    const newest = backupOf(60);
    await stand.lay(...all, newest);
    const { verdict, backups } = await pruneAt(stand.place, retentionOf(all, [newest]));
    expect(verdict).toMatchObject({ verdict: 'Succeeded', removed: 60, resultLines: 3 });
    expect(backups.map(({ id }) => id)).toEqual(all.map(({ manifest }) => manifest.backup.id));
    expect(await stand.left()).toEqual(keysOf(newest));
  });
});

describe('A task', () => {
  const task = retentionOf([backupOf(1)], [backupOf(2)]);
  const [removal] = task.remove;
  test.each<[string, object]>([
    ['an id with a slash', { remove: [{ ...removal, id: 'nightly/01' }] }],
    ['an id that leads elsewhere', { remove: [{ ...removal, id: '..' }] }],
    ['an empty id', { remove: [{ ...removal, id: '' }] }],
    ['a try that is none', { remove: [{ ...removal, attempt: '../12345' }] }],
    ['a policy that is a path', { policy: { name: 'a/b', uid: 'u' } }],
    ['an empty namespace', { namespace: '' }],
    ['nothing to remove', { remove: [] }],
    ['a backup twice', { remove: [removal, { ...removal, uid: 'another' }] }],
    ['too many', { remove: Array.from({ length: 501 }, (_, index) => ({ id: `n-${index}`, uid: 'u' })) }],
    ['a word that is not known', { dryRun: true }],
  ])('with %s is refused', (_, change) => {
    expect(parseTask(JSON.stringify(task))).toEqual(task);
    expect(() => parseTask(JSON.stringify({ ...task, ...change }))).toThrow(
      expect.objectContaining({ reason: 'TaskInvalid' }),
    );
  });

  test.each<[string, Parameters<typeof retentionOf>[2], string]>([
    ['at a place that is AppendOnly', { accessMode: 'AppendOnly' }, 'DeletionNotAllowed'],
    ['at a place that is ReadOnly', { accessMode: 'ReadOnly' }, 'DeletionNotAllowed'],
    [
      'at a place of a policy that only appends',
      { location: { name: 'place', place: {}, appendOnly: true } },
      'DeletionNotAllowed',
    ],
    ['that removes what is to stay', { floor: [{ id: 'nightly-01', uid: 'uid-of-nightly-01' }] }, 'TaskInvalid'],
  ])('%s touches nothing, and does not even open the place', async (_, change, reason) => {
    const opened: string[] = [];
    const { verdict, backups } = await pruneAt(
      stand.place,
      { ...task, ...change },
      {
        openLocation: async ({ name }) => {
          opened.push(name);
          return stand.place;
        },
      },
    );
    expect(verdict).toMatchObject({ verdict: 'Failed', reason, removed: 0, resultLines: 0 });
    expect(verdict.hint).not.toBe('');
    expect(backups).toEqual([]);
    expect(opened).toEqual([]);
  });

  test('of retention without a newest backup is refused', async () => {
    const { newest: _newest, ...without } = task;
    expect((await pruneAt(stand.place, without)).verdict).toMatchObject({ verdict: 'Failed', reason: 'TaskInvalid' });
  });
});

describe('A place', () => {
  test('that is gone is given up after three backups in a row, and what was not looked at has no line', async () => {
    const all = Array.from({ length: 20 }, (_, day) => backupOf(day));
    const newest = backupOf(20);
    await stand.lay(...all, newest);
    let deletes = 0;
    const dying = changeStorage(stand.place, {
      delete: async (key, signal) => {
        deletes += 1;
        if (deletes > 9) throw new Failure('StorageUnreachable', 'nothing answers any more');
        await stand.place.delete(key, signal);
      },
    });
    const { verdict, backups } = await pruneAt(dying, retentionOf(all, [newest]));
    expect(verdict).toMatchObject({ verdict: 'PartlyFailed', reason: 'StorageUnreachable' });
    expect(verdict.message).toContain(`${backups.length} of 20 backups were looked at`);
    expect(backups.length).toBeLessThanOrEqual(12);
    expect(backups.length).toBe(verdict.removed + verdict.failed);
    expect(await stand.broken()).toEqual([]);
  });

  test('that refuses one volume keeps only that, and it is told; the backup is gone', async () => {
    const [old, newest] = [backupOf(1), backupOf(2)];
    await stand.lay(old, newest);
    const [stays = ''] = [...old.objects.keys()];
    const refusing = changeStorage(stand.place, {
      delete: async (key, signal) => {
        if (key === stays) throw new Failure('StorageDenied', `${key}: no, says s3cr3t`);
        await stand.place.delete(key, signal);
      },
    });
    const redact = redactor();
    redact.add('s3cr3t');
    const { verdict, backups } = await pruneAt(refusing, retentionOf([old], [newest]), { redactor: redact });
    expect(verdict).toMatchObject({ verdict: 'Succeeded', removed: 1, failed: 0 });
    expect(verdict.message).toContain('1 volumes are left');
    expect(backups).toMatchObject([{ outcome: 'Removed', reason: 'StorageDenied' }]);
    expect(backups[0]?.detail).toContain('1 volumes are left');
    expect(backups[0]?.detail).not.toContain('s3cr3t');
    expect(await stand.left()).toEqual([stays, ...keysOf(newest)]);
  });

  test('that refuses the manifest of one backup keeps that whole, and the others go', async () => {
    const [one, two, newest] = [backupOf(1), backupOf(2), backupOf(3)];
    await stand.lay(one, two, newest);
    const refusing = changeStorage(stand.place, {
      delete: async (key, signal) => {
        if (key === one.key) throw new Failure('StorageDenied', `${key}: no`);
        await stand.place.delete(key, signal);
      },
    });
    const { verdict, backups } = await pruneAt(refusing, retentionOf([one, two], [newest]));
    expect(verdict).toMatchObject({ verdict: 'PartlyFailed', reason: 'StorageDenied', removed: 1, failed: 1 });
    expect(verdict.message).toContain('1 of 2 backups were not removed whole (nightly-01: ');
    expect(backups.map(({ outcome }) => outcome)).toEqual(['Failed', 'Removed']);
    expect(await stand.left()).toEqual(keysOf(one, newest));
  });

  test.each<[string, (old: TestBackup) => Partial<Storage>]>([
    ['says that a manifest is deleted and has it still', ({ key }) => ({ delete: unless(key) })],
    [
      'shows a deleted manifest when it is asked for it',
      ({ key, storedMs }) => ({
        stat: async (asked, signal) =>
          asked === key ? { key, bytes: 1, modifiedAtMs: storedMs } : await stand.place.stat(asked, signal),
      }),
    ],
    [
      'lists a deleted manifest',
      ({ key }) => ({
        async *list(prefix, ...rest) {
          yield* stand.place.list(prefix, ...rest);
          if (prefix === key) yield { key, bytes: 1, modifiedAtMs: 0 };
        },
      }),
    ],
  ])('that %s keeps the volumes, also when it says that there is none to be read', async (_, fault) => {
    const [old, newest] = [backupOf(1), backupOf(2)];
    await stand.lay(old, newest);
    const task = retentionOf([old], [newest]);
    const volumes = keysOf(old).filter((key) => key !== old.key);
    const lying = changeStorage(stand.place, fault(old));
    const first = await pruneAt(lying, task);
    expect(first.verdict).toMatchObject({ verdict: 'Failed', reason: 'StorageFailed', failed: 1 });
    expect(await stand.left()).toEqual(expect.arrayContaining(volumes));
    const blind = changeStorage(lying, {
      get: (key, ...rest) => (key === old.key ? missing() : stand.place.get(key, ...rest)),
    });
    const second = await pruneAt(blind, task);
    expect(second.verdict).toMatchObject({ verdict: 'Failed', reason: 'StorageFailed', failed: 1 });
    expect(await stand.left()).toEqual(expect.arrayContaining(volumes));
  });

  test('that cannot be listed once the manifest is gone loses the volumes that it named all the same', async () => {
    const [old, newest] = [backupOf(1), backupOf(2)];
    await stand.lay(old, newest);
    const own = `shop/nightly/nightly-01/${old.manifest.attempt}/`;
    const unnamed = await stand.put(`${own}broken.dump`, 'remains', old.storedMs);
    const task = retentionOf([old], [newest]);
    const failing = changeStorage(stand.place, {
      async *list(prefix, ...rest) {
        if (prefix === own) throw new Failure('StorageFailed', 'no page comes');
        yield* stand.place.list(prefix, ...rest);
      },
    });
    const first = await pruneAt(failing, task);
    expect(first.verdict).toMatchObject({ verdict: 'PartlyFailed', reason: 'StorageFailed', removed: 1, failed: 0 });
    expect(first.verdict.freedBytes).toBe(bytesOf(old));
    expect(first.backups).toMatchObject([{ outcome: 'Removed', reason: 'StorageFailed' }]);
    expect(await stand.left()).toEqual([unnamed, ...keysOf(newest)]);
    // Another try of the Job ends it.
    expect((await pruneAt(stand.place, task)).verdict).toMatchObject({ verdict: 'Succeeded', freedBytes: 7 });
    expect(await stand.left()).toEqual(keysOf(newest));
  });
});

function unless(kept: string): Storage['delete'] {
  return async (key, signal) => {
    if (key !== kept) await stand.place.delete(key, signal);
  };
}

// oxlint-disable-next-line require-yield -- an object that only fails
async function* missing(): AsyncGenerator<Uint8Array> {
  throw new Failure('ObjectMissing', 'not there');
}

test('a prune that is asked to stop ends the backups at work, begins no other, and says how far it came', async () => {
  const all = Array.from({ length: 20 }, (_, day) => backupOf(day));
  const newest = backupOf(20);
  await stand.lay(...all, newest);
  const stop = new AbortController();
  let manifests = 0;
  const storage = changeStorage(stand.place, {
    delete: async (key, signal) => {
      await stand.place.delete(key, signal);
      if (key.endsWith('manifest.json')) manifests += 1;
      if (manifests === 5) stop.abort(new Failure('Aborted', 'SIGTERM'));
    },
  });
  const { verdict, backups } = await pruneAt(storage, retentionOf(all, [newest]), { signal: stop.signal });
  expect(verdict).toMatchObject({ verdict: 'PartlyFailed', reason: 'Aborted', removed: 8, failed: 0 });
  expect(verdict.message).toContain('8 of 20 backups were looked at');
  expect(backups.every(({ outcome }) => outcome === 'Removed')).toBe(true);
  expect(await stand.left()).toEqual(keysOf(...all.slice(8), newest));
});
