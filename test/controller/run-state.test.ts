import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planBackup } from '../../src/controller/backup/plan.ts';
import { findCondition } from '../../src/controller/conditions.ts';
import type { JobSeen, PodSeen } from '../../src/controller/run/pods.ts';
import { judgeRun, type RunSeen } from '../../src/controller/run/run-state.ts';
import type { BackupStatus } from '../../src/api/backup.ts';
import type { BackupVerdict } from '../../src/domain/report.ts';
import { buildBackup, buildLocation, buildPolicy } from '../builders/objects.ts';
import { backupVerdict, inspectVerdict } from '../builders/verdicts.ts';
import { testMode } from './fake-cluster.ts';

const now = '2026-01-02T04:00:00Z';
const nowMs = Date.parse(now);
const ago = (seconds: number): string => new Date(nowMs - seconds * 1000).toISOString();

type Conditions = NonNullable<NonNullable<JobSeen['status']>['conditions']>;

function buildJob(conditions: Conditions = [], createdAt = ago(600)): JobSeen {
  return {
    metadata: {
      name: 'pgb-by-hand',
      namespace: 'shop',
      uid: 'job',
      creationTimestamp: createdAt,
      ownerReferences: [
        {
          apiVersion: 'pgbackup.dev/v1beta1',
          kind: 'Backup',
          name: 'by-hand',
          uid: 'uid-of-by-hand',
          controller: true,
        },
      ],
    },
    spec: { activeDeadlineSeconds: 3600 },
    status: { conditions },
  };
}

function buildPod(status: PodSeen['status'], more: Partial<PodSeen['metadata']> = {}): PodSeen {
  const metadata = { name: 'pod', namespace: 'shop', uid: 'pod', creationTimestamp: ago(500), ...more };
  return { metadata, ...(status && { status }) };
}

const waiting = (reason: string, message?: string): PodSeen['status'] => ({
  phase: 'Pending',
  containerStatuses: [{ name: 'runner', state: { waiting: { reason, ...(message && { message }) } } }],
});
const ended = (exitCode: number, message?: string, reason?: string): NonNullable<PodSeen['status']> => ({
  phase: exitCode === 0 ? 'Succeeded' : 'Failed',
  containerStatuses: [
    {
      name: 'runner',
      state: { terminated: { exitCode, finishedAt: ago(60), ...(message && { message }), ...(reason && { reason }) } },
    },
  ],
});
const said = (verdict: Partial<BackupVerdict>): string => JSON.stringify(backupVerdict(verdict));
const running: PodSeen['status'] = {
  phase: 'Running',
  containerStatuses: [
    { name: 'istio-proxy', state: { terminated: { exitCode: 1 } } },
    { name: 'runner', state: { running: {} } },
  ],
};
const isTrue = (type: string, reason?: string, since = ago(30)): Conditions => [
  { type, status: 'True', lastTransitionTime: since, ...(reason && { reason }) },
];

const judge = (seen: Partial<RunSeen>) =>
  judgeRun({ nowMs, kind: 'backup', job: buildJob(), pods: [], startBudgetMs: 1_800_000, ...seen });

