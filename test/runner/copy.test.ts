import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import { parseTask } from '../../src/domain/parse-task.ts';
import { printManifest } from '../../src/domain/manifest.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { systemClock } from '../../src/support/clock.ts';
import { changeStorage } from '../builders/change-storage.ts';
import { textBody } from '../suites/bodies.ts';
import { contentOf, copyBetween, copyOf } from './copy-stand.ts';
import { backupOf, startPruneStand, type PruneStand, type TestBackup } from './prune-stand.ts';

const go = new AbortController().signal;
let from: PruneStand;
let to: PruneStand;
beforeEach(async () => {
  from = await startPruneStand();
  to = await startPruneStand();
});
afterEach(async () => {
  await from.stop();
  await to.stop();
});

const one = backupOf(1);
const two = backupOf(2, { databases: ['orders', 'ö/r'], globals: true, isEncrypted: true });
const three = backupOf(3);

const objectsOf = (...backups: readonly TestBackup[]): ReadonlyMap<string, string> =>
  new Map(backups.flatMap(({ objects }) => [...objects]).toSorted(([a], [b]) => (a < b ? -1 : 1)));
const bytesOf = (...backups: readonly TestBackup[]): number =>
  [...objectsOf(...backups).values()].reduce((sum, content) => sum + Buffer.byteLength(content), 0);
const volumeOf = ({ objects }: TestBackup, index: number): string => [...objects.keys()][index] ?? '';
const run = (task = copyOf([one, two]), places: { from?: Storage; to?: Storage } = {}) =>
  copyBetween(places.from ?? from.place, places.to ?? to.place, task);

describe('A copy', () => {
  test('is byte for byte what it was made from, and the next one finds it present', async () => {
    await from.lay(one, two, three);
    const first = await run();
    expect(first.verdict).toMatchObject({ verdict: 'Succeeded', copied: 2, present: 0, bytes: bytesOf(one, two) });
    expect(first.backups).toEqual([
      { id: 'nightly-01', uid: 'uid-of-nightly-01', outcome: 'Copied', bytes: bytesOf(one) },
      { id: 'nightly-02', uid: 'uid-of-nightly-02', outcome: 'Copied', bytes: bytesOf(two) },
    ]);
    expect(await contentOf(to)).toEqual(objectsOf(one, two));
    const again = await run();
    expect(again.verdict).toMatchObject({ verdict: 'Succeeded', copied: 0, present: 2, bytes: 0 });
    expect(await contentOf(from)).toEqual(objectsOf(one, two, three));
  });

  test('heals one that stands there and has lost volumes, or has others; recipients that were changed there stay', async () => {
    await from.lay(two);
    await to.lay(two);
    await rm(join(to.folder, volumeOf(two, 0)));
    await to.put(volumeOf(two, 1), 'short', two.storedMs);
    const key = [...two.objects.keys()].find((each) => each.endsWith('key.enc')) ?? '';
    await to.put(key, 'for others', two.storedMs);
    const { verdict, backups } = await run(copyOf([two]));
    expect(verdict).toMatchObject({ verdict: 'Succeeded', copied: 1 });
    expect(backups[0]?.bytes).toBe(
      Buffer.byteLength(`${two.objects.get(volumeOf(two, 0))}${two.objects.get(volumeOf(two, 1))}`),
    );
    expect(await contentOf(to)).toEqual(new Map([...objectsOf(two), [key, 'for others']]));
  });

  test('sends no volume again that an earlier try left there whole, and puts right what is not', async () => {
    await from.lay(one);
    await to.put(volumeOf(one, 0), one.objects.get(volumeOf(one, 0)) ?? '', one.storedMs);
    await to.put(volumeOf(one, 1), 'x'.repeat(one.objects.get(volumeOf(one, 1))?.length ?? 0), one.storedMs);
    const put: string[] = [];
    const counting = changeStorage(to.place, {
      put: (key, ...rest) => {
        put.push(key);
        return to.place.put(key, ...rest);
      },
    });
    expect((await run(copyOf([one]), { to: counting })).verdict).toMatchObject({ verdict: 'Succeeded', copied: 1 });
    expect(put).toEqual([volumeOf(one, 1), one.key]);
    expect(await contentOf(to)).toEqual(objectsOf(one));
  });

  test('is as slow as it is asked to be', async () => {
    await from.lay(one);
    let slept = 0;
    const clock = {
      ...systemClock,
      monotonicMs: () => 0,
      sleep: async (ms: number, signal: AbortSignal) => {
        // Limits and stalls sleep, too, for whole seconds.
        if (ms >= 1000) return await systemClock.sleep(ms, signal);
        slept += ms;
      },
    };
    const volumes = bytesOf(one) - Buffer.byteLength(one.objects.get(one.key) ?? '');
    await copyBetween(from.place, to.place, copyOf([one], { bytesPerSecond: 65_536 }), { clock });
    expect(slept).toBeGreaterThanOrEqual((volumes / 65_536) * 1000 * 0.99);
    expect(await contentOf(to)).toEqual(objectsOf(one));
  });
});

