import { rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import { printManifest } from '../../src/domain/manifest.ts';
import type { PruneTask } from '../../src/domain/task.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { changeStorage } from '../builders/change-storage.ts';
import {
  backupOf,
  deletionOf,
  pruneAt,
  retentionOf,
  startPruneStand,
  type PruneStand,
  type TestBackup,
} from './prune-stand.ts';

const hourMs = 3600_000;
let stand: PruneStand;
let before: readonly string[];
beforeEach(async () => {
  stand = await startPruneStand();
});
afterEach(() => stand.stop());

const [one, two, three] = [backupOf(1), backupOf(2), backupOf(3)];
const task = retentionOf([one, two], [three]);

/** Does it, and says whether anything was deleted. */
async function pruneThen(given: PruneTask, storage: Storage = stand.place) {
  before = await stand.left();
  const ended = await pruneAt(storage, given);
  const after = await stand.left();
  return { ...ended, gone: before.filter((key) => !after.includes(key)) };
}

async function put({ key, storedMs }: TestBackup, content: string): Promise<void> {
  await stand.put(key, content, storedMs);
}

describe('Retention deletes nothing where', () => {
  const newer = (changes: Parameters<typeof backupOf>[1]) => async () => stand.lay(backupOf(4, changes));
  const cases: readonly (readonly [string, () => Promise<unknown>, string])[] = [
    ['a newer backup of the policy is there', newer({}), 'NewerBackupThere'],
    [
      'a newer backup is there that the task names under another id',
      newer({
        manifest: {
          policy: { name: 'nightly', uid: 'made-before' },
          backup: { id: 'nightly-04', uid: one.manifest.backup.uid },
        },
      }),
      'NewerBackupThere',
    ],
    [
      'a newer backup is there whose time cannot be read',
      newer({ manifest: { startedAt: 'soon' } }),
      'NewerBackupThere',
    ],
    ['a newer manifest cannot be understood', () => put(backupOf(4), '{"format": 3}'), 'NewerBackupThere'],
    [
      'a newer backup is there, and nobody knows since when',
      async () => {
        await stand.lay(backupOf(4));
        await utimes(join(stand.folder, backupOf(4).key), 0, 0);
      },
      'NewerBackupThere',
    ],
    ['the newest backup is gone', () => rm(join(stand.folder, three.key)), 'NewestBackupMissing'],
    [
      'another backup stands in the place of the newest',
      () => put(three, printManifest({ ...three.manifest, backup: { id: 'nightly-03', uid: 'another' } })),
      'NewestBackupMissing',
    ],
    [
      'the manifest of the newest is that of another one',
      () => put(three, printManifest(two.manifest)),
      'ManifestInvalid',
    ],
    ['the manifest of the newest is damaged', () => put(three, 'x'), 'ManifestInvalid'],
    [
      'the newest says no time',
      () => put(three, printManifest({ ...three.manifest, completedAt: 'now' })),
      'ManifestInvalid',
    ],
    [
      'the newest was stored more than a day before it says it was made',
      async () => {
        const seconds = (three.storedMs - 25 * hourMs) / 1000;
        await utimes(join(stand.folder, three.key), seconds, seconds);
        await rm(join(stand.folder, two.key));
      },
      'StoredAhead',
    ],
  ];

  test.each(cases)('%s', async (_, change, reason) => {
    await stand.lay(one, two, three);
    await change();
    const { verdict, backups, gone } = await pruneThen(task);
    expect(verdict).toMatchObject({ verdict: 'Failed', reason, removed: 0, freedBytes: 0, resultLines: 0 });
    expect(verdict.message).not.toBe('');
    expect(backups).toEqual([]);
    expect(gone).toEqual([]);
  });

  test('more than a thousand manifests may be newer', async () => {
    await stand.lay(one, two, three);
    const many = changeStorage(stand.place, {
      async *list(prefix, ...rest) {
        yield* stand.place.list(prefix, ...rest);
        for (let index = 0; index <= 1000; index += 1)
          yield { key: `shop/nightly/x-${index}/manifest.json`, bytes: 1, modifiedAtMs: three.storedMs };
      },
    });
    const { verdict, gone } = await pruneThen(task, many);
    expect(verdict).toMatchObject({ verdict: 'Failed', reason: 'NewerBackupThere' });
    expect(gone).toEqual([]);
  });

  test.each<[string, () => Partial<Storage>, string]>([
    [
      'the listing breaks off',
      () => ({
        async *list(...given) {
          let listed = 0;
          for await (const found of stand.place.list(...given)) {
            listed += 1;
            if (listed > 8) throw new Failure('StorageFailed', 'the second page does not come');
            yield found;
          }
        },
      }),
      'StorageFailed',
    ],
    [
      'the newest is there and not listed',
      () => ({
        async *list(...given) {
          for await (const found of stand.place.list(...given)) if (found.key !== three.key) yield found;
        },
      }),
      'NewestBackupMissing',
    ],
    [
      'the place does not say whether the newest is there',
      () => ({ stat: () => Promise.reject(new Failure('StorageDenied', 'no')) }),
      'StorageDenied',
    ],
    [
      'what is to stay cannot be read',
      () => ({
        // oxlint-disable-next-line require-yield -- an object that only fails
        async *get() {
          throw new Failure('StorageUnreachable', 'silent');
        },
      }),
      'StorageUnreachable',
    ],
  ])('%s', async (_, fault, reason) => {
    await stand.lay(one, two, three);
    const { verdict, gone } = await pruneThen(task, changeStorage(stand.place, fault()));
    expect(verdict).toMatchObject({ verdict: 'Failed', reason, removed: 0 });
    expect(gone).toEqual([]);
  });

  test('a listing ends early, and what it left out is not looked at by a deletion either', async () => {
    await stand.lay(one, two, three);
    const failing = changeStorage(stand.place, {
      // oxlint-disable-next-line require-yield -- a listing that only fails
      async *list() {
        throw new Failure('StorageFailed', 'no page comes');
      },
    });
    const { verdict, gone } = await pruneThen(deletionOf([one, two]), failing);
    expect(verdict).toMatchObject({ verdict: 'Failed', reason: 'StorageFailed' });
    expect(gone).toEqual([]);
  });
});

describe('What is newer than the newest that is known, and stops nothing:', () => {
  test.each<[string, Parameters<typeof backupOf>[1]]>([
    ['a backup of another policy of that name', { manifest: { policy: { name: 'nightly', uid: 'another' } } }],
    ['an older backup that was stored later', { manifest: { startedAt: one.manifest.startedAt } }],
  ])('%s', async (_, changes) => {
    await stand.lay(one, two, three, backupOf(4, changes));
    const { verdict } = await pruneThen(task);
    expect(verdict).toMatchObject({ verdict: 'Succeeded', removed: 2 });
  });
});

describe('The last good copy stays where', () => {
  /** Whether `users`, or the globals, are in one of them alone. */
  const both = { databases: ['orders', 'users'], globals: true };
  const [whole, newer] = [backupOf(2, both), backupOf(3, both)];
  const keepsTwo = retentionOf([one, whole], [newer]);

  const lacks: readonly (readonly [string, () => Promise<unknown>, string])[] = [
    ['a volume of the newer one is missing', () => rm(join(stand.folder, keyOf(newer, 'users.dump.0002'))), '"orders"'],
    [
      'a volume of the newer one has another size',
      () => stand.put(keyOf(newer, 'users.dump'), 'short', newer.storedMs),
      '"orders"',
    ],
  ];
  test.each(lacks)('%s', async (_, change, first) => {
    await stand.lay(one, whole, newer);
    await change();
    const { verdict, backups, gone } = await pruneThen(keepsTwo);
    expect(verdict).toMatchObject({ verdict: 'Failed', reason: 'LastGoodCopy', refused: 2, removed: 0 });
    expect(backups.map(({ outcome, reason }) => [outcome, reason])).toEqual([
      ['Refused', 'LastGoodCopy'],
      ['Refused', 'LastGoodCopy'],
    ]);
    expect(backups[1]?.detail).toContain(first);
    expect(gone).toEqual([]);
  });

  const partial: readonly (readonly [string, TestBackup, Partial<PruneTask>, string])[] = [
    ['the newer one does not store a database', backupOf(3, { globals: true }), {}, '"users"'],
    ['the newer one does not store the globals', backupOf(3, { databases: both.databases }), {}, 'the globals'],
    [
      'the newer one failed to store a database',
      backupOf(3, {
        globals: true,
        manifest: {
          databases: newer.manifest.databases.map((each) =>
            each.name === 'users' ? { ...each, outcome: 'failed', artifacts: [] } : each,
          ),
        },
      }),
      {},
      '"users"',
    ],
  ];
  test.each(partial)('%s; the others go', async (_, newest, changes, first) => {
    await stand.lay(one, whole, newest);
    const { verdict, backups, gone } = await pruneThen(retentionOf([one, whole], [newest], changes));
    expect(verdict).toMatchObject({ verdict: 'PartlyFailed', reason: 'LastGoodCopy', refused: 1, removed: 1 });
    expect(backups[1]).toMatchObject({ outcome: 'Refused', reason: 'LastGoodCopy', bytes: 0 });
    expect(backups[1]?.detail).toContain(first);
    expect(gone.toSorted()).toEqual([...one.objects.keys()].toSorted());
  });

  test('a policy that stores no globals any more misses none', async () => {
    const newest = backupOf(3, { databases: both.databases });
    await stand.lay(one, whole, newest);
    const { verdict } = await pruneThen(retentionOf([one, whole], [newest], { globals: false }));
    expect(verdict).toMatchObject({ verdict: 'Succeeded', removed: 2 });
  });

  test('the copy that is to stay is older than the one that is to go', async () => {
    const old = backupOf(1, both);
    const newest = backupOf(3);
    await stand.lay(old, whole, newest);
    const { verdict, gone } = await pruneThen(retentionOf([whole], [old, newest]));
    expect(verdict).toMatchObject({ verdict: 'Failed', reason: 'LastGoodCopy', refused: 1 });
    expect(gone).toEqual([]);
  });

  test('the one that is to go says no time', async () => {
    const timeless = backupOf(1, { manifest: { startedAt: 'soon' } });
    await stand.lay(timeless, three);
    const ended = await pruneThen(retentionOf([timeless], [three]));
    expect(ended).toMatchObject({ verdict: { reason: 'LastGoodCopy', refused: 1 }, gone: [] });
  });

  test('the copy that is to stay says no time; then another one has to hold it', async () => {
    const timeless = backupOf(2, { manifest: { startedAt: 'soon' } });
    await stand.lay(one, timeless, backupOf(3, { databases: ['users'] }));
    const given = retentionOf([one], [timeless, backupOf(3, { databases: ['users'] })]);
    expect(await pruneThen(given)).toMatchObject({ verdict: { reason: 'LastGoodCopy', refused: 1 }, gone: [] });
    await stand.lay(three);
    expect((await pruneThen(retentionOf([one], [timeless, three]))).verdict).toMatchObject({ removed: 1 });
  });

  test('the newer one by its slot began earlier, because the other had waited for its turn: then it goes', async () => {
    const slot = new Date(Date.parse(two.manifest.startedAt) - 600_000).toISOString();
    const waited = backupOf(2, { manifest: { backup: { ...two.manifest.backup, slot } } });
    const startedAt = new Date(Date.parse(two.manifest.startedAt) - 60_000).toISOString();
    const byHand = backupOf(3, { manifest: { startedAt } });
    await stand.lay(waited, byHand);
    expect((await pruneThen(retentionOf([waited], [byHand]))).verdict).toMatchObject({
      verdict: 'Succeeded',
      removed: 1,
    });
  });

  test('the key of an encrypted newer one is missing, and goes when it is there', async () => {
    const sealed = backupOf(3, { isEncrypted: true });
    await stand.lay(one, sealed);
    const key = keyOf(sealed, 'key.enc');
    await rm(join(stand.folder, key));
    const given = retentionOf([one], [sealed]);
    expect(await pruneThen(given)).toMatchObject({ verdict: { reason: 'LastGoodCopy', refused: 1 }, gone: [] });
    await stand.put(key, 'a key', sealed.storedMs);
    expect((await pruneThen(given)).verdict).toMatchObject({ verdict: 'Succeeded', removed: 1 });
  });

  test('a backup of the floor is another one than the task says', async () => {
    const old = backupOf(2, both);
    const newest = backupOf(3);
    await stand.lay(backupOf(1, both), old, newest);
    const given = retentionOf([backupOf(1, both)], [old, newest]);
    const floor = (given.floor ?? []).map((each) => ({ ...each, uid: `not-${each.uid}` }));
    expect(await pruneThen({ ...given, floor })).toMatchObject({ verdict: { reason: 'LastGoodCopy' }, gone: [] });
    expect((await pruneThen(given)).verdict).toMatchObject({ verdict: 'Succeeded', removed: 1 });
  });

  test('the place does not list the volumes of what is to stay', async () => {
    await stand.lay(one, two, three);
    const hiding = changeStorage(stand.place, {
      async *list(...given) {
        for await (const found of stand.place.list(...given)) {
          if (!found.key.includes('/nightly-03/') || found.key === three.key) yield found;
        }
      },
    });
    expect(await pruneThen(task, hiding)).toMatchObject({ verdict: { reason: 'LastGoodCopy', refused: 2 }, gone: [] });
  });

  test('several backups together hold what one does, each the newest copy of something: then it goes', async () => {
    const users = backupOf(3, { databases: ['users'] });
    const rest = backupOf(4, { globals: true });
    await stand.lay(whole, users, rest);
    expect((await pruneThen(retentionOf([whole], [users, rest]))).verdict).toMatchObject({ removed: 1 });
  });
});

describe('A backup stays, and the others go, where', () => {
  const swapped: readonly (readonly [string, () => Promise<unknown>, string])[] = [
    ['its manifest is of another Backup', () => put(one, printManifest(withUid('another'))), 'OtherBackupThere'],
    ['its manifest has other bytes', () => put(one, `${printManifest(one.manifest)} `), 'OtherBackupThere'],
    ['its manifest was put there from elsewhere', () => put(one, printManifest(three.manifest)), 'ManifestInvalid'],
    [
      'its manifest is of another namespace',
      () => put(one, printManifest({ ...one.manifest, namespace: 'other' })),
      'ManifestInvalid',
    ],
    ['its manifest is no JSON', () => put(one, 'x'), 'ManifestInvalid'],
    ['its manifest is empty', () => put(one, ''), 'ManifestInvalid'],
    ['its manifest has 32 MiB of nothing', () => put(one, ' '.repeat(32 * 1024 * 1024)), 'ManifestInvalid'],
    ['its manifest is larger than any', () => put(one, 'x'.repeat(32 * 1024 * 1024 + 1)), 'ManifestInvalid'],
    [
      'its manifest is of a later format',
      () => put(one, printManifest(one.manifest).replace('"format": 1', '"format": 3')),
      'ManifestInvalid',
    ],
  ];
  describe.each([
    ['retention', () => task],
    ['a deletion', () => deletionOf([one, two])],
  ] as const)('%s names it, and', (_, given) => {
    test.each(swapped)('%s', async (_what, change, reason) => {
      await stand.lay(one, two, three);
      await change();
      const { verdict, backups, gone } = await pruneThen(given());
      expect(verdict).toMatchObject({ verdict: 'PartlyFailed', reason, refused: 1, removed: 1 });
      expect(backups[0]).toMatchObject({ id: 'nightly-01', outcome: 'Refused', reason, bytes: 0 });
      expect((backups[0]?.detail ?? '').length).toBeLessThanOrEqual(200);
      expect(gone.toSorted()).toEqual([...two.objects.keys()].toSorted());
    });
  });

  test('its manifest names volumes of others: those stay, too', async () => {
    const [artifact] = three.manifest.databases[0]?.artifacts ?? [];
    const thief = backupOf(1, {
      manifest: {
        databases: [
          { name: 'orders', outcome: 'stored', artifacts: artifact === undefined ? [] : [artifact] },
          {
            name: 'users',
            outcome: 'failed',
            artifacts:
              artifact === undefined
                ? []
                : [{ ...artifact, volumes: [{ key: '../../etc/passwd', bytes: 1, sha256: 'a'.repeat(64) }] }],
          },
        ],
      },
    });
    await stand.lay(thief, three);
    const { verdict, gone } = await pruneThen(retentionOf([thief], [three]));
    expect(verdict).toMatchObject({ verdict: 'Succeeded', removed: 1 });
    expect(gone.toSorted()).toEqual([...thief.objects.keys()].toSorted());
  });
});

function withUid(uid: string) {
  return { ...one.manifest, backup: { ...one.manifest.backup, uid } };
}

function keyOf({ objects }: TestBackup, name: string): string {
  return [...objects.keys()].find((key) => key.endsWith(`/${name}`)) ?? '';
}