describe('A run', () => {
  it.each<[string, Partial<RunSeen>]>([
    ['Starting', { job: buildJob([], ago(5)) }],
    ['Starting', { pods: [buildPod({ phase: 'Pending' })] }],
    ['Starting', { pods: [buildPod(waiting('ContainerCreating'))] }],
    ['Starting', { pods: [buildPod(running)] }],
    ['PodRefused', { trouble: { creating: 'exceeded quota' } }],
    ['ImageUnavailable', { pods: [buildPod(waiting('ImagePullBackOff', 'no such image'))] }],
    ['ImageUnavailable', { pods: [buildPod(waiting('ErrImagePull'))] }],
    ['PodNotStarting', { pods: [buildPod(waiting('CreateContainerConfigError', 'secret not found'))] }],
    ['PodNotStarting', { pods: [buildPod(waiting('ContainerCreating'))], trouble: { starting: 'FailedMount: no' } }],
    [
      'PodUnschedulable',
      {
        pods: [buildPod({ phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'False', message: '0/3' }] })],
      },
    ],
    ['PodEvicted', { pods: [buildPod(running, { deletionTimestamp: ago(5) })] }],
    // A failed try that will be repeated is no end.
    ['Starting', { pods: [buildPod(ended(75, said({ verdict: 'Failed', reason: 'ServerUnreachable' })))] }],
    ['Running', { job: buildJob(isTrue('FailureTarget', 'DeadlineExceeded')), pods: [buildPod(running)] }],
  ])('that goes on is shown as %s', (reason, seen) => {
    expect(judge(seen)).toMatchObject({ phase: 'going', reason });
  });

  it('that a LimitRange refuses says what to write', () => {
    const creating = 'pods "x" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi';
    const message = expect.stringMatching(
      /is 1Gi, but limit is 2Gi; say with runner\.resources .*\{\} leaves/,
    ) as string;
    expect(judge({ trouble: { creating } })).toMatchObject({ phase: 'going', reason: 'PodRefused', message });
  });

  it.each<[string, boolean, Partial<RunSeen>]>([
    ['OutOfMemory', false, { job: buildJob(isTrue('Failed')), pods: [buildPod(ended(137, undefined, 'OOMKilled'))] }],
    ['RunnerKilled', false, { job: buildJob(isTrue('Failed')), pods: [buildPod(ended(137))] }],
    ['RunnerKilled', false, { job: buildJob(isTrue('Complete')), pods: [buildPod(ended(0))] }],
    ['RunnerKilled', false, { job: buildJob(isTrue('Complete')), pods: [] }],
    ['RunnerKilled', false, { job: buildJob(isTrue('Complete')), pods: [buildPod(ended(0, said({}).slice(0, 90)))] }],
    [
      'RunnerKilled',
      false,
      {
        job: buildJob(isTrue('Complete')),
        pods: [buildPod(ended(0, JSON.stringify(inspectVerdict())))],
      },
    ],
    ['DeadlineExceeded', false, { job: buildJob(isTrue('Failed', 'DeadlineExceeded')), pods: [] }],
    [
      'PodEvicted',
      false,
      {
        job: buildJob(isTrue('Failed', 'BackoffLimitExceeded')),
        pods: [
          buildPod({ ...ended(137), conditions: [{ type: 'DisruptionTarget', status: 'True', message: 'drain' }] }),
        ],
      },
    ],
    [
      'PodEvicted',
      false,
      { job: buildJob(isTrue('Failed')), pods: [buildPod({ phase: 'Failed', reason: 'Evicted' })] },
    ],
    [
      'PodEvicted',
      false,
      {
        job: buildJob(isTrue('FailureTarget', 'DeadlineExceeded', ago(200))),
        pods: [buildPod(running, { deletionTimestamp: ago(190) })],
      },
    ],
    ['DeadlineExceeded', true, { job: buildJob([], ago(3901)), pods: [buildPod(running)] }],
    [
      'PodUnschedulable',
      true,
      {
        pods: [
          buildPod(
            { phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'False' }] },
            { creationTimestamp: ago(1801) },
          ),
        ],
      },
    ],
    ['PodNotStarting', true, { pods: [buildPod({ phase: 'Pending' }, { creationTimestamp: ago(1801) })] }],
    ['PodRefused', true, { job: buildJob([], ago(1801)), trouble: { creating: 'exceeded quota' } }],
  ])('that ended without a word is judged as %s', (reason, stop, seen) => {
    expect(judge(seen)).toMatchObject({ phase: 'failed', reason, stop });
  });

  it.each<[string, Partial<RunSeen>]>([
    ['Succeeded', { pods: [buildPod(ended(0, said({})))] }],
    ['Succeeded', { pods: [buildPod(ended(137, said({}), 'OOMKilled'))], job: buildJob(isTrue('Failed')) }],
    [
      'Succeeded',
      {
        pods: [buildPod(ended(0, said({}))), buildPod(running, { name: 'later', creationTimestamp: ago(5) })],
      },
    ],
    ['PartlyFailed', { pods: [buildPod(ended(3, said({ verdict: 'PartlyFailed' })))] }],
    ['Failed', { pods: [buildPod(ended(77, said({ verdict: 'Failed' })))], job: buildJob(isTrue('Failed')) }],
    ['Failed', { pods: [buildPod(ended(77, said({ verdict: 'Failed' })))], job: buildJob(isTrue('FailureTarget')) }],
  ])('whose runner has spoken is what it said: %s', (verdict, seen) => {
    expect(judge(seen)).toMatchObject({ phase: 'ended', verdict: { verdict } });
  });

  it.each([
    ['Aborted', 'Failed', 'DeadlineExceeded', 'DeadlineExceeded'],
    ['Aborted', 'FailureTarget', 'DeadlineExceeded', 'DeadlineExceeded'],
    ['Aborted', 'Failed', 'BackoffLimitExceeded', 'Aborted'],
    ['ServerUnreachable', 'Failed', 'DeadlineExceeded', 'ServerUnreachable'],
  ] as const)('whose runner said %s, and whose Job %s by %s, is told as %s', (word, type, why, reason) => {
    const pods = [buildPod(ended(75, said({ verdict: 'Failed', reason: word, message: 'stopped by SIGTERM' })))];
    expect(judge({ pods, job: buildJob(isTrue(type, why)) })).toMatchObject({
      phase: 'ended',
      verdict: { verdict: 'Failed', reason },
    });
  });

  it('is judged by its last try, not by what an earlier one said', () => {
    const pods = [
      buildPod(ended(75, said({ verdict: 'Failed', reason: 'ServerUnreachable' }))),
      buildPod(ended(137, undefined, 'OOMKilled'), { name: 'later', creationTimestamp: ago(100) }),
    ];
    expect(judge({ pods, job: buildJob(isTrue('Failed')) })).toMatchObject({ phase: 'failed', reason: 'OutOfMemory' });
  });
});

