import { describe, expect, it } from 'vitest';
import { annotations, finalizer, type Backup } from '../../src/api/kinds.ts';
import { backupRun } from '../../src/controller/policy/backup-run.ts';
import { deleteOldBackups } from '../../src/controller/policy/history.ts';
import { planPolicy } from '../../src/controller/policy/plan.ts';
import { stamp } from '../../src/domain/stamp.ts';
import { buildLocation, buildPolicy, buildRun, failed, succeeded } from '../builders/objects.ts';
import { seededRandom } from '../kube/manual-clock.ts';
import { testMode } from './fake-cluster.ts';

const now = '2026-03-01T12:00:00Z';
const nowMs = Date.parse(now);
const dayMs = 24 * 3_600_000;
/** So many days before the end of January: what vanished since may have vanished long ago. */
const at = (daysAgo: number, time = '03:00:00'): string =>
  `${stamp(nowMs - (daysAgo + 30) * dayMs).slice(0, 11)}${time}Z`;

const near = { location: 'near', required: true } as const;
const today = '2026-03-01T11:00:00Z';
const longAgo = '2026-02-15T11:00:00Z';
const missing = (since = longAgo) => ({ ...near, outcome: 'Missing', missingSince: since }) as const;
const failedRun = (daysAgo: number): Backup => buildRun(at(daysAgo), failed('DumpFailed', at(daysAgo, '03:01:00')));
const goodRun = (daysAgo: number, more: object = {}): Backup =>
  buildRun(at(daysAgo), succeeded(at(daysAgo), at(daysAgo, '03:01:00'), more));
const vanishedRun = (daysAgo: number, since = longAgo): Backup => goodRun(daysAgo, { destinations: [missing(since)] });
const found = (daysAgo: number, more: object = {}): Backup => {
  const run = goodRun(daysAgo, more);
  const { metadata, spec } = run;
  return {
    ...run,
    metadata: {
      ...metadata,
      annotations: { [annotations.foundUid]: 'u', [annotations.foundPolicyUid]: 'uid-of-nightly' },
    },
    spec: { ...spec, import: { location: 'near', key: 'k' } },
  };
};
const byHand = (run: Backup, name = 'by-hand'): Backup => ({ ...run, metadata: { ...run.metadata, name, uid: name } });

const limits = { successfulRunsHistoryLimit: 1, failedRunsHistoryLimit: 1 };

function goneOf(backups: readonly Backup[], spec = limits, isNeeded: (backup: Backup) => boolean = () => false) {
  const plan = deleteOldBackups(backups.map(backupRun), spec, nowMs, isNeeded);
  const names = plan.actions.flatMap((action) => (action.type === 'delete' ? [action.name] : []));
  return { names, wakeAt: plan.wakeAt === undefined ? undefined : stamp(plan.wakeAt) };
}
const namesOf = (backups: readonly Backup[]): readonly string[] => backups.map(({ metadata }) => metadata.name);

