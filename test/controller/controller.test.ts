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
    const missed = { location: 'near', required: true, outcome: 'Failed', reason: 'StorageDenied' } as const;
    await cluster.finishJob(
      'pgb-by-hand',
      backupVerdict({ verdict: 'Failed', reason: 'DestinationFailed', message: 'near', destinations: [missed] }),
    );
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
      const after = index === 0 ? { after: idOf(249) } : {};
      await cluster.finishJob(
        job,
        inspectVerdict({ backups: 250, storedBytes: 10, resultLines: 250, ...after }),
        lines,
      );
      await cluster.settle();
      await cluster.settle();
    }
    expect(await cluster.names(resources.backup)).toHaveLength(500);
    const { status } = await cluster.get<BackupLocation>(resources.location, 'near');
    expect(status).toMatchObject({ backups: 500, storedBytes: 20, phase: 'Available' });
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
