import { describe, expect, it } from 'vitest';
import type { BackupStatus } from '../../src/api/backup.ts';
import { annotations, type BackupPolicy } from '../../src/api/kinds.ts';
import type { BackupSeen } from '../../src/controller/backup/observe.ts';
import { planBackup } from '../../src/controller/backup/plan.ts';
import { findCondition } from '../../src/controller/conditions.ts';
import type { JobSeen } from '../../src/controller/run/pods.ts';
import { buildBackup, buildLocation, buildPolicy, buildRun, failed, succeeded } from '../builders/objects.ts';
import { backupVerdict } from '../builders/verdicts.ts';
import { terminated, testMode } from './fake-cluster.ts';

const now = '2026-01-01T03:00:10Z';
const nowMs = Date.parse(now);
const byHand = buildBackup({ name: 'by-hand', metadata: { creationTimestamp: '2026-01-01T03:00:00Z' } });

const asStatus = (status: unknown): BackupStatus | undefined => status as BackupStatus | undefined;

function look(given: Partial<BackupSeen> & { readonly policyObject?: BackupPolicy } = {}) {
  const { policyObject = buildPolicy(), ...more } = given;
  const seen: BackupSeen = {
    nowMs,
    backup: { object: byHand, fault: undefined },
    policy: { object: policyObject, fault: undefined },
    locations: new Map([['near', { object: buildLocation(), fault: undefined }]]),
    job: undefined,
    pods: [],
    progress: undefined,
    trouble: undefined,
    results: undefined,
    refused: undefined,
    siblings: [],
    turn: { admitted: true },
    mode: testMode,
    ...more,
  };
  const plan = planBackup(seen);
  const found = plan.actions.find((action) => action.type === 'set-status')?.status;
  const status = asStatus(found ?? seen.backup.object.status);
  const condition = findCondition(status?.conditions, 'Succeeded');
  return {
    order: plan.actions.map(({ type }) => type),
    status,
    says: condition && `${condition.status} ${condition.reason}`,
    told: plan.actions.flatMap((action) => (action.type === 'tell' ? [action.reason] : [])),
    deleted: plan.actions.flatMap((action) => (action.type === 'delete' ? [[action.name, action.propagation]] : [])),
    wakeAt: plan.wakeAt === undefined ? undefined : new Date(plan.wakeAt).toISOString(),
  };
}

const job = (uid = byHand.metadata.uid, more: Partial<JobSeen> = {}): JobSeen => ({
  metadata: {
    name: 'pgb-by-hand',
    namespace: 'shop',
    uid: 'job-uid',
    creationTimestamp: '2026-01-01T03:00:05Z',
    ownerReferences: [{ apiVersion: 'pgbackup.dev/v1beta1', kind: 'Backup', name: 'x', uid, controller: true }],
  },
  ...more,
});
const later = (hours: number): number => nowMs + hours * 3_600_000;

const slot = '2026-01-01T03:00:00Z';
const gone = { location: 'near', outcome: 'Missing', missingSince: slot } as const;
const ended = failed('DumpFailed', slot) ?? {};
const foundAndGone = {
  object: buildBackup({
    metadata: { annotations: { [annotations.foundUid]: 'u', [annotations.foundPolicyUid]: 'production' } },
    spec: { slot, import: { location: 'near', key: 'k' } },
    status: succeeded(slot, slot, { destinations: [gone] }),
  }),
  fault: undefined,
};
const withRemains: BackupSeen['locations'] = new Map([
  [
    'near',
    {
      object: buildLocation({ status: { remains: { removableFolders: ['nightly/nightly-20260101t030000z'] } } }),
      fault: undefined,
    },
  ],
]);