describe('Succeeded', () => {
  const text = fc.oneof(
    fc.constantFrom(
      undefined,
      '',
      'Succeeded',
      '{"verdict":"Succeeded"}',
      said({ verdict: 'Failed', reason: 'DumpFailed' }),
      said({ verdict: 'PartlyFailed', reason: 'DatabaseFailed' }),
      said({ destinations: [] }),
      said({ destinations: [{ location: 'elsewhere', outcome: 'Stored' }] }),
      said({ destinations: [{ location: 'near', outcome: 'Failed', reason: 'StorageDenied' }] }),
      said({ v: 2 as 1 }),
      said({}).slice(0, -2),
      JSON.stringify(inspectVerdict()),
    ),
    fc.string(),
  );
  const state = fc.record(
    {
      terminated: fc.record(
        {
          exitCode: fc.constantFrom(0, 1, 3, 64, 75, 77, 137),
          message: text as fc.Arbitrary<string>,
          reason: fc.constantFrom('Completed', 'OOMKilled', 'Error'),
          finishedAt: fc.constantFrom(ago(10), ago(5000)),
        },
        { requiredKeys: [] },
      ),
      running: fc.constant({}),
      waiting: fc.record({ reason: fc.constantFrom('ContainerCreating', 'ImagePullBackOff') }),
    },
    { requiredKeys: [] },
  );
  const pod = fc.record({
    age: fc.integer({ min: 0, max: 9000 }),
    phase: fc.constantFrom('Pending', 'Running', 'Succeeded', 'Failed', 'Unknown'),
    state,
    deleted: fc.boolean(),
  });
  const job = fc.record({
    age: fc.integer({ min: 0, max: 9000 }),
    condition: fc.constantFrom(undefined, 'Complete', 'SuccessCriteriaMet', 'Failed', 'FailureTarget', 'Suspended'),
    exists: fc.boolean(),
    made: fc.boolean(),
  });

  it('is never True without a verdict that says so for every required destination', () => {
    fc.assert(
      fc.property(job, fc.array(pod, { maxLength: 3 }), (givenJob, givenPods) => {
        const conditions = givenJob.condition === undefined ? [] : isTrue(givenJob.condition);
        const pods = givenPods.map(({ age, phase, state: runner, deleted }, index) =>
          buildPod(
            { phase, containerStatuses: [{ name: 'runner', state: runner }] },
            {
              name: `pod-${index}`,
              creationTimestamp: ago(age),
              ...(deleted && { deletionTimestamp: ago(1) }),
            },
          ),
        );
        const backup = buildBackup({
          name: 'by-hand',
          metadata: { creationTimestamp: ago(givenJob.age) },
          ...(givenJob.made && {
            status: {
              job: 'pgb-by-hand',
              destinations: [{ location: 'near', required: true, outcome: 'Failed' as const }],
            },
          }),
        });
        const plan = planBackup({
          nowMs,
          backup: { object: backup, fault: undefined },
          policy: { object: buildPolicy(), fault: undefined },
          locations: new Map([['near', { object: buildLocation(), fault: undefined }]]),
          job: givenJob.exists ? withTask(buildJob(conditions, ago(givenJob.age))) : undefined,
          pods,
          progress: undefined,
          trouble: undefined,
          results: [],
          refused: undefined,
          siblings: [],
          turn: { admitted: true },
          mode: testMode,
        });
        const statuses = plan.actions.flatMap((action) => (action.type === 'set-status' ? [action.status] : []));
        const truths = statuses.map(
          (status) => findCondition((status as BackupStatus).conditions, 'Succeeded')?.status,
        );
        expect(truths).not.toContain('True');
        for (const status of statuses) {
          const truth = findCondition((status as BackupStatus).conditions, 'Succeeded');
          // Terminal if and only if it says so: a phase never claims more.
          expect((status as BackupStatus).phase === 'Succeeded').toBe(truth?.status === 'True');
        }
      }),
      { numRuns: 3000, seed: 20260101 },
    );
  });

  /** What the runner was asked for: one required destination, `near`. */
  function withTask(seen: JobSeen): JobSeen {
    const task = {
      version: 1,
      kind: 'backup',
      namespace: 'shop',
      policy: { name: 'nightly', uid: 'p' },
      backup: { name: 'by-hand', uid: 'b' },
      source: { port: 5432, tls: { mode: 'disable' }, credentials: { secretName: 'db', keys: {} } },
      databases: { all: true },
      dump: { globals: true, rolePasswords: false, lockTimeoutSeconds: 60 },
      compression: { algorithm: 'zstd' },
      volumeBytes: 1,
      destinations: [{ location: { name: 'near', place: { directory: { path: '/x' } } }, required: true }],
      waitForServerSeconds: 1,
      waitForSecretSeconds: 1,
    };
    const template = { metadata: { annotations: { 'pgbackup.dev/task': JSON.stringify(task) } } };
    return { ...seen, spec: { ...seen.spec, template } };
  }
});
