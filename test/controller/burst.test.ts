import { expect, it } from 'vitest';
import type { Backup, BackupPolicy } from '../../src/api/kinds.ts';
import { resources } from '../../src/controller/resources.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import { asSent, buildLocation, buildPolicy } from '../builders/objects.ts';
import { inspectVerdict } from '../builders/verdicts.ts';
import { FakeCluster, startController, testMode } from './fake-cluster.ts';

const policies = 60;
const workers = 8;
const names = Array.from({ length: policies }, (_, index) => `nightly-${String(index).padStart(2, '0')}`);

it('makes all Jobs of policies that are due at once before it writes what came of them', async () => {
  const cluster = new FakeCluster('2026-01-01T12:00:00Z');
  const writes: string[] = [];
  const client: KubeClient = {
    ...cluster.client,
    create: async (type, ...rest) => {
      writes.push(`create ${type.plural}`);
      return cluster.client.create(type, ...rest);
    },
    putStatus: async (type, ...rest) => {
      writes.push(`status of ${type.plural}`);
      return cluster.client.putStatus(type, ...rest);
    },
  };
  const mode = { ...testMode, limits: { runs: policies, restores: policies, perServer: policies } };
  const controller = startController(cluster, { client, mode, workers });
  try {
    await cluster.create(asSent(buildLocation()));
    for (const name of names) await cluster.create(asSent(buildPolicy({ name })));
    await cluster.settle();
    for (const job of await cluster.openJobs('inspect')) await cluster.finishJob(job, inspectVerdict());
    await cluster.settle();

    writes.length = 0;
    await cluster.advance(15 * 3_600_000);
    expect(await cluster.openJobs('backup')).toHaveLength(policies);
    const lastJob = writes.lastIndexOf('create jobs');
    const early = writes.slice(0, lastJob).filter((write) => write.startsWith('status of '));
    // Those of the last workers, when nothing else was ready: of policies, and of Backups.
    expect(early.length).toBeLessThanOrEqual(2 * workers);
    // They are only late, not lost.
    for (const name of names) {
      const policy = await cluster.get<BackupPolicy>(resources.policy, name);
      expect(policy.status).toMatchObject({
        handledSlot: '2026-01-02T03:00:00Z',
        active: [`${name}-20260102t030000z`],
      });
      const backup = await cluster.get<Backup>(resources.backup, `${name}-20260102t030000z`);
      expect(backup.status).toMatchObject({ job: `pgb-${name}-20260102t030000z`, phase: 'Pending' });
    }
  } finally {
    await controller.stop();
  }
});
