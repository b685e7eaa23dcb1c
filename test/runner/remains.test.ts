import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import { printManifest } from '../../src/domain/manifest.ts';
import type { InspectTask } from '../../src/domain/task.ts';
import { inspectLocation } from '../../src/runner/inspect/inspect-location.ts';
import { openDirectory } from '../../src/storage/directory.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import { changeStorage } from '../builders/change-storage.ts';
import { listTree } from '../servers/temporary-folder.ts';
import { manifestOf } from './manifest-of.ts';
import { workshopOf } from './workshop-of.ts';

const hour = 3600;
const temporary = `.pgbackup-tmp,${'0a'.repeat(12)}`;
let folder: string;
let place: Storage;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'remains-'));
  place = openDirectory({ path: folder }, { random: systemRandom });
});
afterEach(() => rm(folder, { recursive: true }));

/** Runs of nightly live six hours: what is older than 30 hours is old. */
const given = { deadlines: { nightly: 6 * hour }, running: [], remove: [] };

async function lay(key: string, ageHours: number, content = 'ten bytes.'): Promise<string> {
  const path = join(folder, key);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
  const seconds = Math.max(0, Date.now() / 1000 - ageHours * hour);
  await utimes(path, seconds, seconds);
  return key;
}

async function inspect(
  remains: Partial<NonNullable<InspectTask['remains']>> = {},
  {
    storage = place,
    accessMode = 'ReadWrite',
    clock = systemClock,
  }: Partial<{ storage: Storage; accessMode: InspectTask['accessMode']; clock: typeof systemClock }> = {},
) {
  const workshop = workshopOf({ place: storage }, { clock });
  const task: InspectTask = {
    version: 1,
    kind: 'inspect',
    namespace: 'shop',
    location: { name: 'place', place: { directory: { path: folder } } },
    accessMode,
    inspector: '5eed5eed',
    probe: true,
    fullPart: false,
    pageSize: 1000,
    remains: { ...given, ...remains },
    waitForSecretSeconds: 1,
  };
  const verdict = await inspectLocation(task, workshop);
  const proposed = workshop.results().flatMap((line) => (line.kind === 'remains' ? line.folders : []));
  return { verdict, seen: verdict.remains, proposed };
}

const left = async (): Promise<readonly string[]> =>
  (await listTree(folder)).flatMap((path) => (path.endsWith('/') ? [] : [path.slice(folder.length + 1)]));

test('volumes without a manifest are counted at once, proposed when they are old, and removed when the next inspection is told to', async () => {
  await lay('shop/nightly/old/11111111/orders.dump.zst', 31);
  await lay('shop/nightly/old/11111111/orders.dump.zst.0002', 32);
  await lay('shop/nightly/young/11111111/orders.dump.zst', 29);
  await lay('shop/nightly/running/11111111/orders.dump.zst', 40);
  const first = await inspect({ running: ['running'] });
  expect(first.seen).toMatchObject({ objects: 3, bytes: 30, unfinishedUploads: 0, removedObjects: 0 });
  expect(Date.now() - Date.parse(first.seen?.oldestTime ?? '')).toBeGreaterThan(31.9 * hour * 1000);
  expect(first.proposed).toEqual(['nightly/old']);
  expect(await left()).toHaveLength(4);

  const second = await inspect({ running: ['running'], remove: first.proposed });
  expect(second.seen).toMatchObject({ objects: 1, bytes: 10, removedObjects: 2, removedBytes: 20 });
  expect(second.proposed).toEqual([]);
  expect(await left()).toEqual([
    'shop/nightly/running/11111111/orders.dump.zst',
    'shop/nightly/young/11111111/orders.dump.zst',
  ]);
});

test('a policy that is not known any more may have had the longest deadline', async () => {
  await lay('shop/gone/one/11111111/orders.dump.zst', 7 * 24 + 23);
  await lay('shop/gone/two/11111111/orders.dump.zst', 8 * 24 + 1);
  expect((await inspect()).proposed).toEqual(['gone/two']);
});

test('beside a manifest the tries that it does not name are remains, and it protects its own', async () => {
  const manifest = manifestOf('one', {});
  await lay('shop/nightly/one/manifest.json', 100, printManifest(manifest));
  const own = await lay(`shop/nightly/one/${manifest.attempt}/orders.dump.zst`, 100);
  await lay('shop/nightly/one/99999999/orders.dump.zst', 100);
  const { seen, proposed } = await inspect();
  expect(seen).toMatchObject({ objects: 1, bytes: 10 });
  await inspect({ remove: proposed });
  expect(await left()).toEqual([own, 'shop/nightly/one/manifest.json'].toSorted());
});