describe('The plan of a Backup', () => {
  it('makes its Job, notes it, and tells', () => {
    const seen = look();
    expect(seen.order).toEqual(['create', 'set-status', 'tell']);
    expect(seen.says).toBe('Unknown Starting');
    expect(seen.status).toMatchObject({ job: 'pgb-by-hand', phase: 'Pending' });
  });

  it('runs by hand also while the policy is suspended', () => {
    expect(look({ policyObject: buildPolicy({ spec: { suspend: true } }) }).order).toContain('create');
  });

  it('adopts the Job that it made before it died', () => {
    const seen = look({ job: job() });
    expect(seen.order).toEqual(['set-status']);
    expect(seen.status).toMatchObject({ job: 'pgb-by-hand' });
  });

  it.each<[string, Parameters<typeof look>[0]]>([
    ['PolicyMissing', { policy: undefined }],
    [
      'PolicyMissing',
      {
        policyObject: buildPolicy({ metadata: { deletionTimestamp: '2026-01-01T03:00:00Z' } }),
      },
    ],
    ['SpecInvalid', { policy: { object: buildPolicy(), fault: 'spec.x: unknown field' } }],
    ['LocationMissing', { locations: new Map() }],
    ['NameTaken', { job: job('somebody-else') }],
    ['PodRefused', { refused: 'exceeded quota' }],
  ])('waits for what others must bring in order, and fails after an hour: %s', (reason, given) => {
    const seen = look(given);
    expect(seen.says).toBe(`Unknown ${reason}`);
    expect(seen.told).toEqual([reason]);
    expect(seen.status?.phase).toBe('Pending');
    const final = look({ ...given, nowMs: later(1) });
    expect(final.says).toBe(`False ${reason}`);
    expect(final.status?.phase).toBe('Failed');
    expect(final.order).not.toContain('create');
  });

  it('asks again for what was refused, after saying so', () => {
    expect(look({ refused: 'exceeded quota' }).order).toEqual(['set-status', 'tell', 'create']);
  });

  it('takes what a best-effort destination cannot get as that destination’s failure', () => {
    const policyObject = buildPolicy({
      spec: { destinations: [{ location: 'near' }, { location: 'far', required: false }] },
    });
    const seen = look({ policyObject });
    expect(seen.order).toContain('create');
    expect(seen.status?.destinations).toMatchObject([
      { location: 'far', required: false, outcome: 'Failed', reason: 'LocationMissing' },
    ]);
  });

  it.each([
    ['True', succeeded('2026-01-01T03:00:00Z', now)],
    ['False', failed('DumpFailed', now)],
  ])('is over once Succeeded is %s: whatever is there or gone, it never runs again', (truth, status) => {
    const object = buildBackup({ name: 'by-hand', status: { ...status, job: 'pgb-by-hand' } });
    const backup = { object, fault: undefined };
    for (const found of [undefined, job(), job('somebody-else')]) {
      const seen = look({ backup, job: found });
      expect(seen.order).toEqual([]);
      expect(seen.says?.startsWith(truth)).toBe(true);
    }
  });

  it('deletes a finished Job a day after its answer was taken, and not sooner', () => {
    const backup = { object: buildBackup({ name: 'by-hand', status: succeeded(now, now) }), fault: undefined };
    const finished = job(undefined, { status: { conditions: [{ type: 'Complete', status: 'True' }] } });
    expect(look({ backup, job: finished })).toMatchObject({ order: [], wakeAt: '2026-01-02T03:00:10.000Z' });
    expect(look({ backup, job: finished, nowMs: later(24) }).deleted).toEqual([['pgb-by-hand', 'Background']]);
    const foreign = { ...finished, metadata: { ...finished.metadata, ownerReferences: [] } };
    expect(look({ backup, job: foreign, nowMs: later(24) }).deleted).toEqual([]);
  });

  it('ends a Job that still goes on although its Backup has failed', () => {
    const backup = {
      object: buildBackup({ name: 'by-hand', status: failed('PodUnschedulable', now) }),
      fault: undefined,
    };
    expect(look({ backup, job: job() }).deleted).toEqual([]);
    expect(look({ backup, job: job(), nowMs: nowMs + 120_000 }).deleted).toHaveLength(1);
  });

  it('fails when somebody deleted its Job', () => {
    const object = buildBackup({ name: 'by-hand', status: { job: 'pgb-by-hand' } });
    expect(look({ backup: { object, fault: undefined } }).says).toBe('False JobDeleted');
  });

  it('waits half a minute for details in the log, and ends without them rather than never', () => {
    const verdict = JSON.stringify(backupVerdict({ resultLines: 3 }));
    const pods = [
      {
        metadata: { name: 'pod', namespace: 'shop', uid: 'pod' },
        status: terminated(0, verdict, now) as never,
      },
    ];
    expect(look({ job: job(), pods })).toMatchObject({ order: [], wakeAt: '2026-01-01T03:00:15.000Z' });
    const given = look({ job: job(), pods, nowMs: nowMs + 30_000 });
    expect(given.says).toBe('True Succeeded');
    expect(given.status?.databases).toBeUndefined();
  });

  it.each([
    [
      'a run that names failed databases although it claims success',
      'False DatabaseFailed',
      {
        results: [
          { type: 'result', v: 1, kind: 'database', name: 'a', outcome: 'failed', reason: 'LockTimeout' },
        ] as const,
      },
    ],
    ['a run that says nothing of its only destination', 'False DestinationFailed', { verdict: { destinations: [] } }],
  ])(
    'takes no contradiction for a success: %s',
    (
      _title,
      says,
      {
        results,
        verdict,
      }: {
        readonly results?: BackupSeen['results'];
        readonly verdict?: Partial<ReturnType<typeof backupVerdict>>;
      },
    ) => {
      const message = JSON.stringify(backupVerdict({ resultLines: results?.length ?? 0, ...verdict }));
      const pods = [
        { metadata: { name: 'pod', namespace: 'shop', uid: 'pod' }, status: terminated(0, message, now) as never },
      ];
      expect(look({ job: job(), pods, results: results ?? [] }).says).toBe(says);
    },
  );

  describe('that is an import', () => {
    const importOf = (key: string, annotated: Readonly<Record<string, string>> = {}) => ({
      object: buildBackup({
        name: 'found',
        spec: { import: { location: 'near', key } },
        metadata: { creationTimestamp: now, annotations: annotated },
      }),
      fault: undefined,
    });
    const byUser = importOf('shop/nightly/found/manifest.json');

    it('never runs, and waits for the inspection that was just going to say what it is', () => {
      const backup = importOf('shop/nightly/found/manifest.json', { [annotations.foundUid]: 'u' });
      expect(look({ backup }).order).toEqual([]);
      expect(look({ backup, nowMs: nowMs + 120_000 }).says).toBe('Unknown Imported');
      expect(look({ backup, nowMs: nowMs + 120_000 }).order).toEqual(['set-status']);
    });

    it('says at once what it waits for when somebody made it, and does not wait for ever', () => {
      const first = look({ backup: byUser });
      expect(first).toMatchObject({
        says: 'Unknown Imported',
        order: ['set-status'],
        wakeAt: '2026-01-01T05:00:10.000Z',
      });
      expect(look({ backup: byUser, nowMs: later(1.9) }).says).toBe('Unknown Imported');
      const last = look({ backup: byUser, nowMs: later(2) });
      expect(last).toMatchObject({ says: 'False BackupMissing', told: ['BackupMissing'] });
    });

    it('waits for its location within the budget of references', () => {
      const locations = new Map();
      expect(look({ backup: byUser, locations }).says).toBe('Unknown LocationMissing');
      expect(look({ backup: byUser, locations, nowMs: later(1) }).says).toBe('False LocationMissing');
      const broken = new Map([['near', { object: buildLocation(), fault: 'spec.s4: unknown' }]]);
      expect(look({ backup: byUser, locations: broken }).says).toBe('Unknown SpecInvalid');
    });

    it.each(['shop/nightly/other/manifest.json', 'prod/nightly/found/manifest.json', 'found.dump', 'k'])(
      'fails at once when no inspection would ever show %s as this object',
      (key) => {
        const seen = look({ backup: importOf(key) });
        expect(seen.says).toBe('False SpecInvalid');
        expect(findCondition(seen.status?.conditions, 'Succeeded')?.message).toContain(
          'shop/(policy)/found/manifest.json',
        );
      },
    );
  });

  describe('under concurrencyPolicy Replace', () => {
    const policyObject = buildPolicy({ spec: { concurrencyPolicy: 'Replace' } });
    const older = buildRun('2026-01-01T02:00:00Z');
    const newer = buildRun('2026-01-01T03:00:00Z');

    it('is ended for a newer run: first its Job, pods and all', () => {
      const of = { backup: { object: older, fault: undefined }, siblings: [newer], policyObject };
      expect(look({ ...of, job: job(older.metadata.uid) }).deleted).toEqual([['pgb-by-hand', 'Foreground']]);
      expect(look(of).says).toBe('False Aborted');
    });

    it('waits until the older run has ended', () => {
      const of = { backup: { object: newer, fault: undefined }, policyObject };
      expect(look({ ...of, siblings: [older] }).says).toBe('Unknown Queued');
      const ended = buildRun('2026-01-01T02:00:00Z', failed('Aborted', now));
      expect(look({ ...of, siblings: [ended] }).order).toContain('create');
    });

    it('leaves manual Backups alone', () => {
      expect(look({ siblings: [newer], policyObject, job: job() }).deleted).toEqual([]);
    });
  });
});

