import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import { manifestKey } from '../../src/domain/layout.ts';
import { printManifest } from '../../src/domain/manifest.ts';
import { cleanUp } from '../../src/runner/backup/clean-up.ts';
import { commit } from '../../src/runner/backup/commit.ts';
import { Destination } from '../../src/runner/backup/destination.ts';
import { openDirectory } from '../../src/storage/directory.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { WholeBytes } from '../../src/storage/whole-bytes.ts';
import { systemRandom } from '../../src/support/clock.ts';
import { silentLog } from '../../src/support/log.ts';
import { changeStorage } from '../builders/change-storage.ts';
import { manifestOf } from './manifest-of.ts';

const never = new AbortController().signal;
const key = manifestKey('shop', 'nightly', 'nightly-1');
const volume = 'shop/nightly/nightly-1/a1b2c3d4/orders.dump.zst';
const ours = manifestOf('nightly-1');
const theirsOfSameBackup = manifestOf('nightly-1', { attempt: 'ffffffff' });
const foreign = manifestOf('nightly-1', { backup: { id: 'nightly-1', uid: 'another' } });

let folder: string;
let place: Storage;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'commit-'));
  place = openDirectory({ path: folder }, { random: systemRandom });
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

function withFault(fault: Partial<Storage>): Storage {
  return changeStorage(place, fault);
}

/** A destination with one volume, after a commit and the cleaning that always follows. */
async function commitAt(storage: Storage): Promise<{ destination: Destination; keys: readonly string[] }> {
  await place.put(volume, new WholeBytes(Buffer.from('volume')), {}, never);
  const destination = new Destination('place', true);
  destination.opened(storage);
  destination.begin(volume);
  await commit(ours, [destination], { log: silentLog }, never);
  await cleanUp(destination, { log: silentLog }, never);
  const keys: string[] = [];
  for await (const found of place.list('', undefined, never)) keys.push(found.key);
  return { destination, keys };
}

test('a commit leaves the volume and exactly the manifest that was printed', async () => {
  const { destination, keys } = await commitAt(place);
  expect(keys).toEqual([volume, key]);
  expect(await readFile(join(folder, key), 'utf8')).toBe(printManifest(ours));
  expect(destination.copy?.bytes).toBe(ours.storedBytes + Buffer.byteLength(printManifest(ours)));
  expect(destination.failure).toBeUndefined();
});

test('another try that committed first wins, and what this one brought is deleted', async () => {
  await place.put(key, new WholeBytes(Buffer.from(printManifest(theirsOfSameBackup))), {}, never);
  const { destination, keys } = await commitAt(place);
  expect(destination.copy).toBeDefined();
  expect(keys).toEqual([key]);
  expect(await readFile(join(folder, key), 'utf8')).toBe(printManifest(theirsOfSameBackup));
});

test('a backup with another uid is never written over', async () => {
  await place.put(key, new WholeBytes(Buffer.from(printManifest(foreign))), {}, never);
  const { destination, keys } = await commitAt(place);
  expect(destination.failure?.reason).toBe('AlreadyStored');
  expect(keys).toEqual([key]);
  expect(await readFile(join(folder, key), 'utf8')).toBe(printManifest(foreign));
});

test('an answer that got lost is no failure: what stands there counts', async () => {
  const { destination, keys } = await commitAt(
    withFault({
      put: async (...args) => {
        await place.put(...args);
        throw new Failure('StorageUnreachable', 'connection reset');
      },
    }),
  );
  expect(destination.copy).toBeDefined();
  expect(keys).toEqual([volume, key]);
});

test('a put that failed leaves nothing', async () => {
  const { destination, keys } = await commitAt(
    withFault({ put: () => Promise.reject(new Failure('StorageFull', 'no space')) }),
  );
  expect(destination.failure?.reason).toBe('StorageFull');
  expect(keys).toEqual([]);
});

test('a manifest that came out changed is removed before its volumes', async () => {
  const { destination, keys } = await commitAt(
    withFault({
      put: async (key, _body, ...rest) => {
        await place.put(key, new WholeBytes(Buffer.from('{"format": 1')), ...rest);
        return { bytes: Buffer.byteLength(printManifest(ours)) };
      },
    }),
  );
  expect(destination.failure?.reason).toBe('StoredBytesDiffer');
  expect(keys).toEqual([]);
});

test('a manifest that was acknowledged and is not there is a failure', async () => {
  const { destination, keys } = await commitAt(
    withFault({ put: async () => ({ bytes: Buffer.byteLength(printManifest(ours)) }) }),
  );
  expect(destination.failure?.reason).toBe('StoredBytesDiffer');
  expect(keys).toEqual([]);
});

test('while it is not known whether the manifest was stored, its volumes are left alone', async () => {
  const gone = new Failure('StorageUnreachable', 'gone');
  const { destination, keys } = await commitAt(
    withFault({
      put: async (...args) => {
        await place.put(...args);
        throw gone;
      },
      // oxlint-disable-next-line require-yield -- a stream that only fails
      async *get() {
        throw gone;
      },
    }),
  );
  expect(destination.failure?.reason).toBe('StorageUnreachable');
  expect(keys).toEqual([volume, key]);
});

test('a damaged manifest that stood there before is neither written over nor deleted', async () => {
  await place.put(key, new WholeBytes(Buffer.from('{')), {}, never);
  const { destination, keys } = await commitAt(place);
  expect(destination.failure?.reason).toBe('ManifestInvalid');
  expect(keys).toEqual([key]);
});
