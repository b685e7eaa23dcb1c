import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import { attemptOf } from '../../src/domain/attempt.ts';
import { findEarlier } from '../../src/runner/backup/find-earlier.ts';
import { openDirectory } from '../../src/storage/directory.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { systemClock, systemRandom, type Clock } from '../../src/support/clock.ts';
import { silentLog } from '../../src/support/log.ts';
import { changeStorage } from '../builders/change-storage.ts';

const task = { namespace: 'shop', policy: { name: 'nightly', uid: '' }, backup: { name: 'one', uid: 'its-uid' } };
const tryOf = (pod: string, uid = task.backup.uid): string => attemptOf(pod.repeat(8), uid) ?? '';
const [own, killed, begun] = [tryOf('2'), tryOf('3'), tryOf('4')];
const temporary = `.pgbackup-tmp,${'0a'.repeat(12)}`;

let folder: string;
let place: Storage;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'earlier-'));
  place = openDirectory({ path: folder }, { random: systemRandom });
  for (const key of [
    `one/${killed}/orders.dump.zst`,
    `one/${begun}/${temporary}`,
    `one/${own}/orders.dump.zst`,
    `one/${tryOf('5', 'uid-in-another-cluster')}/orders.dump.zst`,
    `one/${tryOf('6')}/notes.txt`,
    `two/${tryOf('7')}/orders.dump.zst`,
  ]) {
    await mkdir(dirname(join(folder, 'shop/nightly', key)), { recursive: true });
    await writeFile(join(folder, 'shop/nightly', key), key);
  }
});
afterEach(() => rm(folder, { recursive: true }));

const find = async (storage: Storage, clock: Clock = systemClock): Promise<readonly string[]> => {
  const tools = { clock, attempt: own, log: silentLog, signal: new AbortController().signal };
  return [...(await findEarlier(task, storage, tools))].toSorted();
};

test('earlier tries are those of the same Backup that left volumes or something unfinished', async () => {
  expect(await find(place)).toEqual([killed, begun].toSorted());
});

test('what a place does not tell is left alone, and is no failure', async () => {
  const refuse = async function* (): AsyncGenerator<never, void, undefined> {
    yield* await Promise.reject<never[]>(new Failure('StorageDenied', 'no'));
  };
  expect(await find(changeStorage(place, { list: refuse }))).toEqual([]);
  // Who may not list uploads still sees volumes.
  expect(await find(changeStorage(place, { listUnfinished: refuse }))).toEqual([killed]);
});

test('an answer that took long tells nothing: it may show a try that began later', async () => {
  let nowMs = 0;
  const slow = changeStorage(place, {
    async *list(...given) {
      nowMs += 11_000;
      yield* place.list(...given);
    },
  });
  expect(await find(slow, { ...systemClock, nowMs: () => nowMs })).toEqual([]);
});

test('a place that answers nothing holds it for its limit and no longer', async () => {
  const silent = changeStorage(place, {
    // oxlint-disable-next-line require-yield -- it never comes to that
    async *list(_prefix, _after, signal) {
      await new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      });
    },
  });
  const asked: number[] = [];
  const clock: Clock = {
    ...systemClock,
    sleep: async (ms) => {
      asked.push(ms);
      await systemClock.sleep(1, new AbortController().signal);
    },
  };
  expect(await find(silent, clock)).toEqual([]);
  expect(asked).toEqual([10_000]);
});
