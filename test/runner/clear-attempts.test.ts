import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import { clearAttempts } from '../../src/runner/backup/clear-attempts.ts';
import { Destination } from '../../src/runner/backup/destination.ts';
import { openDirectory } from '../../src/storage/directory.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { systemRandom } from '../../src/support/clock.ts';
import { silentLog } from '../../src/support/log.ts';
import { changeStorage } from '../builders/change-storage.ts';
import { listTree } from '../servers/temporary-folder.ts';

const never = new AbortController().signal;
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
  await clearAttempts(task, destination, { log: silentLog, attempt: '22222222' }, never);
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
