import { expect, it } from 'vitest';
import { labels } from '../../src/api/kinds.ts';
import { clusterMode } from '../../src/controller/mode.ts';
import { resources } from '../../src/controller/resources.ts';
import { KubeError, type KubeClient, type KubeObject } from '../../src/kube/client.ts';
import { asSent, buildBackup, buildLocation, buildPolicy, buildRestorePolicy } from '../builders/objects.ts';
import { FakeCluster, running as podRuns, startController, testMode } from './fake-cluster.ts';

const forever = new AbortController().signal;
const namespaces = Array.from({ length: 75 }, (_, index) => `team-${index}`);
const each = [
  resources.policy,
  resources.restorePolicy,
  resources.backup,
  resources.location,
  resources.job,
  resources.pod,
];

const within = (object: KubeObject, namespace: string): KubeObject => ({
  ...object,
  metadata: { ...object.metadata, namespace },
});

/** Refuses the Job of one Backup of each namespace. */
function refusing(client: KubeClient): KubeClient {
  return {
    ...client,
    create: async (type, object, signal) => {
      if (object.metadata.name === 'pgb-refused') throw new KubeError('Forbidden', 'exceeded quota: count/jobs.batch');
      return client.create(type, object, signal);
    },
  };
}

async function fill(cluster: FakeCluster): Promise<void> {
  for (const namespace of namespaces) {
    await cluster.create(within(asSent(buildLocation()), namespace));
    await cluster.create(within(asSent(buildPolicy({ spec: { schedule: '0 0 1 1 *' } })), namespace));
    await cluster.create(within(asSent(buildRestorePolicy({ spec: { schedule: '0 0 1 1 *' } })), namespace));
    for (const name of ['refused', 'runs', 'starts', 'lacks-pod']) {
      await cluster.create(within(asSent(buildBackup({ name })), namespace));
    }
  }
}

async function startPods(cluster: FakeCluster): Promise<void> {
  for (const { metadata } of await cluster.list(resources.job)) {
    const { name = '', namespace = '', uid = '' } = metadata;
    if (name === 'pgb-lacks-pod' || metadata.labels?.[labels.backup] === undefined) continue;
    const owner = { apiVersion: 'batch/v1', kind: 'Job', name, uid, controller: true };
    const pod = { name: `${name}-pod`, namespace, labels: metadata.labels, ownerReferences: [owner] };
    const made = await cluster.client.create(resources.pod, { apiVersion: 'v1', kind: 'Pod', metadata: pod }, forever);
    if (name === 'pgb-runs') await cluster.client.putStatus(resources.pod, { ...made, status: podRuns }, forever);
  }
}

it('remembers nothing of a thousand objects that are gone', { timeout: 120_000 }, async () => {
  const cluster = new FakeCluster('2026-01-01T12:00:00Z');
  const mode = {
    ...testMode,
    limits: { runs: 10_000, restores: 10_000, perServer: 10_000 },
    inspections: clusterMode.inspections,
  };
  const running = startController(cluster, { client: refusing(cluster.client), mode });
  const { controller } = running;
  try {
    await cluster.settle();
    const before = controller.remembers();
    await fill(cluster);
    await cluster.advance(1000);
    await startPods(cluster);
    await cluster.advance(40_000);
    const full = controller.remembers();
    // Each kind of memory was used, or the rest would prove nothing.
    expect(full.keys).toBeGreaterThan(namespaces.length * 4);
    expect(full.world).toBeGreaterThanOrEqual(namespaces.length);
    expect(full.logs).toBeGreaterThanOrEqual(namespaces.length);
    expect(full.troubles).toBeGreaterThanOrEqual(namespaces.length);

    for (const type of each) {
      for (const { metadata } of await cluster.list(type)) {
        await cluster.client.delete(type, metadata.namespace, metadata.name ?? '', {}, forever);
      }
    }
    await cluster.advance(20_000);
    // What the server refused is asked for again after a quarter of an hour; the rest went with its objects.
    expect(controller.remembers()).toEqual({ ...before, world: namespaces.length });
    await cluster.advance(15 * 60_000);
    expect(controller.remembers()).toEqual(before);
  } finally {
    await running.stop();
  }
});
