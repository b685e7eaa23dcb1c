import { afterEach, describe, expect, it } from 'vitest';
import type { Backup, BackupLocation, BackupPolicy } from '../../src/api/kinds.ts';
import { resources } from '../../src/controller/resources.ts';
import { asSent, buildBackup, buildLocation, buildPolicy } from '../builders/objects.ts';
import { backupVerdict, foundBackup, inspectVerdict } from '../builders/verdicts.ts';
import { FakeCluster, running, startController, terminated, testMode, type Running } from './fake-cluster.ts';

const started: Running[] = [];
afterEach(async () => {
  for (const each of started.splice(0)) await each.stop();
});

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

async function open(
  now = '2026-01-01T12:00:00Z',
  mode = testMode,
): Promise<{ cluster: FakeCluster; running: Running }> {
  const cluster = new FakeCluster(now);
  const controller = startController(cluster, { mode });
  started.push(controller);
  await cluster.settle();
  return { cluster, running: controller };
}

const succeededOf = (backup: Backup) => {
  const found = backup.status?.conditions?.find(({ type }) => type === 'Succeeded');
  return found && { status: found.status, reason: found.reason };
};

async function inspectAll(cluster: FakeCluster): Promise<void> {
  for (const job of await cluster.openJobs('inspect')) await cluster.finishJob(job, inspectVerdict());
  await cluster.settle();
}