type Look = Parameters<typeof inspect>[1];
const protections: readonly (readonly [string, () => Promise<unknown>, Look])[] = [
  ['a manifest that cannot be read', async () => lay('shop/nightly/one/manifest.json', 100, '{"format": 2'), {}],
  ['a volume that is young', async () => lay('shop/nightly/one/99999999/more.dump', 1), {}],
  ['a time that is not known', async () => lay('shop/nightly/one/99999999/more.dump', Infinity), {}],
  ['a location that is AppendOnly', async () => undefined, { accessMode: 'AppendOnly' }],
  ['a location that is ReadOnly', async () => undefined, { accessMode: 'ReadOnly' }],
  [
    'a clock that is days away from the place’s',
    async () => undefined,
    { clock: { ...systemClock, nowMs: () => Date.now() + 40 * hour * 1000 } },
  ],
];

test.each(protections)('%s protects volumes that the inspection is told to remove', async (_, change, look) => {
  const volumes = [
    await lay('shop/nightly/one/99999999/orders.dump', 100),
    await lay('shop/nightly/one/99999999/z.dump', 100),
  ];
  await change();
  const { verdict, seen } = await inspect({ remove: ['nightly/one'] }, look);
  expect(verdict.verdict).toBe('Succeeded');
  expect(seen?.removedObjects).toBe(0);
  expect(await left()).toEqual(expect.arrayContaining(volumes));
});

test('a listing that leaves the manifest out once deletes nothing', async () => {
  const manifest = manifestOf('one', {});
  await lay('shop/nightly/one/manifest.json', 100, printManifest(manifest));
  await lay(`shop/nightly/one/${manifest.attempt}/orders.dump.zst`, 100);
  const before = await left();
  const forgetful = changeStorage(place, {
    async *list(...given_) {
      for await (const found of place.list(...given_)) if (!found.key.endsWith('manifest.json')) yield found;
    },
  });
  const { seen } = await inspect({ remove: ['nightly/one'] }, { storage: forgetful });
  expect(seen?.removedObjects).toBe(0);
  expect(await left()).toEqual(before);
});

test('a listing that fails deletes nothing, tells nothing, and is no failure of the inspection', async () => {
  await lay('shop/nightly/one/99999999/orders.dump', 100);
  await lay('shop/nightly/two/99999999/orders.dump', 100);
  const breaking = changeStorage(place, {
    async *list(prefix, ...rest) {
      for await (const found of place.list(prefix, ...rest)) {
        yield found;
        if (prefix.startsWith('shop/') && prefix !== 'shop/') throw new Failure('StorageFailed', 'it breaks off');
      }
    },
    // oxlint-disable-next-line require-yield -- a listing that only fails
    async *listUnfinished() {
      throw new Failure('StorageDenied', 'not allowed');
    },
  });
  const { verdict, seen } = await inspect({ remove: ['nightly/one', 'nightly/two'] }, { storage: breaking });
  expect(verdict.verdict).toBe('Succeeded');
  expect(seen).toMatchObject({ objects: 2, removedObjects: 0 });
  expect(seen?.unfinishedUploads).toBeUndefined();
  expect(await left()).toHaveLength(2);
});

test('temporary files of runs are counted, and go when they are old; those of others and foreign objects stay', async () => {
  await lay(`shop/nightly/one/99999999/${temporary}`, 31);
  await lay(`shop/nightly/one/${temporary}`, 31);
  await lay(`shop/nightly/two/99999999/${temporary}`, 29);
  const foreign = [
    await lay(`shop/${temporary}`, 100),
    await lay(`other/nightly/one/99999999/${temporary}`, 100),
    await lay('shop/nightly/one/99999999/readme.txt', 100),
    await lay('shop/nightly/one/not-a-try/orders.dump', 100),
    await lay('shop/NIGHTLY/one/99999999/orders.dump', 100),
    await lay('shop/orders.dump', 100),
  ];
  const { seen, proposed } = await inspect({ remove: ['nightly/one'] });
  expect(seen).toMatchObject({ objects: 0, unfinishedUploads: 1, removedUploads: 2 });
  expect(proposed).toEqual([]);
  expect(await left()).toEqual([...foreign, `shop/nightly/two/99999999/${temporary}`].toSorted());
});
