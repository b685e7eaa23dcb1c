import { describe, expect, it } from 'vitest';
import type { BackupLocation, RestorePolicy, RestoreRequest } from '../../src/api/kinds.ts';
import type { RestorePolicyStatus } from '../../src/api/restore-policy.ts';
import type { RestoredSource } from '../../src/api/restore-spec.ts';
import { findCondition } from '../../src/controller/conditions.ts';
import { planRestorePolicy } from '../../src/controller/restore-policy/plan.ts';
import { restoreResultOf } from '../../src/controller/restore/outcome.ts';
import { stamp } from '../../src/domain/stamp.ts';
import { buildLocation, buildRestore, buildRestorePolicy, condition } from '../builders/objects.ts';

interface Given {
  readonly policy?: RestorePolicy;
  readonly requests?: readonly RestoreRequest[];
  readonly others?: readonly string[];
  readonly locations?: readonly BackupLocation[];
  readonly hasBackups?: boolean;
  readonly stuckAt?: string;
  readonly fault?: string;
}

function look(now: string, given: Given = {}) {
  const { policy = buildRestorePolicy(), requests = [], others = [], hasBackups = true } = given;
  const { locations = [buildLocation()] } = given;
  const names = [...others, ...requests.map(({ metadata }) => metadata.name)];
  const plan = planRestorePolicy({
    nowMs: Date.parse(now),
    policy: { object: policy, fault: given.fault },
    locations: new Map(locations.map((object) => [object.metadata.name, { object, fault: undefined }])),
    requests,
    isTaken: (name) => names.includes(name),
    hasBackups: () => hasBackups,
    stuckAt: (request) =>
      given.stuckAt === undefined || restoreResultOf(request) !== undefined ? undefined : Date.parse(given.stuckAt),
    mode: { claimRequired: true },
  });
  const creations = plan.actions.flatMap((action) => (action.type === 'create' ? [action.object] : []));
  const status = plan.actions.find((action) => action.type === 'set-status')?.status ?? policy.status;
  return {
    created: creations.map(({ metadata }) => metadata.name),
    objects: creations,
    deleted: plan.actions.flatMap((action) => (action.type === 'delete' ? [action.name] : [])),
    status: status as RestorePolicyStatus,
    told: plan.actions.flatMap((action) => (action.type === 'tell' ? [action.reason] : [])),
    order: plan.actions.map(({ type }) => type),
    wakeAt: plan.wakeAt === undefined ? undefined : stamp(plan.wakeAt),
  };
}

const reasonOf = (status: RestorePolicyStatus, type: string): string => {
  const found = findCondition(status.conditions, type);
  return `${found?.status} ${found?.reason}`;
};

const owner = { apiVersion: 'pgbackup.dev/v1beta1', kind: 'RestorePolicy', name: 'refresh', uid: 'uid-of-refresh' };
const source: RestoredSource = { backup: 'nightly-20260101t030000z', backupUid: 'one' };

/** The request of `refresh` for a slot of January 2026, or of its retry. */
function request(
  name: string,
  status?: RestoreRequest['status'],
  metadata: Partial<RestoreRequest['metadata']> = {},
): RestoreRequest {
  return buildRestore({
    name: `refresh-202601${name}`,
    metadata: {
      labels: { 'pgbackup.dev/restore-policy': 'refresh' },
      annotations: { 'pgbackup.dev/generation': '1' },
      ownerReferences: [{ ...owner, controller: true }],
      creationTimestamp: '2026-01-01T00:00:01Z',
      ...metadata,
    },
    ...(status === undefined ? {} : { status }),
  });
}
const at = (day: number, time: string): string => `2026-01-0${day}T${time}Z`;

function ended(
  reason: string,
  completedAt: string,
  more: Partial<RestoreRequest['status']> = {},
): RestoreRequest['status'] {
  const isGood = ['Restored', 'Unchanged', 'RecoveredAfterSwap'].includes(reason);
  return {
    conditions: [condition('Succeeded', isGood ? 'True' : 'False', reason, completedAt)],
    startedAt: completedAt.replace(/..Z$/, '00Z'),
    completedAt,
    databases: [{ target: 'app', outcome: isGood ? 'Restored' : 'Untouched' }],
    ...(isGood ? { source } : {}),
    ...more,
  };
}
const handled = (day: number, more: Partial<RestorePolicyStatus> = {}): RestorePolicyStatus => ({
  handledSlot: at(day, '04:00:00'),
  scheduledBy: '0 4 * * * Etc/UTC',
  scheduledSince: at(day, '04:00:00'),
  ...more,
});

