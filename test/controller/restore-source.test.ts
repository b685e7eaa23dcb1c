import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Backup, BackupLocation, BackupPolicy } from '../../src/api/kinds.ts';
import { resolveSource } from '../../src/controller/restore/resolve-source.ts';
import { stamp } from '../../src/domain/stamp.ts';
import {
  buildBackup,
  buildLocation,
  buildPolicy,
  buildRestore,
  condition,
  failed,
  succeeded,
} from '../builders/objects.ts';
import { testMode } from './fake-cluster.ts';

type Status = Backup['status'];

const at = (hour: number): string => `2026-01-02T${String(hour).padStart(2, '0')}:00:00Z`;
const copy = (location: string, more: object = {}) =>
  ({ location, required: true, outcome: 'Stored', manifestKey: `k-${location}`, ...more }) as const;
const good = (hour: number, more: Partial<Status> = {}): Status =>
  succeeded(at(hour), at(hour + 1), {
    destinations: [copy('near')],
    databases: { stored: ['app'], failed: [] },
    ...more,
  });
const named = (name: string, status?: Status): Backup =>
  buildBackup({ name, ...(status === undefined ? {} : { status }) });
const looked = { conditions: [condition('Available', 'True', 'ProbePassed')], lastProbeTime: at(1), backups: 3 };
const place = (name: string, more: object = {}): BackupLocation => buildLocation({ name, status: looked, ...more });

interface Given {
  readonly spec?: object;
  readonly backups?: readonly Backup[];
  readonly locations?: readonly BackupLocation[];
  readonly policy?: BackupPolicy;
  readonly now?: string;
}

function resolve(given: Given) {
  const { spec = {}, backups = [], locations = [place('near'), place('far')], now = at(20), policy } = given;
  const found = resolveSource({
    nowMs: Date.parse(now),
    request: buildRestore({ spec, metadata: { creationTimestamp: at(19) } }),
    locations: new Map(locations.map((object) => [object.metadata.name, { object, fault: undefined }])),
    backupNamed: (name) => backups.find(({ metadata }) => metadata.name === name),
    policyNamed: () => policy,
    backupsOfPolicy: (policy) => backups.filter((backup) => backup.spec.policy === policy),
    mode: testMode,
  });
  if (found.state !== 'found') return `${found.state} ${found.reason}: ${found.message}`;
  if ('file' in found) return `file at ${found.file.metadata.name}`;
  return `${found.backup.metadata.name} at ${found.copies.map(({ copy: { location } }) => location).join(', ')}`;
}

const latest = { source: { policy: { name: 'nightly', latest: true } } };
const upTo = (time: string) => ({ source: { policy: { name: 'nightly', at: time } } });
const byName = (more: object = {}) => ({ source: { backup: { name: 'one', ...more } } });

