import { describe, expect, it } from 'vitest';
import { annotations, type Backup, type RestoreRequest } from '../../src/api/kinds.ts';
import { clusterMode } from '../../src/controller/mode.ts';
import { resources } from '../../src/controller/resources.ts';
import { backupJobName, restoreJobName } from '../../src/domain/names.ts';
import type { KubeObject, ResourceType } from '../../src/kube/client.ts';
import { asSent, buildBackup, buildLocation, buildPolicy, buildRestore } from '../builders/objects.ts';
import { backupVerdict, inspectVerdict } from '../builders/verdicts.ts';
import { FakeCluster, running, startController, terminated, testMode } from './fake-cluster.ts';

const unschedulable = {
  phase: 'Pending',
  conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: 'no node matches' }],
};
const file = { source: { file: { location: 'near', pattern: 'dump.sql' } } };

/** A location that was inspected, and a run whose pod finds no node. */
async function openStuck(kind: 'backup' | 'restore') {
  const cluster = new FakeCluster('2026-01-01T12:00:00Z');
  let controller = startController(cluster);
  await cluster.create(asSent(buildLocation()));
  await cluster.settle();
  const [inspection = ''] = await cluster.openJobs('inspect');
  await cluster.finishJob(inspection, inspectVerdict());
  await cluster.create(asSent(buildPolicy({ spec: { schedule: undefined } })));
  const [type, job] =
    kind === 'backup'
      ? ([resources.backup, backupJobName('stuck')] as const)
      : ([resources.restoreRequest, restoreJobName('stuck')] as const);
  await cluster.create(
    asSent(kind === 'backup' ? buildBackup({ name: 'stuck' }) : buildRestore({ name: 'stuck', spec: file })),
  );
  await cluster.advance(5000);
  await cluster.makePod(job, 'first', unschedulable);
  await cluster.advance(5000);
  const uidOf = async (): Promise<string> => (await cluster.get<KubeObject>(resources.job, job)).metadata.uid ?? '';
  return {
    cluster,
    job,
    uid: await uidOf(),
    uidOf,
    says: async () => {
      const { status } = await cluster.get<Backup | RestoreRequest>(type, 'stuck');
      return { reason: status?.conditions?.[0]?.reason, rebuilt: status?.rebuilt?.times };
    },
    ask: () => annotate(cluster, type, 'stuck', annotations.startRequestedAt, cluster.now()),
    /** The controller of another version, or with other flags. */
    restart: async (image: string) => {
      await controller.stop();
      controller = startController(cluster, { mode: { ...clusterMode, runner: { image } } });
      await cluster.advance(1000);
    },
    stop: () => controller.stop(),
  };
}

const annotate = (cluster: FakeCluster, type: ResourceType, name: string, key: string, value: string): Promise<void> =>
  cluster.update(type, name, (object) => ({
    ...object,
    metadata: { ...object.metadata, annotations: { ...object.metadata.annotations, [key]: value } },
  }));

const changeRunner = (cluster: FakeCluster, type: ResourceType, name: string): Promise<void> =>
  cluster.update(type, name, (object) => ({
    ...object,
    spec: { ...(object['spec'] as object), runner: { nodeSelector: { disk: 'fast' } } },
  }));

