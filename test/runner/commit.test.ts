import { mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import { manifestKey, signatureKey } from '../../src/domain/layout.ts';
import { printManifest, type Manifest, type ManifestDatabase } from '../../src/domain/manifest.ts';
import { readSigningKey, signManifest } from '../../src/encryption/signing-key.ts';
import { makeSigningPair } from '../../src/encryption/make-key-pair.ts';
import type { Workshop } from '../../src/runner/workshop.ts';
import { cleanUp } from '../../src/runner/backup/clean-up.ts';
import { commit } from '../../src/runner/backup/commit.ts';
import { Destination } from '../../src/runner/backup/destination.ts';
import { openDirectory } from '../../src/storage/directory.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { WholeBytes } from '../../src/storage/whole-bytes.ts';
import { systemClock, systemRandom, type Clock } from '../../src/support/clock.ts';
import { silentLog } from '../../src/support/log.ts';
import { changeStorage } from '../builders/change-storage.ts';
import { manifestOf } from './manifest-of.ts';

const content = 'volume';
const never = new AbortController().signal;
const key = manifestKey('shop', 'nightly', 'nightly-1');
const volume = 'shop/nightly/nightly-1/a1b2c3d4/orders.dump.zst';
const theirVolume = 'shop/nightly/nightly-1/ffffffff/orders.dump.zst';
const ours = manifestOf('nightly-1', { databases: [storedAs(volume)] });
const theirsOfSameBackup = manifestOf('nightly-1', { attempt: 'ffffffff', databases: [storedAs(theirVolume)] });
const foreign = manifestOf('nightly-1', { backup: { id: 'nightly-1', uid: 'another' } });

let folder: string;
let place: Storage;
beforeEach(async () => {
  patient.waits = 0;
  folder = await mkdtemp(join(tmpdir(), 'commit-'));
  place = openDirectory({ path: folder }, { random: systemRandom });
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

const withFault = (fault: Partial<Storage>): Storage => changeStorage(place, fault);

function storedAs(key: string): ManifestDatabase {
  const digest = { bytes: Buffer.byteLength(content), sha256: 'a'.repeat(64) };
  const artifact = { volumes: [{ key, ...digest }], plain: digest, stored: digest };
  return {
    name: 'orders',
    outcome: 'stored',
    artifacts: [{ ...artifact, format: 'custom', compression: 'zstd' }],
  };
}

/** Nobody waits, but it is known how often somebody would have. */
const patient = { waits: 0 };
const clock: Clock = {
  ...systemClock,
  sleep: async () => {
    patient.waits += 1;
  },
};
const tools = { log: silentLog, clock, random: systemRandom };

/** A destination with one volume, after a commit and the cleaning that always follows. */
async function commitAt(
  storage: Storage,
  manifest = ours,
  changes: Pick<Workshop, 'signedBy'> = {},
): Promise<{ destination: Destination; keys: readonly string[] }> {
  if ((await place.stat(volume, never)) === undefined)
    await place.put(volume, new WholeBytes(Buffer.from(content)), {}, never);
  const destination = new Destination('place', true);
  destination.opened(storage);
  destination.begin(volume);
  await commit(manifest, [destination], { ...tools, ...changes }, never);
  await cleanUp(destination, tools, never);
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
  await place.put(theirVolume, new WholeBytes(Buffer.from(content)), {}, never);
  await place.put(key, new WholeBytes(Buffer.from(printManifest(theirsOfSameBackup))), {}, never);
  const { destination, keys } = await commitAt(place);
  expect(destination.copy).toBeDefined();
  expect(keys).toEqual([theirVolume, key]);
  expect(await readFile(join(folder, key), 'utf8')).toBe(printManifest(theirsOfSameBackup));
});

test('a backup with another uid is never written over', async () => {
  await place.put(key, new WholeBytes(Buffer.from(printManifest(foreign))), {}, never);
  const { destination, keys } = await commitAt(place);
  expect(destination.failure?.reason).toBe('AlreadyStored');
  expect(keys).toEqual([key]);
  expect(await readFile(join(folder, key), 'utf8')).toBe(printManifest(foreign));
});

test('another manifest of this backup is not believed by a run that signs, unless it is signed by the same key', async () => {
  const { publicKey, privateKey, name: keyId } = makeSigningPair();
  const sign = async (one: Manifest): Promise<Manifest> => {
    const signature = { key: signatureKey('shop/nightly/nightly-1/', one.attempt), keyId };
    const signed = { ...one, signature };
    const bytes = signManifest(Buffer.from(printManifest(signed)), readSigningKey(privateKey));
    await place.put(signature.key, new WholeBytes(bytes), {}, never);
    return signed;
  };
  await place.put(theirVolume, new WholeBytes(Buffer.from(content)), {}, never);
  const mine = await sign(ours);
  await place.put(key, new WholeBytes(Buffer.from(printManifest(theirsOfSameBackup))), {}, never);
  const forged = await commitAt(place, mine, { signedBy: [publicKey] });
  expect(forged.destination.failure?.reason).toBe('SignatureMissing');
  expect(forged.destination.copy).toBeUndefined();
  const theirs = await sign(theirsOfSameBackup);
  await place.put(key, new WholeBytes(Buffer.from(printManifest(theirs))), {}, never);
  const again = await commitAt(place, mine, { signedBy: [publicKey] });
  expect(again.destination.copy?.attempt).toBe('ffffffff');
});

test('volumes that another try removes while the manifest is put are no backup: the manifest goes, too', async () => {
  const { destination, keys } = await commitAt(
    withFault({
      put: async (...args) => {
        const stored = await place.put(...args);
        if (args[0] === key) await place.delete(volume, never);
        return stored;
      },
    }),
  );
  expect(destination.copy).toBeUndefined();
  expect(destination.failure).toMatchObject({ reason: 'StoredBytesDiffer' });
  expect(keys).toEqual([]);
});

test('a place that cannot be looked at after the commit has its copy', async () => {
  let listings = 0;
  const { destination } = await commitAt(
    withFault({
      async *list(...given) {
        listings += 1;
        if (listings > 1) throw new Failure('StorageUnreachable', 'silent');
        yield* place.list(...given);
      },
    }),
  );
  expect(listings).toBeGreaterThan(1);
  expect(destination.copy).toBeDefined();
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

/** A place that says for so many times that a manifest is not there. */
function blindTo(times: number, more: Partial<Storage> = {}): Storage {
  let left = times;
  return withFault({
    async *get(asked, ...rest) {
      if (asked === key && left-- > 0) throw new Failure('ObjectMissing', 'not there');
      yield* place.get(asked, ...rest);
    },
    ...more,
  });
}

test('a manifest that a place does not know at first is looked for again, and is committed', async () => {
  const { destination, keys } = await commitAt(blindTo(2));
  expect(destination.copy).toBeDefined();
  expect(destination.failure).toBeUndefined();
  expect(keys).toEqual([volume, key]);
  expect(patient.waits).toBeGreaterThanOrEqual(2);
});

test('a manifest that a place took and never shows is deleted before its volumes', async () => {
  const deleted: string[] = [];
  const { destination, keys } = await commitAt(
    blindTo(Number.POSITIVE_INFINITY, {
      delete: async (asked, ...rest) => {
        deleted.push(asked);
        await place.delete(asked, ...rest);
      },
    }),
  );
  expect(destination.failure?.reason).toBe('StoredBytesDiffer');
  expect(keys).toEqual([]);
  expect(deleted).toEqual([key, volume]);
});

test.each([
  ['is refused', () => Promise.reject(new Failure('StorageDenied', 'no deletes here'))],
  ['is acknowledged and not done', async () => undefined],
])('where deleting a manifest that was not seen %s, its volumes are left alone', async (_, deleteIt) => {
  const { destination, keys } = await commitAt(
    blindTo(Number.POSITIVE_INFINITY, {
      delete: (asked, ...rest) => (asked === key ? deleteIt() : place.delete(asked, ...rest)),
    }),
  );
  expect(destination.copy).toBeUndefined();
  expect(destination.failure?.reason).toBe('StoredBytesDiffer');
  expect(keys).toEqual([volume, key]);
});

test('a put that broke off and was done later is not believed to have failed', async () => {
  let asked = 0;
  const { destination, keys } = await commitAt(
    withFault({
      put: () => Promise.reject(new Failure('StorageUnreachable', 'connection reset')),
      async *get(wanted, ...rest) {
        asked += 1;
        if (asked === 2) await place.put(key, new WholeBytes(Buffer.from(printManifest(ours))), {}, never);
        yield* place.get(wanted, ...rest);
      },
    }),
  );
  expect(destination.copy).toBeDefined();
  expect(keys).toEqual([volume, key]);
});

test('a manifest that stood there and that nobody can see is not deleted', async () => {
  await place.put(key, new WholeBytes(Buffer.from(printManifest(foreign))), {}, never);
  const { destination, keys } = await commitAt(blindTo(Number.POSITIVE_INFINITY));
  expect(destination.copy).toBeUndefined();
  expect(keys).toContain(key);
  expect(await readFile(join(folder, key), 'utf8')).toBe(printManifest(foreign));
});

test.each([
  ['is gone', () => place.delete(volume, never)],
  ['was cut short', () => place.put(volume, new WholeBytes(Buffer.from('vol')), {}, never)],
  ['has got another name', () => rename(join(folder, volume), join(folder, volume.replace('orders', 'ORDERS')))],
])('where a volume %s since it was stored there is no manifest', async (_, spoil) => {
  await place.put(volume, new WholeBytes(Buffer.from(content)), {}, never);
  let spoilt = false;
  const { destination, keys } = await commitAt(
    withFault({
      async *list(...args) {
        if (!spoilt) await spoil();
        spoilt = true;
        yield* place.list(...args);
      },
    }),
  );
  expect(destination.copy).toBeUndefined();
  expect(destination.failure).toMatchObject({ reason: 'StoredBytesDiffer', message: expect.stringContaining(volume) });
  expect(keys).not.toContain(key);
});

test('a place that lists in lower case what it finds under any case holds the backup', async () => {
  const capital = volume.replace('orders', 'Orders');
  const lower = (key: string): string => key.toLowerCase();
  const lowering = withFault({
    put: (asked, ...rest) => place.put(lower(asked), ...rest),
    stat: (asked, ...rest) => place.stat(lower(asked), ...rest),
    get: (asked, ...rest) => place.get(lower(asked), ...rest),
  });
  const commitOf = async (...names: readonly string[]): Promise<Destination> => {
    const destination = new Destination('place', true);
    destination.opened(lowering);
    await place.put(volume, new WholeBytes(Buffer.from(content)), {}, never);
    const manifest = manifestOf('nightly-1', { databases: names.map(storedAs) });
    await commit(manifest, [destination], tools, never);
    return destination;
  };
  // One file cannot be two databases.
  expect((await commitOf(volume, capital)).failure?.reason).toBe('StoredBytesDiffer');
  expect((await commitOf(capital, capital.toUpperCase())).failure?.reason).toBe('StoredBytesDiffer');
  expect((await commitOf(capital)).copy).toBeDefined();
});

test('a volume that a place lists late only is waited for', async () => {
  let listings = 0;
  const { destination } = await commitAt(
    withFault({
      async *list(...args) {
        listings += 1;
        if (listings > 2) yield* place.list(...args);
      },
    }),
  );
  expect(destination.copy).toBeDefined();
});

test('another try that committed first is not believed without its volumes', async () => {
  await place.put(key, new WholeBytes(Buffer.from(printManifest(theirsOfSameBackup))), {}, never);
  const { destination, keys } = await commitAt(place);
  expect(destination.copy).toBeUndefined();
  expect(destination.failure?.reason).toBe('StoredBytesDiffer');
  expect(keys).toEqual([key]);
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