describe('The source of a restore', () => {
  const three = [named('one', good(1)), named('two', good(3)), named('three', good(5))];

  it.each<readonly [string, Given, string]>([
    ['the newest', { spec: latest, backups: three }, 'three at near'],
    ['the newest at a time, which may be its start', { spec: upTo(at(3)), backups: three }, 'two at near'],
    ['the newest before a time', { spec: upTo('2026-01-02T03:59:59+01:00'), backups: three }, 'one at near'],
    [
      'one that has failed in part, when it holds what is wanted',
      {
        spec: latest,
        backups: [...three, named('part', { ...failed('DatabaseFailed', at(8)), ...only(['app'], ['b'], 7) })],
      },
      'part at near',
    ],
    [
      'an older one, when the newer does not hold what is wanted',
      {
        spec: latest,
        backups: [...three, named('part', { ...failed('DatabaseFailed', at(8)), ...only(['b'], ['app'], 7) })],
      },
      'three at near',
    ],
    [
      'an older one, when the newer is damaged, has no copy, still runs, or is being deleted',
      {
        spec: latest,
        backups: [
          ...three,
          named('a', good(6, { conditions: [condition('Succeeded', 'False', 'BackupDamaged')] })),
          named('b', good(7, { destinations: [copy('near', { outcome: 'Failed' })] })),
          named('c', good(8, { destinations: [copy('near', { reason: 'ManifestInvalid' })] })),
          named('d', { startedAt: at(9), conditions: [condition('Succeeded', 'Unknown', 'Running')] }),
          named('e'),
          buildBackup({ name: 'f', status: good(9), metadata: { deletionTimestamp: at(10) } }),
        ],
      },
      'three at near',
    ],
    [
      'of one place only',
      {
        spec: { source: { policy: { name: 'nightly', latest: true, location: 'far' } } },
        backups: [...three, named('far', good(2, { destinations: [copy('near'), copy('far')] }))],
      },
      'far at far',
    ],
    [
      'all copies, required places first',
      {
        spec: byName(),
        backups: [
          named(
            'one',
            good(1, {
              destinations: [copy('x', { required: false }), copy('far', { outcome: 'Found' }), copy('near')],
            }),
          ),
        ],
        locations: [place('x'), place('near'), place('far')],
      },
      'one at far, near, x',
    ],
    [
      'the copy that is asked for',
      {
        spec: byName({ location: 'far' }),
        backups: [named('one', good(1, { destinations: [copy('near'), copy('far')] }))],
      },
      'one at far',
    ],
    [
      'what is left, when a place is gone',
      { spec: byName(), backups: [named('one', good(1, { destinations: [copy('gone'), copy('far')] }))] },
      'one at far',
    ],
    [
      'from a place that is ReadOnly',
      {
        spec: byName(),
        backups: [named('one', good(1))],
        locations: [place('near', { spec: { ...buildLocation().spec, accessMode: 'ReadOnly' } })],
      },
      'one at near',
    ],
    [
      'a backup whose databases are not known',
      { spec: byName(), backups: [named('one', good(1, { databases: undefined }))] },
      'one at near',
    ],
    [
      'the only database under another name',
      { spec: byName(), backups: [named('one', good(1, { databases: { stored: ['other'], failed: [] } }))] },
      'one at near',
    ],
    ['a file', { spec: { source: { file: { location: 'far', key: 'x' } } } }, 'file at far'],
  ])('is %s', (_, given, expected) => {
    expect(resolve(given)).toBe(expected);
  });

  it.each<readonly [string, Given, string]>([
    [
      'no backup at all',
      { spec: latest },
      'failed BackupMissing: no usable backup of nightly holds app; there are no committed ones at all',
    ],
    [
      'none that old, and names the newest five',
      { spec: upTo(at(1)), backups: [2, 3, 4, 5, 6, 7, 8].map((hour) => named(`b${hour}`, good(hour))) },
      `failed BackupMissing: no usable backup of nightly that was started at or before ${at(1)} holds app; there are: ${[
        8, 7, 6, 5, 4,
      ]
        .map((hour) => `b${hour} (started ${at(hour)}, at near: app)`)
        .join('; ')}; and 2 older ones`,
    ],
    [
      'none at that place',
      {
        spec: { source: { policy: { name: 'nightly', latest: true, location: 'far' } } },
        backups: [named('one', good(1))],
      },
      `failed BackupMissing: no usable backup of nightly at far holds app; there are: one (started ${at(1)}, at near: app)`,
    ],
    [
      'a backup that was never committed',
      { spec: byName(), backups: [named('one', { ...failed('DumpFailed', at(2)), destinations: [] })] },
      'failed BackupNotUsable: the Backup one has no copy that can be used (DumpFailed: )',
    ],
    [
      'a backup that is elsewhere',
      { spec: byName({ location: 'far' }), backups: [named('one', good(1))] },
      'failed BackupNotUsable: the Backup one is not at far; it is at near',
    ],
    [
      'a backup without the database',
      {
        spec: { source: { backup: { name: 'one' }, database: 'shop' } },
        backups: [named('one', good(1, { databases: { stored: ['a', 'b'], failed: [] } }))],
      },
      'failed BackupNotUsable: the Backup one does not hold shop; it holds a, b',
    ],
    [
      'a backup whose other database was meant',
      {
        spec: byName(),
        backups: [
          named('one', good(1, { databases: { stored: ['b'], failed: [{ name: 'app', reason: 'LockTimeout' }] } })),
        ],
      },
      'failed BackupNotUsable: the Backup one does not hold app; it holds b',
    ],
    [
      'a backup without one of several databases',
      {
        spec: {
          source: { backup: { name: 'one' } },
          target: {
            ...buildRestore().spec.target,
            database: undefined,
            databases: [
              { source: 'app', target: 'a' },
              { source: 'x', target: 'b' },
            ],
          },
        },
        backups: [named('one', good(1))],
      },
      'failed BackupNotUsable: the Backup one does not hold x; it holds app',
    ],
    ['a name that nobody has', { spec: byName() }, 'failed BackupMissing: there is no Backup one'],
  ])('fails with %s', (_, given, expected) => {
    expect(resolve(given)).toBe(expected);
  });

  it.each<readonly [string, Given, string]>([
    [
      'a backup that may be on its way',
      { spec: byName(), now: '2026-01-02T19:00:29Z' },
      'waits BackupMissing: there is no Backup one',
    ],
    [
      'a backup that still runs',
      { spec: byName(), backups: [named('one')] },
      'waits BackupNotUsable: the Backup one has not ended yet',
    ],
    [
      'the first look at a place, although something is known already',
      {
        spec: latest,
        backups: three,
        locations: [
          place('near'),
          buildLocation({ name: 'new', metadata: { creationTimestamp: '2026-01-02T19:30:00Z' } }),
        ],
      },
      'waits Inspecting: waits until new has been looked at for the first time',
    ],
    [
      'the rest of a catalogue',
      {
        spec: latest,
        backups: three,
        locations: [
          place('near', {
            metadata: { creationTimestamp: '2026-01-02T19:30:00Z' },
            status: {
              ...looked,
              backups: undefined,
              catalogue: { page: 1, backups: 1000, storedBytes: 1, damagedManifests: 0 },
            },
          }),
        ],
      },
      'waits Inspecting: waits until near has been looked at for the first time',
    ],
    [
      'places, when none of them is there',
      { spec: byName(), backups: [named('one', good(1, { destinations: [copy('gone'), copy('lost')] }))] },
      'waits LocationMissing: there is no BackupLocation gone; there is no BackupLocation lost',
    ],
    [
      'the place of a file',
      { spec: { source: { file: { location: 'gone', key: 'x' } } } },
      'waits LocationMissing: there is no BackupLocation gone',
    ],
  ])('waits for %s', (_, given, expected) => {
    expect(resolve(given)).toBe(expected);
  });

  describe('says what is the newest only when it is known', () => {
    const denied = { ...condition('Available', 'False', 'StorageDenied'), message: 'no such key' };
    const broken = (status: object = {}) => place('broken', { status: { conditions: [denied], ...status } });
    const known = { lastProbeTime: at(1), backups: 3 };
    const denies =
      'waits StorageDenied: what broken holds is not known (StorageDenied: no such key); name another location in the source, or mend this one';
    const policy = buildPolicy();
    const atBroken = [...three, named('four', good(7, { destinations: [copy('broken'), copy('near')] }))];
    const latestAt = (location: string) => ({ source: { policy: { name: 'nightly', latest: true, location } } });

    it.each<readonly [string, Given, string]>([
      [
        'not when a place was never read',
        { spec: latest, backups: three, locations: [place('near'), broken()] },
        denies,
      ],
      ['nor for a time', { spec: upTo(at(3)), backups: three, locations: [place('near'), broken()] }, denies],
      ['nor that there is none', { spec: latest, locations: [broken()] }, denies],
      [
        'nor when its inspection said nothing',
        {
          spec: latest,
          backups: three,
          locations: [
            place('x', {
              status: { conditions: [condition('Available', 'Unknown', 'Internal')], lastProbeTime: at(1) },
            }),
          ],
        },
        'waits Internal: what x holds is not known (Internal); name another location in the source, or mend this one',
      ],
      [
        'nor when its catalogue broke off',
        {
          spec: latest,
          backups: three,
          locations: [
            broken({ lastProbeTime: at(1), catalogue: { page: 1, backups: 9, storedBytes: 1, damagedManifests: 0 } }),
          ],
        },
        denies,
      ],
      [
        'nor when it was never looked at in all the time',
        {
          spec: latest,
          backups: three,
          locations: [buildLocation({ name: 'new', metadata: { creationTimestamp: at(18) } })],
        },
        'waits StorageUnreachable: what new holds is not known (Inspecting: it has not been looked at); name another location in the source, or mend this one',
      ],
      [
        'nor when a destination of the policy is not there yet',
        { spec: latest, backups: three, policy, locations: [place('other')] },
        'waits LocationMissing: there is no BackupLocation near',
      ],
      [
        'nor where there is no place',
        { spec: latest, locations: [] },
        'waits LocationMissing: there is no BackupLocation in this namespace',
      ],
      [
        'nor when another cluster stores to a place that has gone away',
        { spec: latest, backups: atBroken, locations: [place('near'), broken(known)] },
        denies,
      ],
      [
        'but when runs of this cluster went there',
        { spec: latest, backups: atBroken, policy, locations: [place('near'), broken(known)] },
        'four at broken, near',
      ],
      [
        'but when a place that has gone away holds none of the policy',
        { spec: latest, backups: three, locations: [place('near'), broken(known)] },
        'three at near',
      ],
      [
        'but of another place',
        { spec: latestAt('near'), backups: three, locations: [place('near'), broken()] },
        'three at near',
      ],
      ['nor of that place', { spec: latestAt('broken'), backups: three, locations: [place('near'), broken()] }, denies],
      [
        'nor of a place that is not there',
        { spec: latestAt('gone'), backups: three },
        'waits LocationMissing: there is no BackupLocation gone',
      ],
      [
        'nor that nobody has the name',
        { spec: byName(), locations: [broken()] },
        denies.replace('waits StorageDenied: ', 'waits StorageDenied: there is no Backup one; '),
      ],
      [
        'but what is named is taken all the same',
        { spec: byName(), backups: three, locations: [place('near'), broken()] },
        'one at near',
      ],
    ])('%s', (_, given, expected) => {
      expect(resolve(given)).toBe(expected);
    });

    it('and never takes a manifest from the future for the newest, but by its name', () => {
      const future = named('future', { ...good(1), startedAt: '2026-01-03T00:00:00Z' });
      expect(resolve({ spec: latest, backups: [...three, future] })).toBe('three at near');
      expect(resolve({ spec: upTo('2030-01-01T00:00:00Z'), backups: [...three, future] })).toBe('three at near');
      expect(resolve({ spec: latest, backups: [future] })).toBe(
        'failed BackupMissing: no usable backup of nightly holds app; there are: future (started 2026-01-03T00:00:00Z, which is still to come, at near: app)',
      );
      expect(resolve({ spec: { source: { backup: { name: 'future' } } }, backups: [future] })).toBe('future at near');
      // Two machines never agree to the second.
      const soon = named('soon', { ...good(1), startedAt: '2026-01-02T20:04:00Z' });
      expect(resolve({ spec: latest, backups: [...three, soon] })).toBe('soon at near');
    });
  });

  it('is always the newest that fits, whatever there is', () => {
    const backup = fc.record({
      hour: fc.integer({ min: 0, max: 17 }),
      place: fc.constantFrom('near', 'far'),
      outcome: fc.constantFrom('Stored' as const, 'Found' as const, 'Failed' as const),
      database: fc.constantFrom('app', 'other'),
      ended: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.array(backup, { maxLength: 12 }),
        fc.integer({ min: 0, max: 18 }),
        fc.constantFrom(undefined, 'near', 'far'),
        (all, hour, location) => {
          const backups = all.map((each, index) => {
            const status = good(each.hour, {
              destinations: [copy(each.place, { outcome: each.outcome })],
              databases: { stored: [each.database, 'more'], failed: [] },
              ...(each.ended ? {} : { conditions: [condition('Succeeded', 'Unknown', 'Running')] }),
            });
            return named(`b${index}`, status);
          });
          const source = { policy: { name: 'nightly', at: at(hour), ...(location === undefined ? {} : { location }) } };
          const said = resolve({ spec: { source }, backups });
          const fits = all.filter((each) => {
            const isThere = each.ended && each.outcome !== 'Failed' && (location ?? each.place) === each.place;
            return isThere && each.hour <= hour && each.database === 'app';
          });
          if (fits.length === 0) return said.startsWith('failed BackupMissing');
          const chosen = all[Number(/^b(\d+) at /.exec(said)?.[1] ?? Number.NaN)];
          return (
            chosen !== undefined && fits.includes(chosen) && chosen.hour === Math.max(...fits.map((each) => each.hour))
          );
        },
      ),
      { numRuns: 500 },
    );
  });
});

function only(stored: string[], lost: readonly string[], hour: number): Partial<NonNullable<Status>> {
  return {
    startedAt: at(hour),
    completedAt: stamp(Date.parse(at(hour)) + 1000),
    destinations: [copy('near')],
    databases: { stored, failed: lost.map((name) => ({ name, reason: 'LockTimeout' as const })) },
  };
}
