import { afterEach, describe, expect, it } from 'vitest';
import type { Backup, BackupLocation } from '../../src/api/kinds.ts';
import { resources } from '../../src/controller/resources.ts';
import { asSent, buildBackup, buildLocation, buildPolicy } from '../builders/objects.ts';
import { backupVerdict, inspectVerdict } from '../builders/verdicts.ts';
import { FakeCluster, running, startController, terminated, type Running } from './fake-cluster.ts';

const started: Running[] = [];
afterEach(async () => {
  for (const each of started.splice(0)) await each.stop();
});

/** A Job whose pod runs, and ends well while its log is read for progress: caches know of the end before the look is over. */
async function endWhileLookedAt(cluster: FakeCluster, jobName: string, verdict: object): Promise<void> {
  const pod = `${jobName}-pod`;
  let ended = false;
  cluster.whileReadingLog = async (read) => {
    if (ended || read !== pod) return;
    ended = true;
    await cluster.setPodStatus(pod, terminated(0, JSON.stringify(verdict), cluster.now()));
    await cluster.setJobCondition(jobName, 'Complete');
    await cluster.settle();
  };
  await cluster.makePod(jobName, pod, running);
  await cluster.settle();
  await cluster.advance(30_000);
  expect(ended).toBe(true);
}

describe('What ends while it is looked at', () => {
  it('is a backup that succeeded', async () => {
    const cluster = new FakeCluster('2026-01-01T12:00:00Z');
    started.push(startController(cluster));
    await cluster.create(asSent(buildLocation()));
    await cluster.create(asSent(buildPolicy({ spec: { schedule: undefined } })));
    await cluster.create(asSent(buildBackup({ name: 'by-hand' })));
    await cluster.settle();
    await endWhileLookedAt(cluster, 'pgb-by-hand', backupVerdict());
    const { status } = await cluster.get<Backup>(resources.backup, 'by-hand');
    expect(status?.conditions?.[0]).toMatchObject({ type: 'Succeeded', status: 'True', reason: 'Succeeded' });
  });

  it('is an inspection that succeeded', async () => {
    const cluster = new FakeCluster('2026-01-01T12:00:00Z');
    started.push(startController(cluster));
    await cluster.create(asSent(buildLocation()));
    await cluster.settle();
    const [job = ''] = await cluster.openJobs('inspect');
    await endWhileLookedAt(cluster, job, inspectVerdict());
    const { status } = await cluster.get<BackupLocation>(resources.location, 'near');
    expect(status?.conditions?.[0]).toMatchObject({ type: 'Available', status: 'True', reason: 'ProbePassed' });
  });
});