describe('Of a source that is not whole nothing is to be seen, and the others are copied:', () => {
  const damages: readonly (readonly [string, () => Promise<unknown>, string])[] = [
    ['a volume is missing', () => rm(join(from.folder, volumeOf(two, 1))), 'BackupDamaged'],
    ['a volume is short', () => from.put(volumeOf(two, 1), 'short', 1000), 'BackupDamaged'],
    ['a volume is long', () => from.put(volumeOf(two, 1), 'x'.repeat(1000), 1000), 'BackupDamaged'],
    [
      'a byte of a volume is another',
      () => from.put(volumeOf(two, 2), `X${(two.objects.get(volumeOf(two, 2)) ?? '').slice(1)}`, 1000),
      'BackupDamaged',
    ],
    [
      'the key is missing',
      () => rm(join(from.folder, [...two.objects.keys()].find((key) => key.endsWith('key.enc')) ?? '')),
      'BackupDamaged',
    ],
    ['the manifest is missing', () => rm(join(from.folder, two.key)), 'ObjectMissing'],
    ['the manifest is no JSON', () => from.put(two.key, 'x', 1000), 'ManifestInvalid'],
    [
      'the manifest is of another backup',
      () => from.put(two.key, printManifest(three.manifest), 1000),
      'ManifestInvalid',
    ],
    [
      'the manifest has another uid',
      () =>
        from.put(two.key, printManifest({ ...two.manifest, backup: { ...two.manifest.backup, uid: 'another' } }), 1000),
      'OtherBackupThere',
    ],
    [
      'the manifest has other bytes',
      () => from.put(two.key, `${printManifest(two.manifest)} `, 1000),
      'OtherBackupThere',
    ],
  ];
  test.each(damages)('%s', async (_, damage, reason) => {
    await from.lay(one, two);
    await damage();
    const before = await contentOf(from);
    const { verdict, backups } = await run(copyOf([two, one]));
    expect(verdict).toMatchObject({ verdict: 'PartlyFailed', reason, sourceDamaged: 1, copied: 1, failed: 0 });
    expect(backups.map(({ outcome }) => outcome)).toEqual(['SourceDamaged', 'Copied']);
    expect(await contentOf(to)).toEqual(objectsOf(one));
    expect(await contentOf(from)).toEqual(before);
  });

  test('the manifest has another uid, of which nobody knows the bytes', async () => {
    await from.lay(two);
    const task = copyOf([two]);
    const backups = task.backups.map(({ id }) => ({ id, uid: 'another' }));
    const ended = await run({ ...task, backups });
    expect(ended.backups).toMatchObject([{ outcome: 'SourceDamaged', reason: 'OtherBackupThere' }]);
    expect(await to.left()).toEqual([]);
  });

  test('its manifest names objects elsewhere', async () => {
    const [artifact] = three.manifest.databases[0]?.artifacts ?? [];
    const thief = backupOf(2, {
      manifest: {
        databases: [{ name: 'orders', outcome: 'stored', artifacts: artifact === undefined ? [] : [artifact] }],
      },
    });
    await from.lay(thief, three);
    const { backups } = await run(copyOf([thief]));
    expect(backups).toMatchObject([{ outcome: 'SourceDamaged', reason: 'ManifestInvalid' }]);
    expect(await to.left()).toEqual([]);
  });
});

