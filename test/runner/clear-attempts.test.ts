import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import { clearAttempts } from '../../src/runner/backup/clear-attempts.ts';
import { Destination } from '../../src/runner/backup/destination.ts';
import { openDirectory } from '../../src/storage/directory.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import { silentLog } from '../../src/support/log.ts';
import { printManifest } from '../../src/domain/manifest.ts';
import { changeStorage } from '../builders/change-storage.ts';
import { manifestOf } from './manifest-of.ts';
import { listTree } from '../servers/temporary-folder.ts';

const never = new AbortController().signal;
const tools = { clock: systemClock, random: systemRandom, log: silentLog, attempt: '22222222', signal: never };
const temporary = `.pgbackup-tmp,${'0a'.repeat(12)}`;
const kept = [
  'shop/nightly/one/11111111/orders.dump.zst',
  'shop/nightly/one/11111111/notes.txt',
  'shop/nightly/one/README',
  'shop/nightly/one/22222222/orders.dump.zst',
  `shop/nightly/one/22222222/${temporary}`,
  'shop/nightly/one/manifest.json',
  'shop/nightly/one-more/11111111/orders.dump.zst',
  'shop/nightly/two/11111111/orders.dump.zst',
];
const others = [
  'shop/nightly/one/33333333/orders.dump.zst',
  'shop/nightly/one/33333333/orders.dump.zst.0002',
  'shop/nightly/one/33333333/globals.sql.zst',
  'shop/nightly/one/33333333/.place-offsite',
  'shop/nightly/one/44444444/o%20r.dump',
  `shop/nightly/one/44444444/${temporary}`,
];
let folder: string;
let place: Storage;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'attempts-'));
  place = openDirectory({ path: folder }, { random: systemRandom });
  for (const key of [...kept, ...others]) {
    await mkdir(dirname(join(folder, key)), { recursive: true });
    await writeFile(join(folder, key), key);
  }
});
afterEach(() => rm(folder, { recursive: true }));

async function clear(storage: Storage, { appendOnly = false, holds = true } = {}): Promise<readonly string[]> {
  const destination = new Destination('place', true);
  destination.opened(storage);
  // The earlier try 1 committed, and this run, which is try 2, found that.
  if (holds) destination.stored({ bytes: 1, manifestSha256: '', attempt: '11111111' });
  const location = { name: 'place', place: {}, ...(appendOnly ? { appendOnly } : {}) };
  const task = {
    namespace: 'shop',
    policy: { name: 'nightly', uid: '' },
    backup: { name: 'one', uid: '' },
    destinations: [{ location, required: true }],
  };
  await clearAttempts(task, destination, new Set(holds ? ['11111111'] : []), tools, never);
  return (await listTree(folder)).filter((path) => !path.endsWith('/')).map((path) => path.slice(folder.length + 1));
}

test('what other tries left goes once a manifest stands, and nothing else: not what it names, no own and no foreign object', async () => {
  expect(await clear(place)).toEqual(kept.toSorted());
});

test.each([
  ['does not hold the backup', (storage: Storage) => storage, { holds: false }],
  ['is AppendOnly', (storage: Storage) => storage, { appendOnly: true }],
  [
    'does not decide itself whose manifest is the first',
    (storage: Storage) => changeStorage(storage, { conditionalPut: false }),
    {},
  ],
  [
    'cannot be listed to the end',
    (storage: Storage) =>
      changeStorage(storage, {
        async *list(...given) {
          let listed = 0;
          for await (const found of storage.list(...given)) {
            listed += 1;
            if (listed === 5) throw new Failure('StorageFailed', 'the listing breaks off');
            yield found;
          }
        },
      }),
    {},
  ],
])('nothing goes at a place that %s', async (_, change, given) => {
  expect(await clear(change(place), given)).toEqual([...kept, ...others].toSorted());
});

test('a place that refuses deletes keeps what it has, and the run goes on', async () => {
  const refusing = changeStorage(place, {
    delete: async () => {
      throw new Failure('StorageDenied', 'no');
    },
    removeUnfinished: async () => {
      throw new Failure('StorageDenied', 'no');
    },
  });
  expect(await clear(refusing)).toEqual([...kept, ...others].toSorted());
});

