import { makeSigningPair } from '../../src/encryption/make-key-pair.ts';
import { describe, expect, it } from 'vitest';
import type { BackupPolicyStatus } from '../../src/api/backup-policy.ts';
import type { Backup, BackupLocation, BackupPolicy } from '../../src/api/kinds.ts';
import type { Action } from '../../src/controller/action.ts';
import { findCondition } from '../../src/controller/conditions.ts';
import type { ControllerMode } from '../../src/controller/mode.ts';
import { resultOf } from '../../src/controller/run/outcome.ts';
import { planPolicy } from '../../src/controller/policy/plan.ts';
import type { Read } from '../../src/controller/world/read-object.ts';
import {
  buildBackup,
  buildLocation,
  buildPolicy,
  buildRun,
  condition,
  failed,
  succeeded,
} from '../builders/objects.ts';
import { testMode } from './fake-cluster.ts';

const read = <T>(object: T, fault?: string): Read<T> => ({ object, fault });

interface Given {
  readonly policy?: BackupPolicy;
  readonly fault?: string;
  readonly backups?: readonly Backup[];
  readonly others?: readonly Backup[];
  readonly locations?: readonly BackupLocation[];
  readonly mode?: Partial<ControllerMode>;
  /** Of runs that have not ended. */
  readonly stuckAt?: string;
}

function look(now: string, given: Given = {}) {
  const { policy = buildPolicy(), backups = [], others = [], locations = [buildLocation()] } = given;
  const plan = planPolicy({
    nowMs: Date.parse(now),
    policy: read(policy, given.fault),
    locations: new Map(locations.map((location) => [location.metadata.name, read(location)])),
    backups,
    backupNamed: (name) => [...backups, ...others].find(({ metadata }) => metadata.name === name),
    stuckAt: (backup) =>
      given.stuckAt === undefined || resultOf(backup) !== undefined ? undefined : Date.parse(given.stuckAt),
    isNeeded: () => false,
    mode: { ...testMode, ...given.mode },
  });
  const status = plan.actions.find((action) => action.type === 'set-status')?.status ?? policy.status;
  return {
    created: plan.actions.flatMap((action) => (action.type === 'create' ? [action.object.metadata.name] : [])),
    status: status as BackupPolicyStatus,
    told: plan.actions.flatMap((action: Action) => (action.type === 'tell' ? [action.reason] : [])),
    order: plan.actions.map(({ type }) => type),
    asked: plan.actions.flatMap((action) => (action.type === 'expect-none' ? action.names : [])),
    wakeAt: plan.wakeAt === undefined ? undefined : new Date(plan.wakeAt).toISOString(),
  };
}

const reasonOf = (status: BackupPolicyStatus, type: string): string => {
  const found = findCondition(status.conditions, type);
  return `${found?.status} ${found?.reason}`;
};

/** A policy after its slots up to one have been handled. */
const handled = (handledSlot: string, spec: object = {}, status: Partial<BackupPolicyStatus> = {}): BackupPolicy => {
  const schedule = { schedule: '0 3 * * *', timeZone: 'Etc/UTC', ...spec };
  return buildPolicy({
    spec,
    status: { handledSlot, scheduledBy: `${schedule.schedule} ${schedule.timeZone}`, missedRuns: 0, ...status },
  });
};