describe('What is there stays as it is', () => {
  test.each<[string, () => Promise<unknown>, string]>([
    [
      'where another manifest stands',
      () => to.put(one.key, printManifest({ ...one.manifest, plainBytes: 1 }), one.storedMs),
      'AlreadyStored',
    ],
    ['where a manifest stands that cannot be read', () => to.put(one.key, 'x', one.storedMs), 'ManifestInvalid'],
  ])('%s', async (_, lay, reason) => {
    await from.lay(one);
    await lay();
    const before = await contentOf(to);
    const { verdict, backups } = await run(copyOf([one]));
    expect(verdict).toMatchObject({ verdict: 'Failed', reason, failed: 1 });
    expect(backups).toMatchObject([{ outcome: 'Failed', reason }]);
    expect(await contentOf(to)).toEqual(before);
  });

  test('at an AppendOnly place, where a volume has other bytes', async () => {
    await from.lay(one);
    await to.put(volumeOf(one, 1), 'other', one.storedMs);
    const task = copyOf([one], { to: { name: 'to', place: {}, appendOnly: true } });
    expect((await run(task)).verdict).toMatchObject({ verdict: 'Failed', reason: 'AlreadyStored' });
    const left = await contentOf(to);
    expect(left.get(volumeOf(one, 1))).toBe('other');
    expect(left.has(one.key)).toBe(false);
  });
});

test('a place that is gone is given up after three backups in a row, and what was not looked at has no line', async () => {
  const all = Array.from({ length: 6 }, (_, day) => backupOf(day));
  await from.lay(...all);
  const dying = changeStorage(to.place, {
    put: async (key, ...rest) => {
      if (!key.includes('/nightly-00/')) throw new Failure('StorageCredentialsInvalid', 'revoked');
      return await to.place.put(key, ...rest);
    },
  });
  const { verdict, backups } = await run(copyOf(all), { to: dying });
  expect(verdict).toMatchObject({ verdict: 'PartlyFailed', reason: 'StorageCredentialsInvalid', copied: 1, failed: 3 });
  expect(verdict.message).toContain('4 of 6 backups were looked at');
  expect(backups).toHaveLength(4);
  expect(await contentOf(to)).toEqual(objectsOf(...all.slice(0, 1)));
});

