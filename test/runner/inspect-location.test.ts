import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import { manifestKey, parseProbeKey, probeFolder, probePrefix } from '../../src/domain/layout.ts';
import { printManifest } from '../../src/domain/manifest.ts';
import type { InspectVerdict } from '../../src/domain/report.ts';
import type { InspectTask } from '../../src/domain/task.ts';
import { inspectLocation } from '../../src/runner/inspect/inspect-location.ts';
import { openDirectory } from '../../src/storage/directory.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { systemRandom } from '../../src/support/clock.ts';
import { changeStorage } from '../builders/change-storage.ts';
import { manifestOf } from './manifest-of.ts';
import { workshopOf } from './workshop-of.ts';

let folder: string;
let place: Storage;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inspect-'));
  place = openDirectory({ path: folder }, { random: systemRandom });
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

function taskOf(changes: Partial<InspectTask> = {}): InspectTask {
  return {
    version: 1,
    kind: 'inspect',
    namespace: 'shop',
    location: { name: 'place', place: { directory: { path: folder } } },
    accessMode: 'ReadWrite',
    inspector: '5eed5eed',
    probe: true,
    fullPart: false,
    pageSize: 1000,
    waitForSecretSeconds: 1,
    ...changes,
  };
}

async function lay(key: string, content: string): Promise<void> {
  await mkdir(dirname(join(folder, key)), { recursive: true });
  await writeFile(join(folder, key), content);
}

async function layBackup(id: string, changes = {}): Promise<void> {
  await lay(manifestKey('shop', 'nightly', id), printManifest(manifestOf(id, changes)));
  await lay(`shop/nightly/${id}/a1b2c3d4/orders.dump.zst`, 'bytes');
}

/** The real place, but for one of its operations. */
function withFault(fault: Partial<Storage>): Storage {
  return changeStorage(place, fault);
}

test('a good place passes the probe, and nothing is left of it', async () => {
  const verdict = await inspectLocation(taskOf({ fullPart: true }), workshopOf({ place }));
  expect(verdict).toMatchObject({ verdict: 'Succeeded', backups: 0, resultLines: 0, fullPart: true });
  expect(verdict.offers).toEqual({ conditions: 'Kept' });
  expect(Object.keys(verdict.latencies).sort()).toEqual([
    'abortMilliseconds',
    'conditionalPutMilliseconds',
    'deleteMilliseconds',
    'getMilliseconds',
    'listMilliseconds',
    'multipartMilliseconds',
    'putMilliseconds',
  ]);
  expect(await readdir(folder)).toEqual([]);
});

test('two inspectors, and two tries of one, never disturb each other', async () => {
  const tries = [
    ['5eed5eed', 'a1b2c3d4'],
    ['5eed5eed', 'e5f60718'],
    ['0ddba110', 'a1b2c3d4'],
    ['0ddba110', 'e5f60718'],
  ] as const;
  const look = ([inspector, attempt]: (typeof tries)[number]) =>
    inspectLocation(taskOf({ inspector }), workshopOf({ place }, { attempt }));
  for (let round = 0; round < 5; round += 1) {
    const verdicts = await Promise.all(tries.map(look));
    expect(verdicts.map(({ verdict, message }) => message ?? verdict)).toEqual(tries.map(() => 'Succeeded'));
  }
  expect(await readdir(folder)).toEqual([]);
});

test('what killed probes left a day ago goes, and nothing else does', async () => {
  const old = new Date(Date.now() - 25 * 3600 * 1000);
  const dead = [probePrefix, `${probeFolder('0ddba110', 'e5f60718')}put`, `${probeFolder('5eed5eed', 'e5f60718')}full`];
  const stays = [
    `${probeFolder('0ddba110', 'kept')}put`,
    '.pgbackup-probe-of-mine/notes',
    '.pgbackup-probes/list.txt',
    `${probeFolder('5eed5eed', 'e5f60718')}a.b`,
  ];
  for (const key of [...dead, ...stays]) {
    await lay(key, 'left');
    await utimes(join(folder, key), old, old);
  }
  const young = `${probeFolder('0ddba110', '12345678')}put`;
  await lay(young, 'at work');
  expect(await inspectLocation(taskOf(), workshopOf({ place }))).toMatchObject({ verdict: 'Succeeded' });
  const left: string[] = [];
  for await (const { key } of place.list('', undefined, new AbortController().signal)) left.push(key);
  expect(left).toEqual([...stays, young].sort());
  expect(dead.every((key) => parseProbeKey(key) !== undefined)).toBe(true);
});