describe('The plan of a policy', () => {
  it.each([
    ['podLabels', { podLabels: { 'team name': 'a' } }, 'team name'],
    ['podLabels', { podLabels: { 'Example.com/team': 'a' } }, 'Example.com/team'],
    ['nodeSelector', { nodeSelector: { '-disk': 'fast' } }, '-disk'],
    ['podAnnotations', { podAnnotations: { 'a/b/c': 'x' } }, 'a/b/c'],
    ['resources.limits', { resources: { limits: { 'me mory': '1Gi' } } }, 'me mory'],
  ])('is not ready when Kubernetes would refuse a key of runner.%s', (member, runner, key) => {
    const { status } = look('2026-01-02T03:00:01Z', { policy: buildPolicy({ spec: { runner } }) });
    expect(reasonOf(status, 'Ready')).toBe('False SpecInvalid');
    const message = findCondition(status.conditions, 'Ready')?.message ?? '';
    expect(message).toContain(`runner.${member} has the key "${key}"`);
    expect(message).toContain('example.com/name');
  });

  it('is ready with keys that Kubernetes takes', () => {
    const good = { 'example.com/Team_1.a': 'x', plain: '' };
    const runner = { podLabels: good, nodeSelector: good, podAnnotations: { ...good, 'Example.COM/x': 'y' } };
    const { status } = look('2026-01-02T03:00:01Z', { policy: buildPolicy({ spec: { runner } }) });
    expect(reasonOf(status, 'Ready')).toContain('True');
  });

  it('is not ready when no Job could hold what its runs must be told, and says what to do', () => {
    const hostKeys = Array.from({ length: 16 }, (_, index) => `ssh-ed25519 ${String(index).padStart(2000, 'A')}`);
    const sftp = { host: 'h', path: 'p', credentials: { secretName: 's' }, hostKeys };
    const names = Array.from({ length: 8 }, (_, index) => `place-${index}`);
    const locations = names.map((name) => buildLocation({ name, spec: { directory: undefined, sftp } }));
    const policy = buildPolicy({ spec: { destinations: names.map((location) => ({ location })) } });
    const { status, created } = look('2026-01-02T03:00:01Z', { policy, locations });
    expect(reasonOf(status, 'Ready')).toBe('False SpecInvalid');
    expect(reasonOf(status, 'Healthy')).toBe('False SpecInvalid');
    expect(findCondition(status.conditions, 'Ready')?.message).toContain('host keys');
    expect(created).toEqual([]);
  });

  it('creates the Backup first, then notes it, then tells', () => {
    const { created, status, told, order, wakeAt } = look('2026-01-01T03:00:00Z');
    expect(created).toEqual(['nightly-20260101t030000z']);
    expect(order).toEqual(['create', 'set-status', 'tell']);
    expect(told).toEqual(['RunCreated']);
    expect(status).toMatchObject({
      handledSlot: '2026-01-01T03:00:00Z',
      lastScheduleTime: '2026-01-01T03:00:00Z',
      nextScheduleTime: '2026-01-02T03:00:00Z',
      active: ['nightly-20260101t030000z'],
      missedRuns: 0,
      phase: 'Ready',
    });
    expect(wakeAt).toBe('2026-01-01T09:00:00.000Z');
  });

  it('counts found backups only of its own making, in places of its own', () => {
    const found = (policyUid: string | undefined, location: string): Backup =>
      buildBackup({
        name: 'nightly-20251231t030000z',
        spec: { slot: '2025-12-31T03:00:00Z', import: { location, key: 'k' } },
        metadata: { annotations: policyUid === undefined ? {} : { 'pgbackup.dev/found-policy-uid': policyUid } },
        status: succeeded('2025-12-31T03:00:00Z', '2025-12-31T03:01:00Z', {
          destinations: [{ location, outcome: 'Found' }],
        }),
      });
    const { uid } = buildPolicy().metadata;
    const own = buildRun('2026-01-02T03:00:00Z', failed('2026-01-02T03:00:00Z', '2026-01-02T03:01:00Z'));
    const healthy = (backup: Backup): string =>
      reasonOf(look('2026-01-01T02:00:00Z', { backups: [backup] }).status, 'Healthy');
    expect(healthy(found(uid, 'near'))).toBe('True LastRunSucceeded');
    // That of production, whose bucket is read here.
    expect(healthy(found('another', 'near'))).toBe('Unknown NoRunYet');
    expect(healthy(found(undefined, 'near'))).toBe('Unknown NoRunYet');
    expect(healthy(found(uid, 'elsewhere'))).toBe('Unknown NoRunYet');
    const both = look('2026-01-02T04:00:00Z', { backups: [found('another', 'near'), own] });
    expect(reasonOf(both.status, 'Healthy')).toBe('False LastRunFailed');
    expect(both.status.lastSuccessTime).toBeUndefined();
  });

  it('says when the next run starts, jitter and all', () => {
    const spec = { jitterSeconds: 3600 };
    const { status, wakeAt } = look('2026-01-01T02:00:00Z', { policy: buildPolicy({ spec }) });
    expect(status.nextScheduleTime).toBe(`${wakeAt?.slice(0, 19)}Z`);
    expect(status.nextScheduleTime).toMatch(/^2026-01-01T03:(?!00:00)/);
    // Its slot has come, its start has not.
    const policy = buildPolicy({ spec, status });
    expect(look('2026-01-01T03:00:00Z', { policy }).status.nextScheduleTime).toBe(status.nextScheduleTime);
  });

  it('does nothing twice: the same world asks for no action', () => {
    const first = look('2026-01-01T02:00:00Z');
    const again = look('2026-01-01T02:00:01Z', { policy: buildPolicy({ status: first.status }) });
    expect(again.order).toEqual([]);
    expect(again.wakeAt).toBe('2026-01-01T03:00:00.000Z');
  });

  it.each([
    ['a slot before the policy was made', '2026-01-01T02:59:59Z', {}, [], 0],
    ['the slot itself', '2026-01-01T03:00:00Z', {}, ['nightly-20260101t030000z'], 0],
    [
      'only the latest of several, and the others are counted',
      '2026-01-05T04:00:00Z',
      {},
      ['nightly-20260105t030000z'],
      4,
    ],
    [
      'nothing at or before the newest run: a crash before the status',
      '2026-01-01T03:00:01Z',
      {
        backups: [buildRun('2026-01-01T03:00:00Z')],
      },
      [],
      0,
    ],
    [
      'what was missed before a run whose status was not written',
      '2026-01-04T03:00:01Z',
      {
        backups: [buildRun('2026-01-04T03:00:00Z')],
      },
      [],
      3,
    ],
    [
      'nothing when the clock was set back',
      '2026-01-03T12:00:00Z',
      {
        policy: handled('2026-01-05T03:00:00Z'),
        backups: [buildRun('2026-01-05T03:00:00Z', succeeded('2026-01-05T03:00:00Z', '2026-01-05T03:01:00Z'))],
      },
      [],
      0,
    ],
    [
      'nothing for a found backup of the slot',
      '2026-01-01T05:00:00Z',
      {
        backups: [
          buildBackup({
            spec: { slot: '2026-01-01T03:00:00Z', import: { location: 'near', key: 'k' } },
            metadata: { annotations: { 'pgbackup.dev/found-policy-uid': buildPolicy().metadata.uid } },
            status: succeeded('2026-01-01T03:00:00Z', '2026-01-01T03:01:00Z'),
          }),
        ],
      },
      [],
      0,
    ],
    [
      'nothing without a schedule',
      '2026-01-05T04:00:00Z',
      {
        policy: buildPolicy({ spec: { schedule: undefined } }),
      },
      [],
      0,
    ],
    [
      'nothing for a Backup of that slot under a name of its own',
      '2026-01-01T03:00:00Z',
      {
        backups: [
          buildBackup({
            name: 'mine',
            spec: { slot: '2099-01-01T03:00:00Z' },
            status: succeeded('2026-01-01T01:00:00Z', '2026-01-01T01:00:00Z'),
          }),
        ],
      },
      ['nightly-20260101t030000z'],
      0,
    ],
  ] as const)('runs %s', (_title, now, given, created, missed) => {
    const seen = look(now, given);
    expect(seen.created).toEqual(created);
    expect(seen.status.missedRuns).toBe(missed);
    expect(reasonOf(seen.status, 'Ready')).toBe('True PolicyReady');
  });

  it('is past counting slots once they are noted', () => {
    const first = look('2026-01-05T04:00:00Z');
    expect(first.told).toEqual(['SlotsMissed', 'RunCreated', 'Overdue']);
    const run = buildRun('2026-01-05T03:00:00Z');
    const second = look('2026-01-05T04:00:01Z', { policy: buildPolicy({ status: first.status }), backups: [run] });
    expect(second.order).toEqual([]);
    expect(second.status.missedRuns).toBe(4);
  });

  it('counts none as missed that has a run, when several were made and nobody came to write down their slots', () => {
    const policy = handled('2026-01-01T03:00:00Z');
    const runs = ['2026-01-02', '2026-01-03', '2026-01-04'].map((day) => buildRun(`${day}T03:00:00Z`));
    const seen = look('2026-01-04T03:10:00Z', { policy, backups: runs });
    expect(seen).toMatchObject({ created: [], asked: [] });
    expect(seen.status).toMatchObject({ missedRuns: 0, handledSlot: '2026-01-04T03:00:00Z' });
  });

  it('asks for the run of a slot before the newest run, too, that is not seen', () => {
    const policy = handled('2026-01-01T03:00:00Z');
    const runs = ['2026-01-02', '2026-01-04'].map((day) => buildRun(`${day}T03:00:00Z`));
    const seen = look('2026-01-04T03:10:00Z', { policy, backups: runs });
    expect(seen.asked).toEqual(['nightly-20260103t030000z']);
    expect(seen.order[0]).toBe('expect-none');
    expect(seen.status.missedRuns).toBe(1);
  });

  it('skips a slot that is too late, and counts it once', () => {
    const policy = handled('2026-01-01T03:00:00Z', { startingDeadlineSeconds: 600 });
    expect(look('2026-01-02T03:10:00Z', { policy }).created).toHaveLength(1);
    const late = look('2026-01-02T03:10:01Z', { policy });
    expect(late.created).toEqual([]);
    expect(late.told).toContain('SlotTooLate');
    expect(late.status).toMatchObject({ missedRuns: 1, handledSlot: '2026-01-02T03:00:00Z' });
    const again = look('2026-01-02T03:10:02Z', {
      policy: handled('2026-01-01T03:00:00Z', { startingDeadlineSeconds: 600 }, late.status),
    });
    expect(again.status.missedRuns).toBe(1);
  });

  it('keeps a slot due while the policy is not ready, and counts what passes in the meantime', () => {
    const policy = handled('2026-01-01T03:00:00Z');
    const blocked = look('2026-01-02T04:00:00Z', { policy, locations: [] });
    expect(blocked).toMatchObject({ created: [], status: { missedRuns: 0, handledSlot: '2026-01-01T03:00:00Z' } });
    expect(reasonOf(blocked.status, 'Ready')).toBe('False LocationMissing');
    const later = look('2026-01-03T04:00:00Z', { policy: handled('', {}, blocked.status), locations: [] });
    expect(later).toMatchObject({ created: [], status: { missedRuns: 1, handledSlot: '2026-01-02T03:00:00Z' } });
    expect(later.told).toContain('SlotsMissed');
    const ready = look('2026-01-03T05:00:00Z', { policy: handled('', {}, later.status) });
    expect(ready).toMatchObject({ created: ['nightly-20260103t030000z'], status: { missedRuns: 1 } });
  });

  it.each([
    ['Forbid', [], [], '2026-01-01T03:00:00Z'],
    ['Allow', ['nightly-20260102t030000z'], ['RunCreated'], '2026-01-02T03:00:00Z'],
    ['Replace', ['nightly-20260102t030000z'], ['RunReplaced', 'RunCreated'], '2026-01-02T03:00:00Z'],
  ] as const)('heeds concurrencyPolicy %s while a run goes on', (concurrencyPolicy, created, told, handledSlot) => {
    const policy = handled('2026-01-01T03:00:00Z', { concurrencyPolicy, runner: { deadlineSeconds: 172_800 } });
    const seen = look('2026-01-02T03:00:00Z', { policy, backups: [buildRun('2026-01-01T03:00:00Z')] });
    expect(seen.created).toEqual(created);
    expect(seen.told).toEqual(told);
    expect(seen.status).toMatchObject({ handledSlot, missedRuns: 0 });
  });

  describe('whose run goes on when the next slot comes (Forbid)', () => {
    const spec = { runner: { deadlineSeconds: 172_800 } };
    const policy = handled('2026-01-01T03:00:00Z', spec);
    const going = buildRun('2026-01-01T03:00:00Z');
    const ended = buildRun('2026-01-01T03:00:00Z', succeeded('2026-01-01T03:00:00Z', '2026-01-02T05:00:00Z'));

    it('says what the slot waits for, and starts it when that has ended', () => {
      const waiting = look('2026-01-02T03:00:00Z', { policy, backups: [going] });
      const ready = findCondition(waiting.status.conditions, 'Ready');
      expect(ready?.message).toContain(`the slot of 2026-01-02T03:00:00Z waits for the end of ${going.metadata.name}`);
      const then = { policy: buildPolicy({ spec, status: waiting.status }), backups: [ended] };
      const after = look('2026-01-02T05:00:01Z', then);
      expect(after).toMatchObject({ created: ['nightly-20260102t030000z'], status: { missedRuns: 0 } });
      expect(findCondition(after.status.conditions, 'Ready')?.message).not.toContain('waits');
    });

    it('skips it, counts it and tells it once when the one after it comes', () => {
      const seen = look('2026-01-03T03:00:00Z', { policy, backups: [going] });
      expect(seen.created).toEqual([]);
      expect(seen.told).toContain('RunSkipped');
      expect(seen.status).toMatchObject({ missedRuns: 1, handledSlot: '2026-01-02T03:00:00Z' });
      const again = look('2026-01-03T03:00:01Z', {
        policy: buildPolicy({ spec, status: seen.status }),
        backups: [going],
      });
      expect(again.order).toEqual([]);
    });

    it('skips it when it is too late, and wakes for that', () => {
      const short = { ...spec, startingDeadlineSeconds: 600 };
      const waiting = look('2026-01-02T03:00:00Z', {
        policy: handled('2026-01-01T03:00:00Z', short),
        backups: [going],
      });
      expect(waiting).toMatchObject({ created: [], told: [], wakeAt: '2026-01-02T03:10:00.001Z' });
      const late = look('2026-01-02T03:10:00.001Z', {
        policy: buildPolicy({ spec: short, status: waiting.status }),
        backups: [going],
      });
      expect(late).toMatchObject({ created: [], told: ['RunSkipped'] });
      expect(late.status).toMatchObject({ missedRuns: 1, handledSlot: '2026-01-02T03:00:00Z' });
    });
  });

  it('runs beside Backups by hand, whatever concurrencyPolicy says', () => {
    const byHand = [
      buildBackup({ name: 'before-the-upgrade', metadata: { creationTimestamp: '2026-01-02T02:59:00Z' } }),
      buildBackup({ name: 'named-otherwise', spec: { slot: '2026-01-01T03:00:00Z' } }),
      buildRun('3000-01-01T03:00:00Z'),
    ];
    for (const concurrencyPolicy of ['Forbid', 'Replace'] as const) {
      const policy = handled('2026-01-01T03:00:00Z', { concurrencyPolicy, runner: { deadlineSeconds: 172_800 } });
      const seen = look('2026-01-02T03:00:00Z', { policy, backups: byHand });
      expect(seen.created).toEqual(['nightly-20260102t030000z']);
      expect(seen.told).toEqual(['RunCreated']);
    }
  });

  it('lets slots pass uncounted while it is suspended, and catches up with the latest', () => {
    const policy = handled('2026-01-01T03:00:00Z', { suspend: true });
    const suspended = look('2026-01-05T04:00:00Z', { policy });
    expect(suspended).toMatchObject({ created: [], status: { missedRuns: 0, handledSlot: '2026-01-04T03:00:00Z' } });
    expect(suspended.status.nextScheduleTime).toBeUndefined();
    expect(reasonOf(suspended.status, 'Ready')).toBe('True Suspended');
    const resumed = look('2026-01-05T05:00:00Z', { policy: handled('', {}, suspended.status) });
    expect(resumed).toMatchObject({ created: ['nightly-20260105t030000z'], status: { missedRuns: 0 } });
    expect(reasonOf(resumed.status, 'Healthy')).toBe('Unknown NoRunYet');
  });

  it('catches up with nothing that was too late while it was suspended', () => {
    const spec = { suspend: true, startingDeadlineSeconds: 600 };
    const suspended = look('2026-01-05T04:00:00Z', { policy: handled('2026-01-01T03:00:00Z', spec) });
    expect(suspended.status).toMatchObject({ missedRuns: 0, handledSlot: '2026-01-05T03:00:00Z' });
    const policy = handled('', { startingDeadlineSeconds: 600 }, suspended.status);
    expect(look('2026-01-05T05:00:00Z', { policy })).toMatchObject({ created: [], status: { missedRuns: 0 } });
  });

  it('makes up no slots of a schedule from before it was set', () => {
    const policy = buildPolicy({
      spec: { schedule: '30 * * * *' },
      status: { handledSlot: '2026-01-02T03:00:00Z', scheduledBy: '0 3 * * * Etc/UTC', missedRuns: 0 },
    });
    const seen = look('2026-01-02T12:00:00Z', {
      policy,
      backups: [buildRun('2026-01-02T03:00:00Z', succeeded('2026-01-02T03:00:00Z', '2026-01-02T03:01:00Z'))],
    });
    expect(seen).toMatchObject({ created: [], status: { missedRuns: 0, scheduledBy: '30 * * * * Etc/UTC' } });
    expect(seen.wakeAt).toBe('2026-01-02T12:30:00.000Z');
    // Hourly slots of the morning, which nobody had promised, are not overdue.
    expect(reasonOf(seen.status, 'Healthy')).toBe('True LastRunSucceeded');
  });

  it('spreads starts, each within its own slot', () => {
    const policy = handled(
      '2026-01-01T12:00:00Z',
      { schedule: '*/5 * * * *', jitterSeconds: 7200 },
      {
        scheduledBy: '*/5 * * * * Etc/UTC',
      },
    );
    const before = look('2026-01-01T12:05:00Z', { policy });
    expect(before.created).toEqual([]);
    const startsAt = Date.parse(before.wakeAt ?? '');
    expect(startsAt).toBeGreaterThan(Date.parse('2026-01-01T12:05:00Z'));
    expect(startsAt).toBeLessThan(Date.parse('2026-01-01T12:10:00Z'));
    expect(look(new Date(startsAt).toISOString(), { policy }).created).toEqual(['nightly-20260101t120500z']);
    expect(look(new Date(startsAt - 1).toISOString(), { policy }).created).toEqual([]);
  });

  it('says at once what is wrong with a schedule that the schema lets pass', () => {
    const bad = [
      ['61 3 * * *', 'Etc/UTC'],
      ['0 25 * * *', 'Etc/UTC'],
      ['0 3 32 * *', 'Etc/UTC'],
      ['0 3 30 2 *', 'Etc/UTC'],
      ['0 3 * 13 *', 'Etc/UTC'],
      ['0 3 * * 8', 'Etc/UTC'],
      ['0 3 L * *', 'Etc/UTC'],
      ['a b c d e', 'Etc/UTC'],
      ['0 3 * * MOON', 'Etc/UTC'],
      ['*/0 * * * *', 'Etc/UTC'],
      ['0 3 * * *', 'Europe/Atlantis'],
      ['0 3 * * *', '+01:00'],
    ] as const;
    for (const [schedule, timeZone] of bad) {
      // A colon does not pass the schema; the plan must not rely on that.
      const policy = { ...buildPolicy(), spec: { ...buildPolicy().spec, schedule, timeZone } };
      const { status, told, created } = look('2026-01-05T04:00:00Z', { policy });
      expect(reasonOf(status, 'Ready'), `${schedule} ${timeZone}`).toBe('False ScheduleInvalid');
      expect(findCondition(status.conditions, 'Ready')?.message).not.toBe('');
      expect(status.phase).toBe('NotReady');
      expect(told).toContain('ScheduleInvalid');
      expect(created).toEqual([]);
    }
  });

  it.each([
    ['SpecInvalid', { fault: 'spec.new: unknown field' }],
    ['LocationMissing', { locations: [] }],
    [
      'LocationReadOnly',
      { locations: [buildLocation({ spec: { s3: { bucket: 'abc', region: 'x' }, accessMode: 'ReadOnly' } })] },
    ],
    [
      'EncryptionRequired',
      { locations: [buildLocation({ spec: { s3: { bucket: 'abc', region: 'x' }, encryption: 'Required' } })] },
    ],
    [
      'SigningRequired',
      {
        locations: [
          buildLocation({
            spec: {
              s3: { bucket: 'abc', region: 'x' },
              signatures: { mode: 'Required', publicKeys: [makeSigningPair().publicKey] },
            },
          }),
        ],
      },
    ],
    ['ClaimRequired', { locations: [buildLocation({ spec: { directory: { path: '/backups' } } })] }],
    ['NameTaken', { others: [buildBackup({ spec: { policy: 'another' } })] }],
  ])('is not ready, and starts nothing: %s', (reason, given: Given) => {
    const seen = look('2026-01-01T03:00:00Z', given);
    expect(seen.created).toEqual([]);
    expect(reasonOf(seen.status, 'Ready')).toBe(`False ${reason}`);
    // No backup can be made: that is no health, whatever the last run was.
    expect(reasonOf(seen.status, 'Healthy')).toBe(`False ${reason}`);
    expect(seen.told).toEqual([reason]);
    expect(seen.status.handledSlot).toBeUndefined();
  });

  it('is not healthy when it is suspended and the last good run is more than a week old', () => {
    const spec = { suspend: true };
    const before = look('2026-01-07T03:00:00Z', { policy: buildPolicy({ spec }) });
    expect(reasonOf(before.status, 'Healthy')).toBe('Unknown Suspended');
    expect(before.wakeAt).toBeDefined();
    const after = look(before.wakeAt ?? '', { policy: buildPolicy({ spec, status: before.status }) });
    expect(reasonOf(after.status, 'Healthy')).toBe('False SuspendedLong');
    expect(reasonOf(after.status, 'Ready')).toBe('True Suspended');
    expect(after.told).toEqual(['SuspendedLong']);
    const run = buildRun('2026-01-07T03:00:00Z', succeeded('2026-01-07T03:00:00Z', '2026-01-07T03:01:00Z'));
    expect(
      reasonOf(look(before.wakeAt ?? '', { policy: buildPolicy({ spec }), backups: [run] }).status, 'Healthy'),
    ).toBe('True Suspended');
    const bad = buildRun('2026-01-07T03:00:00Z', failed('2026-01-07T03:00:00Z', '2026-01-07T03:01:00Z'));
    const failing = look('2026-01-07T04:00:00Z', { policy: buildPolicy({ spec }), backups: [bad] });
    expect(reasonOf(failing.status, 'Healthy')).toBe('False LastRunFailed');
  });

  it('is ready without a mirror that nothing requires', () => {
    const policy = buildPolicy({
      spec: { destinations: [{ location: 'near' }, { location: 'far', required: false }] },
    });
    const seen = look('2026-01-01T03:00:00Z', { policy });
    expect(seen.created).toHaveLength(1);
    expect(reasonOf(seen.status, 'Ready')).toBe('True PolicyReady');
    expect(findCondition(seen.status.conditions, 'Ready')?.message).toContain('far');
  });

  it('waits for the first inspection of its locations where that is asked for, but not for ever', () => {
    const mode = { firstInspectionGateMs: 300_000, policiesOutliveObjects: true };
    const locations = [buildLocation({ metadata: { creationTimestamp: '2026-01-01T03:00:00Z' } })];
    const held = look('2026-01-01T03:00:30Z', { mode, locations });
    expect(held).toMatchObject({ created: [], wakeAt: '2026-01-01T03:05:00.000Z' });
    expect(look('2026-01-01T03:05:00Z', { mode, locations }).created).toHaveLength(1);
    const inspected = buildLocation({ status: { lastProbeTime: '2026-01-01T03:00:10Z' } });
    expect(look('2026-01-01T03:00:30Z', { mode, locations: [inspected] }).created).toHaveLength(1);
    const broken = buildLocation({ status: { conditions: [condition('Available', 'False', 'StorageDenied')] } });
    expect(look('2026-01-01T03:00:30Z', { mode, locations: [broken] }).created).toHaveLength(1);
  });

  it('goes on after the newest found run where objects do not outlive the process', () => {
    const policy = buildPolicy({ metadata: { creationTimestamp: '2026-01-05T08:00:00Z' } });
    const backups = [buildRun('2026-01-02T03:00:00Z', succeeded('2026-01-02T03:00:00Z', '2026-01-02T03:01:00Z'))];
    expect(look('2026-01-05T08:00:01Z', { policy, backups }).created).toEqual([]);
    const seen = look('2026-01-05T08:00:01Z', { policy, backups, mode: { policiesOutliveObjects: true } });
    expect(seen).toMatchObject({ created: ['nightly-20260105t030000z'], status: { missedRuns: 2 } });
  });
});

