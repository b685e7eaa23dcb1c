import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import { probeFolder } from '../../src/domain/layout.ts';
import type { InspectTask } from '../../src/domain/task.ts';
import { inspectLocation } from '../../src/runner/inspect/inspect-location.ts';
import { appendOnlyStorage } from '../../src/storage/append-only.ts';
import { openDirectory } from '../../src/storage/directory.ts';
import type { Storage, Unfinished } from '../../src/storage/storage.ts';
import { systemRandom } from '../../src/support/clock.ts';
import { textBody } from '../suites/bodies.ts';
import { workshopOf } from './workshop-of.ts';

const go = new AbortController().signal;
const denied = new Failure('StorageDenied', 'not allowed');

let folder: string;
let place: Storage;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'append-'));
  place = openDirectory({ path: folder }, { random: systemRandom });
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

/** A place whose key may neither delete nor put over what is there. */
function guarded(more: Partial<Storage> = {}): Storage {
  return {
    name: place.name,
    conditionalPut: true,
    put: async (key, body, options, signal) => {
      if ((await place.stat(key, signal)) !== undefined && options.onlyIfAbsent !== true) throw denied;
      return await place.put(key, body, options, signal);
    },
    get: (...args) => place.get(...args),
    stat: (...args) => place.stat(...args),
    list: (...args) => place.list(...args),
    delete: () => Promise.reject(denied),
    listUnfinished: (...args) => place.listUnfinished(...args),
    removeUnfinished: (...args) => place.removeUnfinished(...args),
    close: () => place.close(),
    ...more,
  };
}

async function look(storage: Storage, changes: Partial<InspectTask> = {}, attempt = 'a1b2c3d4') {
  const task: InspectTask = {
    version: 1,
    kind: 'inspect',
    namespace: 'shop',
    location: { name: 'place', place: { directory: { path: folder } } },
    accessMode: 'AppendOnly',
    inspector: '5eed5eed',
    probe: true,
    fullPart: false,
    pageSize: 1000,
    waitForSecretSeconds: 1,
    ...changes,
  };
  return await inspectLocation(task, workshopOf({ place: storage }, { attempt }));
}

async function keys(): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const { key } of place.list('', undefined, go)) found.push(key);
  return found;
}

test('a place where nothing may be deleted or put over passes, and its objects do not pile up', async () => {
  const first = await look(guarded(), { fullPart: true });
  expect(first).toMatchObject({ verdict: 'Succeeded', fullPart: true });
  expect(first.offers).toEqual({ conditions: 'Kept', overwrites: 'Refused', deletes: 'Refused', unfinishedUploads: 0 });
  const kept = probeFolder('5eed5eed', 'kept');
  expect(await keys()).toEqual(['full', 'parts', 'put', 'race'].map((name) => `${kept}${name}`));
  for (const attempt of ['b1b2c3d4', 'c1b2c3d4', 'd1b2c3d4'])
    expect((await look(guarded(), {}, attempt)).verdict).toBe('Succeeded');
  expect(await keys()).toHaveLength(4);
});

test('two inspectors of one place keep their own objects', async () => {
  const verdicts = await Promise.all(['5eed5eed', '0ddba110'].map((inspector) => look(guarded(), { inspector })));
  expect(verdicts.map(({ verdict }) => verdict)).toEqual(['Succeeded', 'Succeeded']);
  expect(await keys()).toHaveLength(6);
});

test('that a key can delete and put over is found out once, and told', async () => {
  const { offers } = await look(place, { fullPart: true });
  expect(offers).toMatchObject({ overwrites: 'Replaced', deletes: 'Allowed' });
  expect((await look(place)).offers).not.toHaveProperty('deletes');
  const versioned = guarded({
    put: async (...args) => ({ ...(await place.put(...args)), versionId: 'v2' }),
  });
  expect((await look(versioned, { fullPart: true })).offers).toMatchObject({ overwrites: 'Versioned' });
});

test.each<[string, string, Partial<Storage>]>([
  ['put', 'may not write at all', { put: () => Promise.reject(denied) }],
  [
    'abort',
    'may not write any more, although everything is there',
    {
      put: (_key, _body, { onlyIfAbsent }) =>
        Promise.reject(onlyIfAbsent === true ? new Failure('AlreadyStored', 'exists') : denied),
    },
  ],
])('the probe fails at %s when the key %s', async (operation, _, fault) => {
  if (operation === 'abort') await look(guarded());
  expect(await look(guarded(fault))).toMatchObject({
    verdict: 'Failed',
    reason: 'StorageDenied',
    failedOperation: operation,
  });
});

test('an object of the probe that was changed fails it', async () => {
  await look(guarded());
  await place.put(`${probeFolder('5eed5eed', 'kept')}parts`, textBody('encrypted, pay here'), {}, go);
  expect(await look(guarded())).toMatchObject({ verdict: 'Failed', reason: 'StoredBytesDiffer' });
});

test('where uploads cannot be aborted one is left, told, and no other is begun', async () => {
  const uploads: Unfinished[] = [];
  const stubborn = guarded({
    put: async (key, body, options, signal) => {
      if (options.inParts === true && key.endsWith('/aborted'))
        uploads.push({ key, uploadId: `${uploads.length}`, sinceMs: 1 });
      return await place.put(key, body, options, signal);
    },
    async *listUnfinished() {
      yield* uploads;
    },
    removeUnfinished: () => Promise.reject(denied),
  });
  for (let inspection = 0; inspection < 3; inspection += 1)
    expect((await look(stubborn)).offers).toMatchObject({ unfinishedUploads: 1 });
  expect(uploads).toHaveLength(1);
});

test('a storage of an AppendOnly destination deletes nothing, and everything else works', async () => {
  const storage = appendOnlyStorage(place);
  await storage.put('a/b', textBody('x'), {}, go);
  await expect(storage.delete('a/b', go)).rejects.toMatchObject({ reason: 'StorageDenied' });
  expect(await keys()).toEqual(['a/b']);
  expect(storage.conditionalPut).toBe(place.conditionalPut);
});
