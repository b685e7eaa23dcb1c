import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import type { FailureReason } from '../../src/api/reasons.ts';
import { openDirectory } from '../../src/storage/directory.ts';
import { prefixStorage } from '../../src/storage/prefix.ts';
import { retryStorage } from '../../src/storage/retry.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { WholeBytes } from '../../src/storage/whole-bytes.ts';
import { type Clock, systemClock, systemRandom } from '../../src/support/clock.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { readText, textBody } from '../suites/bodies.ts';

const go = new AbortController().signal;
let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;
let directory: Storage;
let slept: number[];
let clock: Clock;

beforeEach(async () => {
  folder = await makeTemporaryFolder();
  await mkdir(join(folder.path, 'root'));
  directory = openDirectory({ path: join(folder.path, 'root') }, { random: systemRandom });
  slept = [];
  clock = {
    ...systemClock,
    sleep: async (ms) => {
      slept.push(ms);
    },
  };
});
afterEach(() => folder.remove());

/** The folder behind a door that slams the first `times` times; `after`: the work is done first. */
function flaky(times: number, reason: FailureReason, after = false): Storage & { readonly calls: () => number } {
  let calls = 0;
  const slam = (): void => {
    calls += 1;
    if (calls <= times) throw new Failure(reason, 'slammed');
  };
  return {
    ...directory,
    name: directory.name,
    conditionalPut: true,
    calls: () => calls,
    put: async (...args) => {
      if (!after) slam();
      const stored = await directory.put(...args);
      if (after) slam();
      return stored;
    },
    get: async function* (...args) {
      slam();
      yield* directory.get(...args);
    },
    stat: async (...args) => {
      slam();
      return await directory.stat(...args);
    },
    list: async function* (...args) {
      slam();
      for await (const found of directory.list(...args)) {
        yield found;
        slam();
      }
    },
    delete: async (...args) => {
      slam();
      await directory.delete(...args);
    },
    close: () => directory.close(),
  };
}

const retrying = (storage: Storage, attempts = 4) => retryStorage(storage, { attempts, clock, random: systemRandom });
const whole = (text: string) => new WholeBytes(Buffer.from(text));

test('tries stat, delete, get and put of whole bytes again, waiting longer each time', async () => {
  await retrying(flaky(3, 'StorageUnreachable')).put('a', whole('x'), {}, go);
  expect(slept).toHaveLength(3);
  expect(slept[0]).toBeGreaterThanOrEqual(250);
  expect(slept[2]).toBeGreaterThan(slept[0] ?? 0);
  expect(await readText(retrying(flaky(3, 'StorageFailed')).get('a', undefined, go))).toBe('x');
  expect((await retrying(flaky(3, 'StorageFailed')).stat('a', go))?.bytes).toBe(1);
  await retrying(flaky(3, 'StorageFailed')).delete('a', go);
  expect(await directory.stat('a', go)).toBeUndefined();
});

test('gives up after the attempts it has, with the last failure', async () => {
  const storage = flaky(9, 'StorageFailed');
  await expect(retrying(storage).stat('a', go)).rejects.toMatchObject({ reason: 'StorageFailed' });
  expect(storage.calls()).toBe(4);
});

test.each(['StorageDenied', 'StoredBytesDiffer', 'AlreadyStored', 'StorageFull'] as const)(
  'does not try again after %s',
  async (reason) => {
    const storage = flaky(1, reason);
    await expect(retrying(storage).put('a', whole('x'), {}, go)).rejects.toMatchObject({ reason });
    expect(storage.calls()).toBe(1);
  },
);

test('sends a stream only once', async () => {
  const storage = flaky(1, 'StorageFailed');
  await expect(retrying(storage).put('a', textBody('x'), {}, go)).rejects.toMatchObject({ reason: 'StorageFailed' });
  expect(storage.calls()).toBe(1);
});

test('recognises its own object after a lost answer, and nobody else’s', async () => {
  const lost = flaky(1, 'StorageUnreachable', true);
  expect(await retrying(lost).put('a', whole('mine'), { onlyIfAbsent: true }, go)).toMatchObject({ bytes: 4 });
  const other = retrying(flaky(1, 'StorageUnreachable')).put('a', whole('them'), { onlyIfAbsent: true }, go);
  await expect(other).rejects.toMatchObject({ reason: 'AlreadyStored' });
  expect(await readText(directory.get('a', undefined, go))).toBe('mine');
});

test('goes on with a listing where it stopped, each object once', async () => {
  for (const key of ['a', 'b', 'c']) await directory.put(key, textBody(key), {}, go);
  const keys: string[] = [];
  // Slams before the first object, and then after each of the first two.
  for await (const { key } of retrying(flaky(3, 'StorageFailed')).list('', undefined, go)) keys.push(key);
  expect(keys).toEqual(['a', 'b', 'c']);
});

test('does not wait for a retry when it is aborted', async () => {
  const abort = new AbortController();
  const stopping: Clock = {
    ...systemClock,
    sleep: (_, signal) => {
      abort.abort();
      return systemClock.sleep(60_000, signal);
    },
  };
  const storage = retryStorage(flaky(9, 'StorageFailed'), { attempts: 4, clock: stopping, random: systemRandom });
  await expect(storage.stat('a', abort.signal)).rejects.toMatchObject({ reason: 'Aborted' });
});

test('a prefix hides everything outside of it', async () => {
  const inner = prefixStorage(directory, 'team/a');
  await directory.put('team/ab/other', textBody('x'), {}, go);
  await directory.put('team/zz', textBody('x'), {}, go);
  await inner.put('k/1', textBody('one'), {}, go);
  await inner.put('k/2', textBody('two'), { onlyIfAbsent: true }, go);
  const list = async (prefix: string, after?: string) => {
    const keys: string[] = [];
    for await (const { key } of inner.list(prefix, after, go)) keys.push(key);
    return keys;
  };
  expect(await list('')).toEqual(['k/1', 'k/2']);
  expect(await list('', 'k/1')).toEqual(['k/2']);
  expect(await list('k/2')).toEqual(['k/2']);
  expect(await inner.stat('k/1', go)).toMatchObject({ key: 'k/1', bytes: 3 });
  expect(await readText(inner.get('k/1', { start: 1 }, go))).toBe('ne');
  await inner.delete('k/1', go);
  expect(await directory.stat('team/a/k/1', go)).toBeUndefined();
  expect(await directory.stat('team/zz', go)).toBeDefined();
  expect(inner.name).toBe(`${directory.name}/team/a`);
});