describe('The health of a policy', () => {
  const at = (day: number, time = '03:00:00'): string => `2026-01-0${day}T${time}Z`;

  it.each([
    ['Unknown NoRunYet', '2026-01-01T02:00:00Z', []],
    ['True LastRunSucceeded', at(1, '04:00:00'), [buildRun(at(1), succeeded(at(1), at(1, '03:10:00')))]],
    [
      'False LastRunFailed',
      at(2, '04:00:00'),
      [
        buildRun(at(1), succeeded(at(1), at(1, '03:10:00'))),
        buildRun(at(2), failed('ServerUnreachable', at(2, '03:10:00'))),
      ],
    ],
    [
      'True BestEffortFailed',
      at(1, '04:00:00'),
      [
        buildRun(
          at(1),
          succeeded(at(1), at(1, '03:10:00'), {
            destinations: [
              { location: 'near', outcome: 'Stored' },
              { location: 'far', required: false, outcome: 'Failed', reason: 'StorageDenied' },
            ],
          }),
        ),
      ],
    ],
    ['True LastRunSucceeded', at(2, '08:59:59'), [buildRun(at(1), succeeded(at(1), at(1, '03:10:00')))]],
    ['False Overdue', at(2, '09:00:00'), [buildRun(at(1), succeeded(at(1), at(1, '03:10:00'))), buildRun(at(2))]],
    ['False Overdue', at(1, '09:00:00'), [buildRun(at(1))]],
  ] as const)('is %s at %s', (expected, now, backups) => {
    const policy = handled(now);
    const seen = look(now, { policy, backups });
    expect(reasonOf(seen.status, 'Healthy')).toBe(expected);
  });

  it('says what a run waits for', () => {
    const trouble = {
      status: 'Unknown',
      reason: 'WaitingForServer',
      message: 'connect ECONNREFUSED 10.0.0.7:5433',
    } as const;
    const waiting = (day: number) =>
      buildRun(at(day), { conditions: [{ type: 'Succeeded', lastTransitionTime: at(day), ...trouble }] });
    const told = (now: string, backups: readonly Backup[]) =>
      findCondition(look(now, { policy: handled(now), backups }).status.conditions, 'Healthy');
    const words = 'nightly-20260102t030000z waits: WaitingForServer: connect ECONNREFUSED 10.0.0.7:5433';
    expect(told(at(1, '03:01:00'), [waiting(1)])).toMatchObject({
      status: 'Unknown',
      message: `no run has ended yet; ${words.replace('20260102', '20260101')}`,
    });
    const good = buildRun(at(1), succeeded(at(1), at(1, '03:10:00')));
    expect(told(at(2, '03:01:00'), [good, waiting(2)])).toMatchObject({
      status: 'True',
      message: `nightly-20260101t030000z succeeded; ${words}`,
    });
    expect(told(at(2, '09:00:00'), [good, waiting(2)])).toMatchObject({
      reason: 'Overdue',
      message: `no run has ended since the slot of 2026-01-02T03:00:00Z; ${words}`,
    });
    const since = buildRun(at(2), succeeded(at(2), at(2, '03:10:00')));
    expect(told(at(2, '03:11:00'), [good, since])?.message).toBe('nightly-20260102t030000z succeeded');
  });

  it('is False while a run is stuck, and says what keeps it', () => {
    const policy = handled(at(2), {}, { nextScheduleTime: at(3) });
    const trouble = { status: 'Unknown', reason: 'ImageUnavailable', message: 'no such image' } as const;
    const conditions = [{ type: 'Succeeded', lastTransitionTime: at(2), ...trouble }];
    const good = buildRun(at(1), succeeded(at(1), at(1, '03:10:00')));
    const backups = [good, buildRun(at(2), { conditions })];
    const stuckAt = at(2, '03:02:00');
    const before = look(at(2, '03:01:59'), { policy, backups, stuckAt });
    expect(reasonOf(before.status, 'Healthy')).toBe('True LastRunSucceeded');
    expect(before.wakeAt).toBe('2026-01-02T03:02:00.000Z');
    const seen = look(stuckAt, { policy, backups, stuckAt });
    expect(reasonOf(seen.status, 'Healthy')).toBe('False RunStuck');
    expect(seen.told).toContain('RunStuck');
    expect(findCondition(seen.status.conditions, 'Healthy')?.message).toBe(
      'nightly-20260102t030000z cannot start: ImageUnavailable: no such image',
    );
    expect(seen.wakeAt).toBe('2026-01-02T09:00:00.000Z');
  });

  it('is looked at again when a slot becomes overdue', () => {
    const policy = handled(at(2), {}, { nextScheduleTime: at(3) });
    const backups = [buildRun(at(1), succeeded(at(1), at(1, '03:10:00'))), buildRun(at(2))];
    expect(look(at(2, '04:00:00'), { policy, backups }).wakeAt).toBe('2026-01-02T09:00:00.000Z');
  });
});