describe('An ended Backup', () => {
  it.each<[string, number, Partial<BackupSeen>, boolean]>([
    ['goes in time', 10, {}, true],
    ['stays for a while', 8, {}, false],
    ['is left to its policy', 10, { policy: { object: buildPolicy(), fault: undefined } }, false],
    [
      'goes although a policy has its name that did not make it',
      10,
      { backup: foundAndGone, policy: { object: buildPolicy(), fault: undefined } },
      true,
    ],
    ['stays while there are remains of it', 10, { locations: withRemains }, false],
    [
      'stays while it has data',
      10,
      { backup: { object: buildRun(slot, succeeded(slot, slot)), fault: undefined } },
      false,
    ],
    [
      'stays when it was made by hand',
      10,
      { backup: { object: { ...byHand, status: ended }, fault: undefined } },
      false,
    ],
  ])('without data and without a policy %s', (_title, days, more, goes) => {
    const backup = { object: buildRun(slot, failed('DumpFailed', slot)), fault: undefined };
    const seen = look({ nowMs: Date.parse(slot) + days * 24 * 3_600_000, backup, policy: undefined, ...more });
    expect(seen.deleted).toHaveLength(goes ? 1 : 0);
    expect(seen.order.filter((type) => type !== 'delete')).toEqual([]);
  });
});
