import { expect, it } from 'vitest';
import { maxDatabases } from '../../src/api/backup-policy.ts';
import { labels, type Backup, type RestoreRequest } from '../../src/api/kinds.ts';
import { lookAt } from '../../src/controller/look-at.ts';
import { isLookedAt, printKey, watchedAs, type KeyKind } from '../../src/controller/world/keys.ts';
import {
  readBackup,
  readLocation,
  readPolicy,
  readRestorePolicy,
  readRestoreRequest,
} from '../../src/controller/world/read-object.ts';
import { openRunnerLogs } from '../../src/controller/run/runner-logs.ts';
import { openTroubles } from '../../src/controller/troubles.ts';
import { World } from '../../src/controller/world/world.ts';
import { watchedKinds, worldIndexes, type WatchedKind } from '../../src/controller/world/world-indexes.ts';
import type { KubeObject } from '../../src/kube/client.ts';
import { ObjectCache } from '../../src/kube/object-cache.ts';
import { silentLog } from '../../src/support/log.ts';
import {
  buildBackup,
  buildLocation,
  buildPolicy,
  buildRestore,
  buildRestorePolicy,
  condition,
  failed,
  succeeded,
} from '../builders/objects.ts';
import { FakeCluster, testMode } from './fake-cluster.ts';

const budgetMs = 50;
const many = 5000;
const minute = 60_000;
const stampOf = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;
const nowMs = Date.parse('2026-01-01T03:00:00Z');
const longMessage = 'x'.repeat(1000);
const keep: Readonly<Partial<Record<WatchedKind, (object: KubeObject) => KubeObject>>> = {
  policy: readPolicy.keep,
  backup: readBackup.keep,
  location: readLocation.keep,
  restoreRequest: readRestoreRequest.keep,
  restorePolicy: readRestorePolicy.keep,
};

function manyOf<T>(build: (index: number) => T, count = many): T[] {
  return Array.from({ length: count }, (_, index) => build(index));
}

/** Backups of every kind for one policy: good ones with all the databases there may be, failed, found, vanished, and such as wait. */
function backupsOf(policy: string): readonly Backup[] {
  const names = manyOf((index) => `database_${index}`, maxDatabases);
  return manyOf((index) => {
    const at = nowMs - (index + 1) * minute;
    const metadata = { creationTimestamp: stampOf(at), labels: { [labels.policy]: policy } };
    const ended = succeeded(stampOf(at), stampOf(at + 1000), {
      ...(index < 100 ? { databases: { stored: names, failed: [] } } : {}),
      destinations: [{ location: 'near', outcome: index % 7 === 0 ? 'Missing' : 'Stored', missingSince: stampOf(at) }],
    });
    const statuses = [ended, failed('Internal', stampOf(at)), undefined];
    const spec =
      index % 11 === 0 ? { policy, import: { location: 'near', key: `k/${index}` } } : { policy, slot: stampOf(at) };
    const status = statuses[index % 3];
    return buildBackup({ name: `${policy}-${index}`, metadata, spec, ...(status === undefined ? {} : { status }) });
  });
}

/** Good ones, each of other databases. */
function variedBackups(): readonly Backup[] {
  return manyOf((index) => {
    const at = stampOf(nowMs - (index + 1) * 60 * minute);
    const databases = { stored: manyOf((each) => `database_${index}_${each}`, 20), failed: [] };
    const status = succeeded(at, at, { databases, destinations: [{ location: 'near', outcome: 'Stored' }] });
    return buildBackup({ name: `varied-${index}`, spec: { policy: 'varied', slot: at }, ...(status && { status }) });
  });
}

function requestsOf(policy: string): readonly RestoreRequest[] {
  return manyOf((index) =>
    buildRestore({ name: `${policy}-${index}`, metadata: { labels: { [labels.restorePolicy]: policy } } }),
  );
}