const denied = new Failure('StorageDenied', 'not allowed');
const faults: [InspectVerdict['failedOperation'], string, () => Partial<Storage>, string][] = [
  ['put', 'refuses to be written to', () => ({ put: () => Promise.reject(denied) }), 'StorageDenied'],
  [
    'put',
    'acknowledges fewer bytes',
    () => ({ put: async (...args) => ({ ...(await place.put(...args)), bytes: 1 }) }),
    'StoredBytesDiffer',
  ],
  [
    'get',
    'gives other bytes back',
    () => ({
      async *get(...args) {
        for await (const chunk of place.get(...args)) yield chunk.map((byte) => byte ^ 1);
      },
    }),
    'StoredBytesDiffer',
  ],
  [
    'get',
    'gives the whole where a range is asked for',
    () => ({ get: (key, _range, signal) => place.get(key, undefined, signal) }),
    'StoredBytesDiffer',
  ],
  [
    'conditionalPut',
    'forgets for a moment that a key is there',
    () => ({ put: (key, body, _options, signal) => place.put(key, body, {}, signal) }),
    'StorageFailed',
  ],
  [
    'multipart',
    'refuses uploads in parts',
    () => ({
      put: (key, body, options, signal) =>
        options.inParts === true ? Promise.reject(denied) : place.put(key, body, options, signal),
    }),
    'StorageDenied',
  ],
  [
    'multipart',
    'changes the last byte of what comes in parts',
    () => ({
      async *get(key, range, signal) {
        for await (const chunk of place.get(key, range, signal))
          yield key.endsWith('/parts') ? chunk.map((byte, at) => (at === chunk.length - 1 ? 0 : byte)) : chunk;
      },
    }),
    'StoredBytesDiffer',
  ],
  [
    'abort',
    'keeps uploads that were given up, and refuses to abort them',
    () => ({
      async *listUnfinished(prefix) {
        yield { key: prefix, uploadId: 'stays', sinceMs: 1 };
      },
      removeUnfinished: () => Promise.reject(denied),
    }),
    'StorageDenied',
  ],
  ['list', 'lists nothing', () => ({ async *list() {} }), 'StorageFailed'],
  ['delete', 'refuses to delete', () => ({ delete: () => Promise.reject(denied) }), 'StorageDenied'],
  ['delete', 'only says that it deleted', () => ({ delete: async () => {} }), 'StorageFailed'],
];

test.each(faults)('a probe fails at %s when the place %s', async (operation, _, fault, reason) => {
  await layBackup('nightly-1');
  const verdict = await inspectLocation(taskOf(), workshopOf({ place: withFault(fault()) }));
  expect(verdict).toMatchObject({ verdict: 'Failed', reason, failedOperation: operation, resultLines: 0 });
});

test('a place that takes both of two writers at once is told, and can be used', async () => {
  const ignoring: Partial<Storage> = {
    put: (key, body, options, signal) => place.put(key, body, key.endsWith('/race') ? {} : options, signal),
  };
  const verdict = await inspectLocation(taskOf(), workshopOf({ place: withFault(ignoring) }));
  expect(verdict).toMatchObject({ verdict: 'Succeeded', offers: { conditions: 'Ignored' } });
  const looking: Partial<Storage> = { conditionalPut: false };
  const other = await inspectLocation(taskOf(), workshopOf({ place: withFault(looking) }));
  expect(other).toMatchObject({ verdict: 'Succeeded', offers: { conditions: 'LookedUp' } });
});

test('who may not see unfinished uploads passes the probe all the same', async () => {
  const blind: Partial<Storage> = {
    // oxlint-disable-next-line require-yield -- a listing that only fails
    async *listUnfinished() {
      throw denied;
    },
  };
  expect(await inspectLocation(taskOf(), workshopOf({ place: withFault(blind) }))).toMatchObject({
    verdict: 'Succeeded',
  });
});

test('a place that cannot be opened is a failed inspection with its reason', async () => {
  const verdict = await inspectLocation(taskOf(), workshopOf({}));
  expect(verdict).toMatchObject({ verdict: 'Failed', reason: 'StorageUnreachable', latencies: {} });
});

test('every backup of the namespace is told, and nothing else', async () => {
  await layBackup('nightly-2', {
    backup: { id: 'nightly-2', uid: 'u2', slot: '2026-01-01T03:00:00Z' },
    databases: [
      { name: 'orders', outcome: 'stored', artifacts: [] },
      { name: 'broken', outcome: 'failed', reason: 'LockTimeout', artifacts: [] },
      { name: 'gone', outcome: 'skipped', artifacts: [] },
    ],
  });
  await layBackup('nightly-1');
  await lay('other/nightly/nightly-9/manifest.json', printManifest(manifestOf('nightly-9', { namespace: 'other' })));
  await lay('shop/notes.txt', 'not ours');
  await lay('shop/nightly/half/a1b2c3d4/orders.dump.zst', 'a run without a manifest');
  const workshop = workshopOf({ place });
  const verdict = await inspectLocation(taskOf(), workshop);
  expect(verdict).toMatchObject({
    verdict: 'Succeeded',
    backups: 2,
    storedBytes: 2000,
    damagedManifests: 0,
    resultLines: 2,
  });
  expect(verdict.after).toBeUndefined();
  expect(workshop.results()).toMatchObject([
    { id: 'nightly-1', uid: 'uid-of-nightly-1', policy: 'nightly', stored: [] },
    {
      id: 'nightly-2',
      slot: '2026-01-01T03:00:00Z',
      stored: ['orders'],
      failed: [{ name: 'broken', reason: 'LockTimeout' }],
    },
  ]);
});