describe('A place that lies', () => {
  test.each<[string, () => Partial<Storage>, string]>([
    [
      'and holds other bytes than it was sent',
      () => ({
        put: async (key, body, ...rest) => {
          const stored = await to.place.put(key, body, ...rest);
          if (key === volumeOf(one, 0)) await to.place.put(key, textBody('x'.repeat(stored.bytes)), {}, go);
          return stored;
        },
      }),
      'StoredBytesDiffer',
    ],
    [
      'and forgets a volume',
      () => ({
        async *list(...given) {
          for await (const found of to.place.list(...given)) if (found.key !== volumeOf(one, 0)) yield found;
        },
      }),
      'StoredBytesDiffer',
    ],
    [
      'and forgets the manifest',
      () => ({
        put: async (key, body, ...rest) => {
          const stored = await to.place.put(key, body, ...rest);
          if (key === one.key) await to.place.delete(key, go);
          return stored;
        },
      }),
      'StoredBytesDiffer',
    ],
    [
      'and changes the manifest',
      () => ({
        put: async (key, body, ...rest) => {
          const stored = await to.place.put(key, body, ...rest);
          if (key === one.key) await to.place.put(key, textBody('x'), {}, go);
          return stored;
        },
      }),
      'StoredBytesDiffer',
    ],
    [
      'and is full',
      () => ({
        put: async (key, ...rest) => {
          if (key === volumeOf(one, 1)) throw new Failure('StorageFull', 'no room');
          return await to.place.put(key, ...rest);
        },
      }),
      'StorageFull',
    ],
  ])('%s has no copy', async (_, fault, reason) => {
    await from.lay(one);
    const clock = {
      ...systemClock,
      sleep: (ms: number, signal: AbortSignal) => systemClock.sleep(ms >= 8_000 ? ms : 0, signal),
    };
    const task = copyOf([one]);
    const { verdict } = await copyBetween(from.place, changeStorage(to.place, fault()), task, { clock });
    expect(verdict).toMatchObject({ verdict: 'Failed', reason, failed: 1 });
    const left = await to.left();
    expect(left).not.toContain(one.key);
    if (reason === 'StorageFull') expect(left).toEqual([]);
    expect((await run(task)).verdict).toMatchObject({ verdict: 'Succeeded', copied: 1 });
    expect(await contentOf(to)).toEqual(objectsOf(one));
  });
});

test('wherever a copy is killed, no manifest ever stands over a missing volume, and the next one ends all the same', async () => {
  await from.lay(one, two);
  let kills = 0;
  for (const isDone of [false, true]) {
    for (let n = 1; ; n += 1) {
      await to.empty();
      const killed = killedAt(n, isDone);
      await run(undefined, { from: killed.around(from.place), to: killed.around(to.place) });
      expect(await to.broken()).toEqual([]);
      if (!killed.wasKilled()) break;
      kills += 1;
      expect((await run()).verdict).toMatchObject({ verdict: 'Succeeded', failed: 0, sourceDamaged: 0 });
      expect(await contentOf(to)).toEqual(objectsOf(one, two));
    }
  }
  expect(kills).toBeGreaterThan(60);
});

/** Nothing is asked of either place from the n-th question on; the n-th itself is answered or not, and the answer is lost. */
function killedAt(n: number, isDone: boolean) {
  let asked = 0;
  const kill = new Failure('Aborted', 'killed');
  const ask = async <T>(work: () => Promise<T>): Promise<T> => {
    asked += 1;
    const mine = asked;
    if (mine > n || (mine === n && !isDone)) throw kill;
    const answer = await work();
    if (mine === n) throw kill;
    return answer;
  };
  async function* items<T>(all: AsyncIterable<T>): AsyncGenerator<T> {
    await ask(async () => undefined);
    yield* all;
  }
  const around = (place: Storage): Storage =>
    changeStorage(place, {
      put: (...given) => ask(() => place.put(...given)),
      get: (...given) => items(place.get(...given)),
      list: (...given) => items(place.list(...given)),
      stat: (...given) => ask(() => place.stat(...given)),
      delete: (...given) => ask(() => place.delete(...given)),
    });
  return { around, wasKilled: () => asked >= n };
}

describe('A task', () => {
  const task = copyOf([one]);
  test.each<[string, object]>([
    ['that names a backup twice', { backups: [...task.backups, ...task.backups] }],
    ['that names none', { backups: [] }],
    ['with an id that is a path', { backups: [{ ...task.backups[0], id: '../x' }] }],
    ['with no rate to speak of', { bytesPerSecond: 1 }],
    ['with more than it may name', { backups: Array.from({ length: 101 }, (_, n) => ({ id: `n-${n}`, uid: 'u' })) }],
  ])('%s is refused', (_, change) => {
    expect(parseTask(JSON.stringify(task))).toEqual(task);
    expect(() => parseTask(JSON.stringify({ ...task, ...change }))).toThrow(
      expect.objectContaining({ reason: 'TaskInvalid' }),
    );
  });
});