describe('The counts of a policy', () => {
  it('count each run once, found ones never, and those of an earlier policy of the name neither', () => {
    const backups = [
      buildRun('2026-01-02T03:00:00Z', succeeded('2026-01-02T03:00:00Z', '2026-01-02T03:10:00Z')),
      buildRun('2026-01-03T03:00:00Z', failed('DumpFailed', '2026-01-03T03:10:00Z')),
      buildRun(
        '2026-01-04T03:00:00Z',
        failed('DestinationFailed', '2026-01-04T03:10:00Z', {
          destinations: [{ location: 'near', outcome: 'Stored' }],
        }),
      ),
      buildRun('2026-01-05T03:00:00Z'),
      buildRun('2025-12-05T03:00:00Z', succeeded('2025-12-05T03:00:00Z', '2025-12-05T03:10:00Z')),
      buildBackup({
        name: 'found',
        spec: { import: { location: 'near', key: 'k' } },
        status: succeeded('2026-01-01T03:00:00Z', '2026-01-01T03:10:00Z'),
      }),
    ];
    const first = look('2026-01-05T03:01:00Z', { policy: handled('2026-01-05T03:00:00Z'), backups });
    expect(first.status.runs).toEqual({ Succeeded: 1, PartlyFailed: 1, Failed: 1 });
    const second = look('2026-01-05T03:02:00Z', { policy: handled('', {}, first.status), backups });
    expect(second.status.runs).toEqual(first.status.runs);
    const gone = look('2026-01-05T03:03:00Z', { policy: handled('', {}, first.status), backups: [] });
    expect(gone.status.runs).toEqual(first.status.runs);
  });

  it('forget uids without counting anything again, also when the newest are deleted', () => {
    const endAt = (number: number): string => new Date(Date.UTC(2026, 0, 1, 4) + number * 60_000).toISOString();
    const backups = Array.from({ length: 250 }, (_, number) => {
      return buildBackup({
        name: `run-${number}`,
        metadata: { creationTimestamp: endAt(number) },
        status: succeeded(endAt(number), endAt(number)),
      });
    });
    let status: BackupPolicyStatus = {};
    for (const shown of [backups.slice(0, 90), backups, backups.slice(0, 140), backups]) {
      const policy = buildPolicy({ spec: { schedule: undefined }, status });
      status = look('2026-02-01T00:00:00Z', { policy, backups: shown }).status;
      expect(status.countedUids?.length).toBeLessThanOrEqual(100);
    }
    expect(status.runs).toEqual({ Succeeded: 250, PartlyFailed: 0, Failed: 0 });
  });
});