test('damaged manifests are told one by one and hide no good one', async () => {
  await layBackup('nightly-1');
  await lay('shop/nightly/nightly-2/manifest.json', '{"format": 1, "cut');
  await lay('shop/nightly/nightly-3/manifest.json', printManifest(manifestOf('nightly-1')));
  await lay('shop/nightly/nightly-4/manifest.json', JSON.stringify({ format: 99 }));
  const workshop = workshopOf({ place });
  const verdict = await inspectLocation(taskOf(), workshop);
  expect(verdict).toMatchObject({ verdict: 'Succeeded', backups: 1, damagedManifests: 3, resultLines: 4 });
  expect(workshop.results().map(({ kind }) => kind)).toEqual(['backup', 'damaged', 'damaged', 'damaged']);
});

test('pages tell every backup exactly once, and the last page says that it is the last', async () => {
  const ids = Array.from({ length: 23 }, (_, index) => `nightly-${String(index).padStart(2, '0')}`);
  for (const id of ids) await layBackup(id);
  const seen: unknown[] = [];
  let after: string | undefined;
  let pages = 0;
  do {
    const workshop = workshopOf({ place });
    const verdict = await inspectLocation(
      taskOf({ pageSize: 10, probe: pages === 0, ...(after === undefined ? {} : { after }) }),
      workshop,
    );
    expect(verdict.verdict).toBe('Succeeded');
    seen.push(...workshop.results().map((line) => line.kind === 'backup' && line.id));
    after = verdict.after;
    pages += 1;
  } while (after !== undefined && pages < 10);
  expect(seen).toEqual(ids);
  expect(pages).toBe(3);
});

test('a page ends early when its lines grow too long, and loses nothing', async () => {
  const databases = Array.from({ length: 500 }, (_, index) => ({
    name: `${index}`.padEnd(63, 'é'.repeat(30)),
    outcome: 'stored' as const,
    artifacts: [],
  }));
  const ids = Array.from({ length: 120 }, (_, index) => `nightly-${String(index).padStart(3, '0')}`);
  for (const id of ids) await layBackup(id, { databases });
  const first = workshopOf({ place });
  const verdict = await inspectLocation(taskOf(), first);
  expect(verdict.backups).toBeLessThan(120);
  expect(Buffer.byteLength(first.written())).toBeLessThan(5 * 1024 * 1024);
  const second = workshopOf({ place });
  const rest = await inspectLocation(taskOf({ after: verdict.after ?? '' }), second);
  expect(rest.after).toBeUndefined();
  expect([...first.results(), ...second.results()].map((line) => line.kind === 'backup' && line.id)).toEqual(ids);
});

test('a listing that breaks off after a good probe is a failed inspection, not a smaller catalogue', async () => {
  await layBackup('nightly-1');
  await layBackup('nightly-2');
  const broken: Partial<Storage> = {
    async *list(prefix, after, signal) {
      for await (const found of place.list(prefix, after, signal)) {
        yield found;
        if (prefix === 'shop/') throw new Failure('StorageFailed', 'slow down');
      }
    },
  };
  const verdict = await inspectLocation(taskOf(), workshopOf({ place: withFault(broken) }));
  expect(verdict).toMatchObject({
    verdict: 'Failed',
    reason: 'StorageFailed',
    message: 'the probe passed, but the catalogue cannot be read: slow down',
  });
  expect(verdict.failedOperation).toBeUndefined();
});

test('a ReadOnly place is listed and read, never written to', async () => {
  await layBackup('nightly-1');
  const writes: Partial<Storage> = {
    put: () => Promise.reject(new Failure('Internal', 'written')),
    delete: () => Promise.reject(new Failure('Internal', 'deleted')),
  };
  const verdict = await inspectLocation(taskOf({ accessMode: 'ReadOnly' }), workshopOf({ place: withFault(writes) }));
  expect(verdict).toMatchObject({ verdict: 'Succeeded', backups: 1 });
  expect(Object.keys(verdict.latencies).sort()).toEqual(['getMilliseconds', 'listMilliseconds']);
});

test('a ReadOnly place that lists but cannot be read says so', async () => {
  await layBackup('nightly-1');
  const unreadable: Partial<Storage> = {
    // oxlint-disable-next-line require-yield -- a stream that only fails
    async *get() {
      throw denied;
    },
  };
  const verdict = await inspectLocation(
    taskOf({ accessMode: 'ReadOnly' }),
    workshopOf({ place: withFault(unreadable) }),
  );
  expect(verdict).toMatchObject({ verdict: 'Failed', reason: 'StorageDenied', failedOperation: 'get' });
});