describe('The Job of a backup whose pod cannot start', () => {
  it('is built again when the policy is changed, and what comes of it counts', async () => {
    const { cluster, job, uid, uidOf, says, stop } = await openStuck('backup');
    expect(await says()).toEqual({ reason: 'PodUnschedulable', rebuilt: undefined });
    await changeRunner(cluster, resources.policy, 'nightly');
    await cluster.advance(15_000);
    expect(await uidOf()).not.toBe(uid);
    expect(await says()).toEqual({ reason: 'Starting', rebuilt: 1 });
    const made = await cluster.get<{ spec: { template: { spec: { nodeSelector: unknown } } } }>(resources.job, job);
    expect(made.spec.template.spec.nodeSelector).toEqual({ disk: 'fast' });
    expect(await cluster.told('stuck')).toContain('JobRebuilt');
    await cluster.finishJob(job, backupVerdict());
    await cluster.advance(10_000);
    expect((await says()).reason).toBe('Succeeded');
    await stop();
  });

  it('is built again when its location is changed, when it is asked for, and by a controller with another image', async () => {
    const { cluster, job, uidOf, says, ask, restart, stop } = await openStuck('backup');
    const uids = [await uidOf()];
    const isAnother = async (): Promise<void> => {
      await cluster.advance(15_000);
      expect(uids).not.toContain(await uidOf());
      uids.push(await uidOf());
      await cluster.makePod(job, `next-${uids.length}`, unschedulable);
      await cluster.advance(5000);
      expect((await says()).reason).toBe('PodUnschedulable');
    };
    await changeRunner(cluster, resources.location, 'near');
    await isAnother();
    await ask();
    await isAnother();
    await restart('pgbackup:fixed');
    await isAnother();
    expect((await says()).rebuilt).toBe(3);
    await stop();
  });

  it('is built again ten times and no more: somebody who asks for ever keeps no run for ever', async () => {
    const { cluster, job, uidOf, says, ask, stop } = await openStuck('backup');
    for (let round = 1; round <= 11; round += 1) {
      await ask();
      await cluster.advance(15_000);
      const pods = await cluster.names(resources.pod);
      if (!pods.includes(`pod-${round}`) && round <= 10) await cluster.makePod(job, `pod-${round}`, unschedulable);
      await cluster.advance(5000);
    }
    expect((await says()).rebuilt).toBe(10);
    const last = await uidOf();
    await cluster.advance(31 * 60_000);
    expect(last).not.toBe('');
    expect(await says()).toEqual({ reason: 'PodUnschedulable', rebuilt: 10 });
    expect((await cluster.get<Backup>(resources.backup, 'stuck')).status?.phase).toBe('Failed');
    await stop();
  });

  it('stays while its runner works, and while its pod is only being started, whatever is changed', async () => {
    const { cluster, uid, uidOf, says, stop } = await openStuck('backup');
    await cluster.setPodStatus('first', running);
    await cluster.settle();
    await changeRunner(cluster, resources.policy, 'nightly');
    await cluster.advance(60_000);
    expect(await uidOf()).toBe(uid);
    expect((await says()).rebuilt).toBeUndefined();
    await cluster.setPodStatus('first', { phase: 'Pending' });
    await cluster.advance(60_000);
    expect(await uidOf()).toBe(uid);
    await stop();
  });
});

describe('The Job of a restore whose pod cannot start', () => {
  it('is built again when its location is changed, and when it is asked for', async () => {
    const { cluster, job, uid, uidOf, says, ask, stop } = await openStuck('restore');
    expect((await says()).reason).toBe('PodUnschedulable');
    await changeRunner(cluster, resources.location, 'near');
    await cluster.advance(45_000);
    const second = await uidOf();
    expect(second).not.toBe(uid);
    await cluster.makePod(job, 'second', unschedulable);
    await cluster.advance(5000);
    await ask();
    await cluster.advance(15_000);
    expect([uid, second]).not.toContain(await uidOf());
    expect(await says()).toEqual({ reason: 'Starting', rebuilt: 2 });
    await stop();
  });

  it('stays once a runner was there: what it did must be found out by its own retries', async () => {
    const { cluster, job, uid, uidOf, ask, stop } = await openStuck('restore');
    await cluster.setPodStatus('first', terminated(75, undefined, cluster.now()));
    await cluster.advance(1000);
    await cluster.makePod(job, 'second', unschedulable);
    await cluster.advance(5000);
    await ask();
    await cluster.advance(60_000);
    expect(await uidOf()).toBe(uid);
    await stop();
  });
});

describe('The Job of an inspection whose pod cannot start', () => {
  it.each([
    ['when its location is changed', (cluster: FakeCluster) => changeRunner(cluster, resources.location, 'near')],
    [
      'when an inspection is asked for',
      (cluster: FakeCluster) => annotate(cluster, resources.location, 'near', annotations.probeRequestedAt, 'now'),
    ],
  ])('is built again %s', async (_when, change) => {
    const cluster = new FakeCluster('2026-01-01T12:00:00Z');
    const controller = startController(cluster, { mode: testMode });
    await cluster.create(asSent(buildLocation()));
    await cluster.settle();
    const [job = ''] = await cluster.openJobs('inspect');
    const { uid } = (await cluster.get<KubeObject>(resources.job, job)).metadata;
    await cluster.makePod(job, 'first', unschedulable);
    await cluster.advance(5000);
    expect((await cluster.get<KubeObject>(resources.job, job)).metadata.uid).toBe(uid);
    await change(cluster);
    await cluster.advance(15_000);
    const [again = ''] = await cluster.openJobs('inspect');
    expect((await cluster.get<KubeObject>(resources.job, again)).metadata.uid).not.toBe(uid);
    await controller.stop();
  });
});