describe('A policy whose last dump was made by programs older than the server', () => {
  const outdated = {
    reason: 'ProgramsOutdated',
    count: 1,
    message: 'pg_dump 15.18 is older than the server, 15.20',
  } as const;
  const run = (day: number, more: object) =>
    buildRun(
      `2026-01-0${day}T03:00:00Z`,
      succeeded(`2026-01-0${day}T03:00:00Z`, `2026-01-0${day}T03:01:00Z`, {
        storedBytes: 9,
        destinations: [{ location: 'near', outcome: 'Stored' }],
        ...more,
      }),
    );

  it('says so in a condition with the versions, and stays healthy', () => {
    const { status } = look('2026-01-04T12:00:00Z', { backups: [run(3, {}), run(4, { notes: [outdated] })] });
    expect(reasonOf(status, 'ProgramsCurrent')).toBe('False ProgramsOutdated');
    expect(findCondition(status.conditions, 'ProgramsCurrent')?.message).toContain('15.20');
    expect(reasonOf(status, 'Healthy')).toBe('True LastRunSucceeded');
  });

  it('takes it back when a newer run had programs as new as the server, and not before', () => {
    const before = look('2026-01-03T12:00:00Z', { backups: [run(3, { notes: [outdated] })] }).status;
    const policy = buildPolicy({ status: before });
    const later = (backups: readonly Backup[]) => look('2026-01-04T12:00:00Z', { policy, backups }).status;
    const failure = buildRun('2026-01-04T03:00:00Z', failed('ServerUnreachable', '2026-01-04T03:02:00Z'));
    expect(reasonOf(later([run(3, { notes: [outdated] }), failure]), 'ProgramsCurrent')).toBe('False ProgramsOutdated');
    expect(reasonOf(later([run(3, { notes: [outdated] }), run(4, {})]), 'ProgramsCurrent')).toBe(
      'True ProgramsCurrent',
    );
  });

  it('that never met older programs has no such condition', () => {
    expect(
      findCondition(look('2026-01-04T12:00:00Z', { backups: [run(4, {})] }).status.conditions, 'ProgramsCurrent'),
    ).toBe(undefined);
  });
});