describe('A RestorePolicy', () => {
  it('makes the request of a slot, which it owns, and wakes when it would be overdue', () => {
    const seen = look(at(2, '04:00:00'), { policy: buildRestorePolicy({ status: handled(1) }) });
    expect(seen.created).toEqual(['refresh-20260102t040000z']);
    expect(seen.objects[0]?.metadata).toMatchObject({
      labels: { 'pgbackup.dev/restore-policy': 'refresh' },
      annotations: { 'pgbackup.dev/generation': '1' },
      ownerReferences: [{ uid: 'uid-of-refresh', controller: true }],
    });
    expect(seen.objects[0]?.['spec']).toEqual(buildRestore().spec);
    expect(seen.status).toMatchObject({
      active: ['refresh-20260102t040000z'],
      lastScheduleTime: at(2, '04:00:00'),
      nextScheduleTime: at(3, '04:00:00'),
      handledSlot: at(2, '04:00:00'),
      missedRuns: 0,
      phase: 'Ready',
    });
    expect(seen.told).toEqual(['RestoreCreated']);
    expect(seen.order).toEqual(['create', 'set-status', 'tell']);
    // The next slot would come later: until ten it must have ended.
    expect(seen.wakeAt).toBe(at(2, '10:00:00'));
  });

  it.each([
    ['one that runs', request('02t040000z')],
    ['one that waits', request('02t040000z', { conditions: [condition('Succeeded', 'Unknown', 'Queued')] })],
    [
      'one that is cleared up',
      request('02t040000z', { conditions: [condition('Succeeded', 'Unknown', 'CleaningUp')] }),
    ],
    ['a retry', request('02t0400r2')],
    ['what an earlier policy of its name has left', request('02t040000z', undefined, { ownerReferences: [] })],
    ['one that is being deleted', request('02t040000z', undefined, { deletionTimestamp: at(2, '05:00:00') })],
  ])('keeps a slot waiting while another request goes on: %s', (_, going) => {
    const seen = look(at(3, '04:00:00'), { policy: buildRestorePolicy({ status: handled(2) }), requests: [going] });
    expect(seen.created).toEqual([]);
    expect(seen.told).not.toContain('RunSkipped');
    const ready = findCondition(seen.status.conditions, 'Ready');
    expect(ready?.message).toContain(`waits for the end of ${going.metadata.name}`);
    const next = look(at(4, '04:00:00'), { policy: buildRestorePolicy({ status: seen.status }), requests: [going] });
    expect(next.created).toEqual([]);
    expect(next.told).toContain('RunSkipped');
    expect(next.status.handledSlot).toBe(at(3, '04:00:00'));
    expect(seen.status.active).toEqual([going.metadata.name]);
  });

  describe('tries again', () => {
    const policy = buildRestorePolicy({
      spec: { retries: { limit: 2, backoffSeconds: 60 } },
      status: handled(2),
    });
    const first = request('02t040000z', ended('StorageUnreachable', at(2, '04:01:30')));
    const second = request('02t0400r1', ended('ConnectionLost', at(2, '04:05:00')));

    it('after a pause, what failed for a transient reason', () => {
      const early = look(at(2, '04:02:29'), { policy, requests: [first] });
      expect(early.created).toEqual([]);
      expect(early.wakeAt).toBe(at(2, '04:02:30'));
      const seen = look(at(2, '04:02:30'), { policy, requests: [first] });
      expect(seen.created).toEqual(['refresh-20260102t0400r1']);
      expect(seen.told).toContain('RestoreRetried');
      expect(seen.status.active).toEqual(['refresh-20260102t0400r1']);
      expect(seen.status.handledSlot).toBe(at(2, '04:00:00'));
    });

    it('after twice the pause the second time, and then no more', () => {
      const requests = [first, second];
      expect(look(at(2, '04:06:59'), { policy, requests }).created).toEqual([]);
      expect(look(at(2, '04:07:00'), { policy, requests }).created).toEqual(['refresh-20260102t0400r2']);
      const third = request('02t0400r2', ended('ConnectionLost', at(2, '04:09:00')));
      expect(look(at(2, '23:00:00'), { policy, requests: [...requests, third] }).created).toEqual([]);
    });

    it.each<readonly [string, RestoreRequest['status'], Partial<RestorePolicy['spec']>, string]>([
      ['what time does not heal', ended('CheckFailed', at(2, '04:01:30')), {}, at(2, '05:00:00')],
      ['what a user must bring in order', ended('SecretMissing', at(2, '04:01:30')), {}, at(2, '05:00:00')],
      ['what succeeded', ended('Restored', at(2, '04:01:30')), {}, at(2, '05:00:00')],
      [
        'what changed its target',
        ended('ConnectionLost', at(2, '04:01:30'), { databases: [{ target: 'app', outcome: 'Changed' }] }),
        {},
        at(2, '05:00:00'),
      ],
      [
        'what nobody knows the target of',
        { ...ended('RunnerKilled', at(2, '04:01:30')), databases: undefined },
        {},
        at(2, '05:00:00'),
      ],
      [
        'anything while it is suspended',
        ended('ConnectionLost', at(2, '04:01:30')),
        { suspend: true },
        at(2, '05:00:00'),
      ],
    ])('but not %s', (_, status, spec, now) => {
      const given = {
        policy: { ...policy, spec: { ...policy.spec, ...spec } },
        requests: [request('02t040000z', status)],
      };
      expect(look(now, given).created).toEqual([]);
    });

    it('but not when a newer slot has come: its own request is made', () => {
      const seen = look(at(3, '04:00:00'), { policy, requests: [first] });
      expect(seen.created).toEqual(['refresh-20260103t040000z']);
      const skipped = buildRestorePolicy({ status: handled(3) });
      expect(look(at(3, '05:00:00'), { policy: skipped, requests: [first] }).created).toEqual([]);
    });

    it('but not while another one goes on, nor under a name that is taken', () => {
      const manual = request('-by-hand');
      expect(look(at(2, '05:00:00'), { policy, requests: [first, manual] }).created).toEqual([]);
      const seen = look(at(2, '05:00:00'), { policy, requests: [first], others: ['refresh-20260102t0400r1'] });
      expect(seen.created).toEqual([]);
      expect(reasonOf(seen.status, 'Ready')).toBe('False NameTaken');
    });

    it('and keeps the failed request until then, whatever the history limit', () => {
      const none = { ...policy, spec: { ...policy.spec, failedRestoresHistoryLimit: 0 } };
      expect(look(at(2, '04:02:00'), { policy: none, requests: [first] }).deleted).toEqual([]);
      const over = request('02t040000z', ended('CheckFailed', at(2, '04:01:30')));
      expect(look(at(2, '04:02:00'), { policy: none, requests: [over] }).deleted).toEqual([over.metadata.name]);
    });
  });

  it('counts each request once, also when it is gone, and remembers what was restored', () => {
    const done = request('02t040000z', ended('Restored', at(2, '04:01:30')));
    const seen = look(at(2, '05:00:00'), { policy: buildRestorePolicy({ status: handled(2) }), requests: [done] });
    expect(seen.status).toMatchObject({
      runs: { Succeeded: 1, Unchanged: 0, Failed: 0 },
      lastSuccessTime: at(2, '04:01:30'),
      lastRestored: source,
      lastRestoredGeneration: 1,
      lastDurationSeconds: 30,
    });
    expect(reasonOf(seen.status, 'Healthy')).toBe('True LastRunSucceeded');
    const policy = buildRestorePolicy({ status: seen.status });
    expect(look(at(2, '06:00:00'), { policy, requests: [done] }).status.runs).toEqual(seen.status.runs);
    const gone = look(at(2, '06:00:00'), { policy });
    expect(gone.status.runs).toEqual(seen.status.runs);
    expect(gone.status.lastRestored).toEqual(source);
  });

  describe('asks for nothing when the source is still the same', () => {
    const restored = { lastRestored: source, lastRestoredGeneration: 1 };
    const unless = (
      status: Partial<RestorePolicyStatus>,
      more: Partial<RestorePolicy> = {},
      requests: RestoreRequest[] = [],
    ) => {
      const policy = { ...buildRestorePolicy({ status: handled(1, status) }), ...more };
      const [made] = look(at(2, '04:00:00'), { policy, requests }).objects;
      return (made?.['spec'] as { unlessRestored?: unknown } | undefined)?.unlessRestored;
    };

    it('as the one that was restored last', () => {
      expect(unless(restored)).toEqual(source);
      expect(unless({})).toBeUndefined();
    });

    it('but not with whenUnchanged Restore, and not after a change of the policy', () => {
      const { spec, metadata } = buildRestorePolicy();
      expect(unless(restored, { spec: { ...spec, whenUnchanged: 'Restore' } })).toBeUndefined();
      expect(unless(restored, { metadata: { ...metadata, generation: 2 } })).toBeUndefined();
    });

    it('nor after a failure that may have changed the target', () => {
      const untouched = request('01t040000z', ended('CheckFailed', at(1, '04:01:00')));
      expect(unless(restored, {}, [untouched])).toEqual(source);
      for (const databases of [undefined, [{ target: 'app', outcome: 'Changed' as const }]]) {
        const failed = request('01t040000z', { ...ended('RunnerKilled', at(1, '04:01:00')), databases });
        expect(unless(restored, {}, [failed])).toBeUndefined();
      }
    });
  });

  it('keeps as many ended requests of each kind as it says, the newest, after their facts are in its status', () => {
    const good = [1, 2, 3, 4, 5].map((day) => request(`0${day}t040000z`, ended('Restored', at(day, '04:01:00'))));
    const bad = [1, 2, 3].map((day) => request(`0${day}t0400r1`, ended('CheckFailed', at(day, '04:02:00'))));
    const foreign = request('01t0400r2', ended('CheckFailed', at(1, '04:02:00')), { ownerReferences: [] });
    const policy = buildRestorePolicy({ spec: { failedRestoresHistoryLimit: 1 }, status: handled(5) });
    const seen = look(at(5, '05:00:00'), { policy, requests: [...good, ...bad, foreign] });
    expect(seen.deleted).toEqual([
      'refresh-20260102t040000z',
      'refresh-20260101t040000z',
      'refresh-20260102t0400r1',
      'refresh-20260101t0400r1',
    ]);
    expect(seen.order.indexOf('delete')).toBeGreaterThan(seen.order.indexOf('set-status'));
    expect(seen.status.runs).toEqual({ Succeeded: 5, Unchanged: 0, Failed: 3 });
  });

  it.each<readonly [string, Given, string]>([
    [
      'a schedule that never comes',
      { policy: buildRestorePolicy({ spec: { schedule: '0 0 30 2 *' } }) },
      'ScheduleInvalid',
    ],
    ['no backups of its source', { hasBackups: false }, 'PolicyMissing'],
    [
      'no location of its files',
      {
        policy: buildRestorePolicy({
          spec: {
            template: { spec: { ...buildRestore().spec, source: { file: { location: 'sftp', pattern: '*.zip' } } } },
          },
        }),
      },
      'LocationMissing',
    ],
    ['a spec of another version', { fault: 'spec.mode: no' }, 'SpecInvalid'],
  ])('is not ready with %s, and makes nothing', (_, given, reason) => {
    const seen = look(at(3, '04:00:00'), given);
    expect(seen.created).toEqual([]);
    expect(reasonOf(seen.status, 'Ready')).toBe(`False ${reason}`);
    expect(seen.status.phase).toBe('NotReady');
  });

  it('reads files from a location that is ReadOnly', () => {
    const spec = { ...buildRestore().spec, source: { file: { location: 'near', pattern: '*.zip' } } };
    const policy = buildRestorePolicy({ spec: { template: { spec } } });
    const locations = [buildLocation({ spec: { ...buildLocation().spec, accessMode: 'ReadOnly' } })];
    expect(reasonOf(look(at(1, '05:00:00'), { policy, locations }).status, 'Ready')).toBe('True PolicyReady');
  });

  it('is not healthy after a failure, when a slot is overdue, and while its request cannot start', () => {
    const failed = request('02t040000z', ended('CheckFailed', at(2, '04:01:00')));
    const policy = buildRestorePolicy({ status: handled(2) });
    const after = look(at(2, '05:00:00'), { policy, requests: [failed] });
    expect(reasonOf(after.status, 'Healthy')).toBe('False LastRunFailed');
    expect(after.told).toEqual(['LastRunFailed']);
    const over = look(at(3, '10:00:01'), { policy, requests: [failed, request('03t040000z')] });
    expect(reasonOf(over.status, 'Healthy')).toBe('False Overdue');
    const stuck = look(at(3, '04:10:00'), { policy, requests: [request('03t040000z')], stuckAt: at(3, '04:03:00') });
    expect(reasonOf(stuck.status, 'Healthy')).toBe('False RunStuck');
  });
});