describe('A controller', () => {
  it('tells of a place that a run could not reach at once, and takes it back when an inspection has reached it', async () => {
    const { cluster } = await open();
    await cluster.create(asSent(buildLocation()));
    await cluster.create(asSent(buildPolicy()));
    await cluster.settle();
    await inspectAll(cluster);
    await cluster.create(asSent(buildBackup({ name: 'by-hand' })));
    await cluster.settle();
    await cluster.advance(minuteMs);
    const missed = { location: 'near', outcome: 'Failed', reason: 'StorageDenied' } as const;
    await cluster.finishJob(
      'pgb-by-hand',
      backupVerdict({ verdict: 'Failed', reason: 'DestinationFailed', message: 'near', destinations: [missed] }),
    );
    await cluster.settle();
    const availableOf = async (): Promise<unknown> => {
      const { status } = await cluster.get<BackupLocation>(resources.location, 'near');
      return status?.conditions?.find(({ type }) => type === 'Available');
    };
    expect(await availableOf()).toMatchObject({ status: 'False', reason: 'StorageDenied' });
    expect(await cluster.openJobs('inspect')).toHaveLength(1);
    await inspectAll(cluster);
    expect(await availableOf()).toMatchObject({ status: 'True', reason: 'ProbePassed' });
    expect(await cluster.openJobs('inspect')).toEqual([]);
  });

  it('runs a policy from its slot to a success, and shows it everywhere', async () => {
    const { cluster } = await open();
    await cluster.create(asSent(buildLocation()));
    await cluster.create(asSent(buildPolicy()));
    await cluster.settle();
    await inspectAll(cluster);
    const location = await cluster.get<BackupLocation>(resources.location, 'near');
    expect(location.status).toMatchObject({ phase: 'Available', failures: 0, backups: 0, storedBytes: 0 });
    expect(await cluster.names(resources.backup)).toEqual([]);

    await cluster.advance(15 * hourMs);
    const name = 'nightly-20260102t030000z';
    expect(await cluster.names(resources.backup)).toEqual([name]);
    expect(await cluster.openJobs('backup')).toEqual([`pgb-${name}`]);
    expect(succeededOf(await cluster.get(resources.backup, name))).toEqual({ status: 'Unknown', reason: 'Starting' });

    const line = { type: 'progress', v: 1, plainBytes: 10, bytesPerSecond: 5, databasesDone: 0, databasesTotal: 2 };
    cluster.logs.set('pod', JSON.stringify(line));
    await cluster.makePod(`pgb-${name}`, 'pod', running);
    await cluster.advance(10_000);
    const going = await cluster.get<Backup>(resources.backup, name);
    expect(succeededOf(going)).toEqual({ status: 'Unknown', reason: 'Running' });
    expect(going.status).toMatchObject({ phase: 'Running', progress: { plainBytes: 10, databasesTotal: 2 } });

    const result = { type: 'result', v: 1, kind: 'database', name: 'app', outcome: 'stored' };
    cluster.logs.set('pod', JSON.stringify(result));
    await cluster.setPodStatus('pod', terminated(0, JSON.stringify(backupVerdict({ resultLines: 1 })), cluster.now()));
    await cluster.settle();
    const done = await cluster.get<Backup>(resources.backup, name);
    expect(succeededOf(done)).toEqual({ status: 'True', reason: 'Succeeded' });
    expect(done.status).toMatchObject({
      phase: 'Succeeded',
      plainBytes: 6000,
      databases: { stored: ['app'], failed: [] },
      destinations: [
        { location: 'near', required: true, outcome: 'Stored', manifestKey: `shop/nightly/${name}/manifest.json` },
      ],
    });
    expect(done.status?.progress).toBeUndefined();
    const policy = await cluster.get<BackupPolicy>(resources.policy, 'nightly');
    expect(policy.status).toMatchObject({
      phase: 'Ready',
      lastScheduleTime: '2026-01-02T03:00:00Z',
      nextScheduleTime: '2026-01-03T03:00:00Z',
      lastSuccessTime: '2026-01-02T03:01:05Z',
      missedRuns: 0,
      runs: { Succeeded: 1, PartlyFailed: 0, Failed: 0 },
      active: [],
      lastSizeBytes: 6000,
    });
    expect(await cluster.told(name)).toEqual(['JobCreated', 'RunStarted', 'Succeeded']);

    await cluster.setJobCondition(`pgb-${name}`, 'Complete');
    await cluster.advance(23 * hourMs);
    expect(await cluster.names(resources.job)).toContain(`pgb-${name}`);
    await cluster.advance(2 * hourMs);
    expect(await cluster.names(resources.job)).not.toContain(`pgb-${name}`);
    expect(succeededOf(await cluster.get(resources.backup, name))).toEqual({ status: 'True', reason: 'Succeeded' });
  });

  it('asks for a log at most every ten seconds, however often a pod changes', async () => {
    const { cluster } = await open();
    await cluster.create(asSent(buildLocation()));
    await cluster.create(asSent(buildPolicy({ spec: { schedule: undefined } })));
    await cluster.create(asSent(buildBackup({ name: 'by-hand' })));
    await cluster.settle();
    await inspectAll(cluster);
    await cluster.makePod('pgb-by-hand', 'pod', running);
    await cluster.settle();
    const before = cluster.logsRead;
    for (let change = 0; change < 20; change += 1) {
      await cluster.setPodStatus('pod', { ...running, message: `change ${change}` });
      await cluster.settle();
    }
    expect(cluster.logsRead - before).toBe(0);
    await cluster.advance(30_000);
    expect(cluster.logsRead - before).toBeLessThanOrEqual(4);
    expect(cluster.logsRead - before).toBeGreaterThanOrEqual(2);
  });

  it('lets runs wait for their turn, and starts the next when one has ended', async () => {
    const { cluster } = await open(undefined, { ...testMode, limits: { runs: 2, restores: 2, perServer: 1 } });
    await cluster.create(asSent(buildLocation()));
    const other = { ...buildPolicy().spec.source.postgres, host: 'other.example.com' };
    await cluster.create(asSent(buildPolicy({ name: 'a', spec: { schedule: undefined } })));
    await cluster.create(
      asSent(buildPolicy({ name: 'b', spec: { schedule: undefined, source: { postgres: other } } })),
    );
    for (const [name, policy] of [
      ['a1', 'a'],
      ['a2', 'a'],
      ['b1', 'b'],
      ['b2', 'b'],
    ] as const) {
      await cluster.create(asSent(buildBackup({ name, spec: { policy } })));
    }
    await cluster.settle();
    expect([...(await cluster.openJobs('backup'))].sort()).toEqual(['pgb-a1', 'pgb-b1']);
    expect(succeededOf(await cluster.get(resources.backup, 'a2'))).toEqual({ status: 'Unknown', reason: 'Queued' });

    await cluster.finishJob('pgb-b1', backupVerdict());
    await cluster.settle();
    expect([...(await cluster.openJobs('backup'))].sort()).toEqual(['pgb-a1', 'pgb-b2']);
    await cluster.client.delete(resources.backup, 'shop', 'a1', {}, new AbortController().signal);
    await cluster.settle();
    expect([...(await cluster.openJobs('backup'))].sort()).toEqual(['pgb-a2', 'pgb-b2']);
  });

  it('gives a place that became free to whoever waits, of whatever policy, at once', async () => {
    const { cluster } = await open(undefined, { ...testMode, limits: { runs: 1, restores: 1, perServer: 1 } });
    await cluster.create(asSent(buildLocation()));
    for (const name of ['a', 'b']) await cluster.create(asSent(buildPolicy({ name, spec: { schedule: undefined } })));
    await cluster.create(asSent(buildBackup({ name: 'first', spec: { policy: 'a' } })));
    await cluster.settle();
    await cluster.create(asSent(buildBackup({ name: 'second', spec: { policy: 'b' } })));
    await cluster.settle();
    expect(await cluster.openJobs('backup')).toEqual(['pgb-first']);
    await cluster.finishJob('pgb-first', backupVerdict());
    await cluster.settle();
    expect(await cluster.openJobs('backup')).toEqual(['pgb-second']);
  });

  it('gives the places of runs that cannot start to others, after a while', async () => {
    const { cluster } = await open(undefined, { ...testMode, limits: { runs: 1, restores: 1, perServer: 1 } });
    await cluster.create(asSent(buildLocation()));
    for (const name of ['a', 'b']) await cluster.create(asSent(buildPolicy({ name, spec: { schedule: undefined } })));
    await cluster.create(asSent(buildBackup({ name: 'first', spec: { policy: 'a' } })));
    await cluster.settle();
    await cluster.create(asSent(buildBackup({ name: 'second', spec: { policy: 'b' } })));
    const waiting = { reason: 'ErrImagePull', message: 'no such image' };
    await cluster.makePod('pgb-first', 'pod', { containerStatuses: [{ name: 'runner', state: { waiting } }] });
    await cluster.settle();
    expect(succeededOf(await cluster.get(resources.backup, 'first'))).toEqual({
      status: 'Unknown',
      reason: 'ImageUnavailable',
    });
    await cluster.advance(110_000);
    expect(await cluster.openJobs('backup')).toEqual(['pgb-first']);
    await cluster.advance(70_000);
    expect(await cluster.openJobs('backup')).toEqual(['pgb-first', 'pgb-second']);
  });

  it('inspects other locations, after a while, when an inspection cannot start', async () => {
    const { cluster } = await open(undefined, { ...testMode, inspections: 1 });
    for (const name of ['a', 'b']) await cluster.create(asSent(buildLocation({ name })));
    await cluster.settle();
    const [first = ''] = await cluster.openJobs('inspect');
    await cluster.makePod(first, 'pod', { phase: 'Pending' });
    await cluster.advance(110_000);
    expect(await cluster.openJobs('inspect')).toEqual([first]);
    await cluster.advance(70_000);
    expect(await cluster.openJobs('inspect')).toHaveLength(2);
    // Never more than twice as many: all of them may begin at any moment.
    await cluster.create(asSent(buildLocation({ name: 'c' })));
    await cluster.advance(300_000);
    expect(await cluster.openJobs('inspect')).toHaveLength(2);
  });

  it('shows backups that it finds, once each, and starts nothing for them', async () => {
    const { cluster } = await open();
    await cluster.create(asSent(buildLocation()));
    await cluster.create(asSent(buildLocation({ name: 'far' })));
    await cluster.create(asSent(buildPolicy({ spec: { schedule: undefined } })));
    await cluster.settle();
    const lines = [
      foundBackup(),
      foundBackup({ id: 'nightly-20251230t030000z', failed: [{ name: 'bad', reason: 'PermissionDenied' }] }),
    ];
    const verdict = inspectVerdict({ backups: 2, storedBytes: 2000, resultLines: 2 });
    for (const job of await cluster.openJobs('inspect')) await cluster.finishJob(job, verdict, lines);
    await cluster.settle();
    // A conflict between the two locations is looked at again a little later.
    await cluster.advance(5000);

    expect(await cluster.names(resources.backup)).toEqual(['nightly-20251230t030000z', 'nightly-20251231t030000z']);
    const whole = await cluster.get<Backup>(resources.backup, 'nightly-20251231t030000z');
    expect(succeededOf(whole)).toEqual({ status: 'True', reason: 'Imported' });
    expect(whole.status?.destinations?.map(({ location, outcome }) => [location, outcome]).sort()).toEqual([
      ['far', 'Found'],
      ['near', 'Found'],
    ]);
    const part = await cluster.get<Backup>(resources.backup, 'nightly-20251230t030000z');
    expect(succeededOf(part)).toEqual({ status: 'False', reason: 'DatabaseFailed' });
    expect(await cluster.openJobs('backup')).toEqual([]);
    for (const name of ['near', 'far']) {
      const location = await cluster.get<BackupLocation>(resources.location, name);
      expect(location.status).toMatchObject({ backups: 2, storedBytes: 2000 });
    }
  });

  it('ends a run, and shows a backup, whatever odd things were said of them', async () => {
    const { cluster } = await open();
    await cluster.create(asSent(buildLocation()));
    await cluster.create(asSent(buildPolicy({ spec: { schedule: undefined } })));
    await cluster.create(asSent(buildBackup({ name: 'by-hand' })));
    await cluster.settle();
    const odd = foundBackup({
      slot: 'tomorrow',
      startedAt: 'once',
      stored: ['x'.repeat(99), 'app'],
      attempt: 'a'.repeat(99),
    });
    const [inspection = ''] = await cluster.openJobs('inspect');
    await cluster.finishJob(inspection, inspectVerdict({ backups: 2, resultLines: 2 }), [
      odd,
      foundBackup({ id: 'good' }),
    ]);
    const many = Array.from({ length: 600 }, (_, index) => {
      return { type: 'result', v: 1, kind: 'database', name: `db${index}`, outcome: 'stored' };
    });
    await cluster.finishJob('pgb-by-hand', backupVerdict({ completedAt: 'soon', resultLines: 600 }), many);
    await cluster.settle();
    const run = await cluster.get<Backup>(resources.backup, 'by-hand');
    expect(succeededOf(run)).toEqual({ status: 'True', reason: 'Succeeded' });
    expect(run.status?.databases?.stored).toHaveLength(500);
    expect(run.status?.completedAt).toBeUndefined();
    const shown = await cluster.get<Backup>(resources.backup, odd.id);
    expect(shown.spec.slot).toBeUndefined();
    expect(shown.status).toMatchObject({ phase: 'Succeeded', databases: { stored: ['app'] } });
    expect(await cluster.names(resources.backup)).toContain('good');
  });

  it('takes a catalogue page by page, and more objects than one look writes', async () => {
    const { cluster } = await open();
    await cluster.create(asSent(buildLocation()));
    await cluster.settle();
    const idOf = (number: number): string => `old-${String(number).padStart(4, '0')}`;
    const pages = [0, 250].map((from) =>
      Array.from({ length: 250 }, (_, index) => foundBackup({ id: idOf(from + index) })),
    );
    for (const [index, lines] of pages.entries()) {
      const [job = ''] = await cluster.openJobs('inspect');
      expect(job).toContain(`pgbl-near-${index + 1}-`);
      const after = index === 0 ? { after: lines.at(-1)?.key ?? '' } : {};
      await cluster.finishJob(
        job,
        inspectVerdict({ backups: 250, storedBytes: 250_000, resultLines: 250, ...after }),
        lines,
      );
      await cluster.settle();
      await cluster.settle();
    }
    expect(await cluster.names(resources.backup)).toHaveLength(500);
    const { status } = await cluster.get<BackupLocation>(resources.location, 'near');
    expect(status).toMatchObject({ backups: 500, storedBytes: 500_000, phase: 'Available' });
    expect(status?.catalogue).toBeUndefined();
    const pending = await cluster.list(resources.backup);
    expect(pending.filter(({ status: each }) => each === undefined)).toEqual([]);
  });

  it('ends the older run for the newer one under Replace, and runs one at a time', async () => {
    const { cluster } = await open();
    await cluster.create(asSent(buildLocation()));
    await cluster.create(asSent(buildPolicy({ spec: { schedule: '0 * * * *', concurrencyPolicy: 'Replace' } })));
    await cluster.advance(hourMs + 1000);
    expect(await cluster.openJobs('backup')).toEqual(['pgb-nightly-20260101t130000z']);
    await cluster.makePod('pgb-nightly-20260101t130000z', 'first', running);
    await cluster.advance(hourMs);
    await cluster.advance(minuteMs);
    expect(await cluster.openJobs('backup')).toEqual(['pgb-nightly-20260101t140000z']);
    const old = await cluster.get<Backup>(resources.backup, 'nightly-20260101t130000z');
    expect(succeededOf(old)).toEqual({ status: 'False', reason: 'Aborted' });
  });

  it('does not take a Job for its own that belongs to something else', async () => {
    const { cluster } = await open();
    await cluster.create({
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name: 'pgb-by-hand', namespace: 'shop' },
    });
    await cluster.create(asSent(buildLocation()));
    await cluster.create(asSent(buildPolicy({ spec: { schedule: undefined } })));
    await cluster.create(asSent(buildBackup({ name: 'by-hand' })));
    await cluster.settle();
    await cluster.advance(2000);
    expect(succeededOf(await cluster.get(resources.backup, 'by-hand'))).toEqual({
      status: 'Unknown',
      reason: 'NameTaken',
    });
    expect(await cluster.told('by-hand')).toContain('NameTaken');
    expect(await cluster.openJobs('backup')).toEqual([]);
  });

  it('ends cleanly while it is busy', async () => {
    const { cluster, running: controller } = await open();
    await cluster.create(asSent(buildLocation()));
    await cluster.create(asSent(buildPolicy()));
    started.splice(0);
    await controller.stop();
    expect(controller.controller.queue()).toMatchObject({ depth: 0, running: 0 });
  });
});