describe('Times ahead of the clock', () => {
  const future = buildRun('3000-01-01T03:00:00Z', succeeded('2026-01-02T03:00:00Z', '2026-01-02T03:01:00Z'));
  const about = 'the slot of nightly-30000101t030000z is of 3000-01-01T03:00:00Z, which is ahead of the clock';

  it('are nobody’s slots: one Backup of the year 3000 stops no schedule, and is named', () => {
    const first = look('2026-01-02T03:00:00Z', { policy: handled('2026-01-01T03:00:00Z'), backups: [future] });
    expect(first.created).toEqual(['nightly-20260102t030000z']);
    expect(first.status).toMatchObject({
      handledSlot: '2026-01-02T03:00:00Z',
      lastScheduleTime: '2026-01-02T03:00:00Z',
    });
    expect(findCondition(first.status.conditions, 'Ready')).toMatchObject({ status: 'True' });
    expect(findCondition(first.status.conditions, 'Ready')?.message).toContain(about);
  });

  it('that a clock which jumped a year has stored stop nothing once it is right again', () => {
    const status = {
      scheduledSince: '2027-01-01T03:00:00Z',
      lastScheduleTime: '2027-01-01T03:00:00Z',
      lastSuccessTime: '2027-01-01T03:00:00Z',
    };
    const policy = handled('2027-01-01T03:00:00Z', {}, status);
    const ok = buildRun('2026-01-01T03:00:00Z', succeeded('2026-01-01T03:00:00Z', '2026-01-01T03:01:00Z'));
    const jumped = buildRun('2027-01-01T03:00:00Z', failed('ServerUnreachable', '2026-01-02T03:02:00Z'));
    const first = look('2026-01-02T12:00:00Z', { policy, backups: [ok, jumped] });
    expect(first.created).toEqual(['nightly-20260102t030000z']);
    expect(first.status).toMatchObject({
      handledSlot: '2026-01-02T03:00:00Z',
      lastSuccessTime: '2026-01-01T03:01:00Z',
      missedRuns: 0,
    });
    // A year later the run of then is found, and made no second time.
    const then = look('2027-01-01T03:00:01Z', { policy: handled('2026-12-31T03:00:00Z'), backups: [jumped] });
    expect(then.created).toEqual([]);
  });

  it('without any run let the next slot run', () => {
    const policy = handled('2027-01-01T03:00:00Z');
    const first = look('2026-01-02T12:00:00Z', { policy });
    expect(first.created).toEqual([]);
    expect(first.status.handledSlot).toBe('2026-01-02T12:00:00Z');
    const next = look('2026-01-03T03:00:00Z', { policy: buildPolicy({ status: first.status }) });
    expect(next.created).toEqual(['nightly-20260103t030000z']);
  });

  it.each(['0001-01-01T00:00:00Z', '9999-12-31T23:59:59Z'])(
    'as old or as new as %s are looked at to an end',
    (time) => {
      const status = { scheduledSince: time, lastScheduleTime: time, lastSuccessTime: time };
      for (const schedule of ['* * * * *', '0 0 29 2 *']) {
        const policy = handled(time, { schedule }, status);
        const { created } = look('2026-01-02T03:00:00Z', { policy, backups: [buildRun(time)] });
        expect(created.length).toBeLessThanOrEqual(1);
      }
    },
  );
});