describe('The history of a policy', () => {
  it('loses failed runs that stored nothing beyond their limit, oldest first', () => {
    const old = [failedRun(5), failedRun(4), failedRun(3)];
    expect(goneOf([failedRun(2), ...old, goodRun(1)]).names).toEqual(namesOf(old));
    expect(goneOf([...old, goodRun(1)], { ...limits, failedRunsHistoryLimit: 3 }).names).toEqual([]);
  });

  it('loses runs whose data is gone from every place beyond their limit, found ones too, days after it was missed', () => {
    const backups = [vanishedRun(9), found(8, { destinations: [missing()] }), vanishedRun(7), goodRun(1)];
    expect(goneOf(backups).names).toEqual(namesOf(backups.slice(0, 2)));
    const fresh = vanishedRun(9, today);
    expect(goneOf([fresh, vanishedRun(7), goodRun(1)])).toEqual({ names: [], wakeAt: '2026-03-10T11:00:00Z' });
  });

  it('loses runs that retention has removed from every place, when no inspection under way can show them again', () => {
    const removed = (removedAt: string) => [
      { ...near, outcome: 'Removed', removedAt } as const,
      { location: 'far', outcome: 'Failed' } as const,
    ];
    const old = [
      goodRun(9, { destinations: removed(longAgo) }),
      found(8, { destinations: removed(longAgo) }),
      { ...goodRun(7, { destinations: removed(longAgo) }) },
    ];
    const held = { ...old[2], metadata: { ...goodRun(7).metadata, finalizers: [finalizer] } } as Backup;
    expect(goneOf([...old.slice(0, 2), held, goodRun(1)]).names).toEqual(namesOf(old));
    const fresh = goodRun(9, { destinations: removed(today) });
    expect(goneOf([fresh, goodRun(1)])).toEqual({ names: [], wakeAt: '2026-03-01T13:00:00Z' });
    expect(goneOf([byHand(goodRun(9, { destinations: removed(longAgo) })), goodRun(1)]).names).toEqual([]);
  });

  it.each<[string, Backup]>([
    ['with data', goodRun(9)],
    [
      'that retention has removed from one of two places',
      goodRun(9, {
        destinations: [
          { ...near, outcome: 'Removed', removedAt: longAgo },
          { location: 'far', outcome: 'Stored' },
        ],
      }),
    ],
    ['removed at a time that is not known', goodRun(9, { destinations: [{ ...near, outcome: 'Removed' }] })],
    [
      'with data at one of two places',
      goodRun(9, { destinations: [missing(), { location: 'far', outcome: 'Stored' }] }),
    ],
    ['with a word of a later version', goodRun(9, { destinations: [{ ...near, outcome: 'Frozen' }] })],
    ['missed at a time that is not known', goodRun(9, { destinations: [{ ...near, outcome: 'Missing' }] })],
    [
      'that failed in part',
      buildRun(at(9), failed('DatabaseFailed', at(9), { destinations: [{ ...near, outcome: 'Stored' }] })),
    ],
    ['that goes on', buildRun(at(9))],
    ['made by hand that failed', byHand(failedRun(9))],
    ['made by hand whose data is gone', byHand(vanishedRun(9))],
    [
      'imported by hand',
      byHand({
        ...vanishedRun(9),
        spec: { policy: 'nightly', deletionPolicy: 'Retain', import: { location: 'near', key: 'k' } },
      }),
    ],
    ['with a finalizer', { ...failedRun(9), metadata: { ...failedRun(9).metadata, finalizers: ['example.com/mine'] } }],
    ['that is being deleted', { ...failedRun(9), metadata: { ...failedRun(9).metadata, deletionTimestamp: now } }],
    ['without any destination', goodRun(9, { destinations: [] })],
  ])('keeps one %s', (_title, backup) => {
    const others = [failedRun(3), failedRun(2), vanishedRun(4), goodRun(1)];
    const spec = { successfulRunsHistoryLimit: 0, failedRunsHistoryLimit: 0 };
    expect(goneOf([backup, ...others], spec).names.toSorted()).toEqual(namesOf(others.slice(0, 3)).toSorted());
  });

  it('keeps one that has a Job or remains to clear up', () => {
    const needed = failedRun(9);
    const others = [failedRun(3), failedRun(2), goodRun(1)];
    expect(goneOf([needed, ...others], limits, (backup) => backup === needed).names).toEqual(namesOf([failedRun(3)]));
  });

  it('keeps the newest success, the newest end and the newest slot although all data is gone and nothing is to be kept', () => {
    const spec = { successfulRunsHistoryLimit: 0, failedRunsHistoryLimit: 0 };
    const newest = [vanishedRun(5), failedRun(2)];
    expect(goneOf([failedRun(6), vanishedRun(7), ...newest], spec).names.toSorted()).toEqual(
      namesOf([failedRun(6), vanishedRun(7)]).toSorted(),
    );
    // Of the newest slot, and begun before another one.
    const late = buildRun(at(1), failed('DumpFailed', at(1), { startedAt: at(8) }));
    expect(goneOf([failedRun(2), failedRun(3), late], spec).names).toEqual(namesOf([failedRun(3)]));
  });

  it('goes in steps', () => {
    const many = Array.from({ length: 300 }, (_, index) => failedRun(index + 2));
    const first = goneOf([...many, goodRun(1)]).names;
    expect(first).toHaveLength(50);
    expect(first[0]).toBe(many.at(-1)?.metadata.name);
  });
});