/** Whatever is asked for: the latest of many, schedules that are due for ever, or never. */
function extremeObjects(): Readonly<Partial<Record<WatchedKind, readonly object[]>>> {
  const times = ['0001-01-02T00:00:00Z', '1969-12-31T23:59:59Z', '3000-01-01T03:00:00Z', '9999-12-31T23:59:59Z'];
  const schedules = ['* * * * *', '0 0 29 2 *', '0 0 31 2-12/2 *', '*/7 3-5 * * 1-5'];
  const statuses = times.map((time) => ({
    handledSlot: time,
    lastScheduleTime: time,
    scheduledSince: time,
    countedThrough: time,
  }));
  const odd = statuses.flatMap((status, row) =>
    schedules.map((schedule, column) => ({
      name: `odd-${row}-${column}`,
      spec: { schedule, timeZone: 'Pacific/Apia', startingDeadlineSeconds: 604_800 },
      status,
    })),
  );
  const databases = { names: manyOf((index) => `database_${index}`, maxDatabases) };
  const destinations = [{ location: 'near' }, { location: 'far-1', backfill: 1000 }];
  const retention = { keepHourly: 48, keepDaily: 30, keepMonthly: 24, keepWithinDays: 30 };
  const source = { postgres: { host: 'db.example.com', credentials: { secretName: 'db' }, databases } };
  return {
    location: [
      buildLocation({ status: { backups: many, conditions: [condition('Available', 'True', 'ProbePassed')] } }),
      ...manyOf((index) => buildLocation({ name: `far-${index}`, status: { backups: many } }), 200),
    ],
    policy: [
      buildPolicy({
        spec: { source, jitterSeconds: 3600, schedule: '* * * * *', retention, repair: {}, destinations },
      }),
      buildPolicy({ name: 'varied', spec: { retention, repair: {}, destinations } }),
      ...odd.map((parts) => buildPolicy(parts)),
      ...manyOf((index) => buildPolicy({ name: `p-${index}` }), 1000),
    ],
    backup: [
      ...backupsOf('nightly'),
      ...variedBackups(),
      buildBackup({
        name: 'loud',
        status: failed('Internal', stampOf(nowMs), {
          destinations: manyOf((index) => ({ location: `far-${index}`, outcome: 'Failed', message: longMessage }), 8),
        }),
      }),
    ],
    restoreRequest: [...requestsOf('refresh'), buildRestore({ name: 'latest' })],
    restorePolicy: [buildRestorePolicy(), ...odd.map((parts) => buildRestorePolicy(parts))],
  };
}

it(`no look costs ${budgetMs} ms, whatever there is to be seen`, async () => {
  const cluster = new FakeCluster(stampOf(nowMs));
  const caches = Object.fromEntries(watchedKinds.map((kind) => [kind, new ObjectCache(worldIndexes[kind])])) as Record<
    WatchedKind,
    ObjectCache
  >;
  for (const [kind, objects] of Object.entries(extremeObjects()) as [WatchedKind, readonly KubeObject[]][]) {
    for (const object of objects) caches[kind].set(keep[kind]?.(structuredClone(object)) ?? object);
  }
  const read = Object.fromEntries(
    watchedKinds.map((kind) => {
      const cache = caches[kind];
      return [
        kind,
        {
          get: cache.get.bind(cache),
          list: (namespace?: string) => cache.list(namespace),
          byOwner: cache.byOwner.bind(cache),
          byIndex: cache.byIndex.bind(cache),
        },
      ];
    }),
  ) as unknown as ConstructorParameters<typeof World>[0];
  const { clock, client } = cluster;
  const sources = {
    world: new World(read, clock),
    client,
    clock,
    logs: openRunnerLogs({ client, clock, log: silentLog }),
    troubles: openTroubles({ client, clock, log: silentLog }),
    turns: { turnOf: () => ({ admitted: false, waitsFor: 'its turn' }) as const },
  };
  const { signal } = new AbortController();
  const looked: Record<string, number> = {};
  for (const kind of [
    'location',
    'policy',
    'retention',
    'repair',
    'backup',
    'restoreRequest',
    'restorePolicy',
  ] as const satisfies readonly KeyKind[]) {
    // Those that differ; the rest is there to be seen by them.
    const objects = caches[watchedAs(kind)].list(undefined).filter((raw) => isLookedAt(kind, raw));
    for (const { metadata } of objects.slice(0, 60)) {
      const key = printKey(kind, 'shop', metadata.name ?? '');
      const costs: number[] = [];
      for (let time = 0; time < 3; time += 1) {
        const before = process.cpuUsage();
        expect(await lookAt(sources, testMode, key, signal)).toBeDefined();
        const { user, system } = process.cpuUsage(before);
        costs.push((user + system) / 1000);
      }
      // The collector may strike in one of them.
      looked[key] = Math.min(...costs);
    }
  }
  expect(Object.keys(looked).length).toBeGreaterThan(150);
  const slow = Object.entries(looked).filter(([, ms]) => ms >= budgetMs);
  expect(slow).toEqual([]);
});