/** A run that failed: no manifest stands, and these tries had left something when it began. */
async function clearAfterFailure(
  change: (storage: Storage) => Storage = (storage) => storage,
  { appendOnly = false, earlier = ['33333333', '44444444', '11111111'], manifest = false } = {},
): Promise<readonly string[]> {
  if (!manifest) await rm(join(folder, 'shop/nightly/one/manifest.json'));
  const destination = new Destination('place', true);
  destination.opened(change(place));
  destination.looksForEarlier(async () => new Set(earlier));
  // What comes later is not looked at.
  destination.looksForEarlier(async () => new Set(['22222222']));
  const location = { name: 'place', place: {}, ...(appendOnly ? { appendOnly } : {}) };
  const task = {
    namespace: 'shop',
    policy: { name: 'nightly', uid: '' },
    backup: { name: 'one', uid: '' },
    destinations: [{ location, required: true }],
  };
  // Another place holds what try 1 committed.
  await clearAttempts(task, destination, new Set(['11111111']), tools, never);
  return (await listTree(folder)).filter((path) => !path.endsWith('/')).map((path) => path.slice(folder.length + 1));
}

const standing = 'shop/nightly/one/manifest.json';
const unseen = kept.filter((key) => key !== standing);

test('a run that failed removes what earlier tries left, and nothing of a try that is committed elsewhere', async () => {
  expect(await clearAfterFailure()).toEqual(unseen.toSorted());
});

test('a run that failed removes nothing of tries that had left nothing when it began', async () => {
  expect(await clearAfterFailure(undefined, { earlier: ['33333333'] })).toEqual(
    [...unseen, ...others.filter((key) => key.includes('/44444444/'))].toSorted(),
  );
});

test.each<[string, (storage: Storage) => Storage, Parameters<typeof clearAfterFailure>[1]]>([
  ['shows a manifest', (storage) => storage, { manifest: true }],
  [
    'shows a manifest only in its listing',
    (storage) => changeStorage(storage, { stat: async () => undefined }),
    { manifest: true },
  ],
  ['is AppendOnly', (storage) => storage, { appendOnly: true }],
  [
    'does not say whether there is a manifest',
    (storage) => changeStorage(storage, { stat: () => Promise.reject(new Failure('StorageUnreachable', 'silent')) }),
    {},
  ],
])('a run that failed removes nothing at a place that %s', async (_, change, given) => {
  const all = [...(given?.manifest === true ? kept : unseen), ...others];
  expect(await clearAfterFailure(change, given)).toEqual(all.toSorted());
});

test('a manifest that a try puts while its volumes go does not stay; one that has volumes does', async () => {
  const manifest = (attempt: string) => {
    const key = `shop/nightly/one/${attempt}/orders.dump.zst`;
    const digest = { bytes: Buffer.byteLength(key), sha256: 'a'.repeat(64) };
    const artifact = { volumes: [{ key, ...digest }], plain: digest, stored: digest };
    const artifacts = [{ ...artifact, format: 'custom', compression: 'zstd' }] as const;
    return manifestOf('one', {
      attempt,
      databases: [{ name: 'orders', outcome: 'stored', artifacts: [...artifacts] }],
    });
  };
  const putting = (storage: Storage, attempt: string): Storage =>
    changeStorage(storage, {
      delete: async (key, signal) => {
        await storage.delete(key, signal);
        if (key !== standing) await writeFile(join(folder, standing), printManifest(manifest(attempt)));
      },
    });
  expect(await clearAfterFailure((storage) => putting(storage, '33333333'))).toEqual(unseen.toSorted());
  for (const key of others) {
    await mkdir(dirname(join(folder, key)), { recursive: true });
    await writeFile(join(folder, key), key);
  }
  await writeFile(join(folder, standing), '');
  expect(await clearAfterFailure((storage) => putting(storage, '22222222'))).toEqual(kept.toSorted());
});