/** A Backup of any shape that can be. */
function anyBackup(fraction: () => number, index: number): Backup {
  const pick = <T>(...all: readonly T[]): T => all[Math.floor(fraction() * all.length)] as T;
  const made = pick(failedRun, goodRun, vanishedRun, found, (days: number) => buildRun(at(days)))(index + 1);
  const destinations = pick(
    made.status?.destinations,
    [missing(), { location: 'far', outcome: pick('Stored', 'Failed', 'Found') } as const],
    [missing(pick(today, longAgo))],
  );
  const status = made.status && { ...made.status, ...(destinations && { destinations }) };
  const backup = status === undefined ? made : { ...made, status };
  // What an inspection found may have been made by hand once; its object was not.
  if (fraction() < 0.1 && backup.spec.import === undefined) return byHand(backup, `by-hand-${index}`);
  return fraction() < 0.1 ? { ...backup, metadata: { ...backup.metadata, finalizers: ['x'] } } : backup;
}

describe('Whatever runs a policy has', () => {
  const seeds = Array.from({ length: 60 }, (_, seed) => seed);
  it.each(seeds)('what goes stands for nothing, and the policy says the same afterwards (seed %i)', (seed) => {
    const random = seededRandom(seed);
    const fraction = (): number => random.fraction();
    const all = Array.from({ length: 5 + Math.floor(fraction() * 40) }, (_, index) => anyBackup(fraction, index));
    const needed = new Set(all.filter(() => fraction() < 0.1).map(({ metadata }) => metadata.name));
    const spec = {
      successfulRunsHistoryLimit: Math.floor(fraction() * 4),
      failedRunsHistoryLimit: Math.floor(fraction() * 4),
    };
    const policy = buildPolicy({ spec, metadata: { creationTimestamp: '2025-01-01T00:00:00Z' } });
    const look = (backups: readonly Backup[], before = policy) => {
      const plan = planPolicy({
        nowMs,
        policy: { object: before, fault: undefined },
        locations: new Map([['near', { object: buildLocation(), fault: undefined }]]),
        backups,
        backupNamed: (name) => backups.find(({ metadata }) => metadata.name === name),
        stuckAt: () => undefined,
        isNeeded: ({ metadata }) => needed.has(metadata.name),
        mode: testMode,
      });
      const status = plan.actions.find((action) => action.type === 'set-status')?.status as typeof policy.status;
      const gone = new Set(plan.actions.flatMap((action) => (action.type === 'delete' ? [action.name] : [])));
      return { status: status ?? before.status, gone };
    };
    const first = look(all);
    const settled = { ...policy, ...(first.status === undefined ? {} : { status: first.status }) };
    let left = all;
    for (let { gone } = first; gone.size > 0; gone = look(left, settled).gone) {
      left = left.filter(({ metadata }) => !gone.has(metadata.name));
    }
    const isLeft = (backup: Backup | undefined): boolean => backup === undefined || left.includes(backup);
    const byStart = all
      .filter(({ status }) => status !== undefined)
      .toSorted((a, b) => backupRun(b).start - backupRun(a).start || b.metadata.name.localeCompare(a.metadata.name));
    expect(isLeft(byStart[0])).toBe(true);
    expect(isLeft(byStart.find((backup) => backupRun(backup).isGood))).toBe(true);
    for (const backup of all.filter((each) => !left.includes(each))) {
      expect(
        backup.status?.destinations?.every(({ outcome }) => outcome === 'Failed' || outcome === 'Missing') ?? true,
      ).toBe(true);
      expect(backup.status?.conditions?.[0]?.status).toMatch(/True|False/);
      expect(backup.metadata.finalizers).toBeUndefined();
      expect(backup.metadata.name).toMatch(/^nightly-/);
      expect(needed.has(backup.metadata.name)).toBe(false);
    }
    // Once it is written, nothing that is gone is missed: not by health, nor by slots, nor by counts.
    expect(look(left, settled).status).toEqual(look(all, settled).status);
  });
});
