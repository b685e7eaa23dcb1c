import { afterEach, describe, expect, it } from 'vitest';
import { labels } from '../../../src/api/kinds.ts';
import { resources } from '../../../src/controller/resources.ts';
import type { KubeObject } from '../../../src/kube/client.ts';
import { asSent, buildBackup, buildLocation, buildPolicy } from '../../builders/objects.ts';
import { FakeCluster, running, startController, testMode, type Running } from '../fake-cluster.ts';

const forever = new AbortController().signal;
const dead = 500;
let controller: Running | undefined;
afterEach(async () => controller?.stop());

type Death = 'no pod can start' | 'its server does not answer' | 'each try fails after a minute';

/** Plays kubelet and Job controller for the Jobs of one namespace that have no pod yet. */
async function kubelet(cluster: FakeCluster, death: Death): Promise<void> {
  for (const job of await cluster.list(resources.job)) {
    const { name = '', namespace = '', uid = '', labels: all } = job.metadata;
    if (namespace !== 'bad' || all?.[labels.task] !== 'backup') continue;
    const pods = (await cluster.list(resources.pod)).filter(({ metadata }) => {
      return metadata.ownerReferences?.some((owner) => owner.uid === uid);
    });
    const now = cluster.now();
    const open = pods.find(({ status }) => (status as { phase?: string } | undefined)?.phase !== 'Failed');
    if (open !== undefined) {
      const madeAt = Date.parse(open.metadata.creationTimestamp ?? '');
      if (death !== 'each try fails after a minute' || cluster.clock.nowMs() - madeAt < 60_000) continue;
      const ended = { terminated: { exitCode: 75, finishedAt: now } };
      const status = { phase: 'Failed', containerStatuses: [{ name: 'runner', state: ended }] };
      await cluster.client.putStatus(resources.pod, { ...open, status }, forever);
      continue;
    }
    const pod = await cluster.client.create(
      resources.pod,
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: {
          name: `${name}-${pods.length}`,
          namespace,
          ...(all && { labels: all }),
          ownerReferences: [{ apiVersion: 'batch/v1', kind: 'Job', name, uid, controller: true }],
        },
      },
      forever,
    );
    const waiting = { reason: 'ErrImagePull', message: 'no such image' };
    const cannot = { phase: 'Pending', containerStatuses: [{ name: 'runner', state: { waiting } }] };
    const line = { type: 'progress', v: 1, plainBytes: 0, bytesPerSecond: 0, databasesDone: 0, databasesTotal: 0 };
    cluster.logs.set(`${name}-${pods.length}`, JSON.stringify({ ...line, waiting: 'WaitingForServer', detail: 'no' }));
    const status = death === 'no pod can start' ? cannot : running;
    await cluster.client.putStatus(resources.pod, { ...pod, status }, forever);
  }
}

const inNamespace = (object: KubeObject, namespace: string): KubeObject => ({
  ...object,
  metadata: { ...object.metadata, namespace },
});

describe('One tenant with 500 queued runs that are dead', () => {
  it.each<readonly [Death, string]>([
    ['no pod can start', 'db.example.com'],
    ['its server does not answer', 'db.example.com'],
    ['each try fails after a minute', 'db.example.com'],
    ['no pod can start', 'the same server'],
  ])(
    'delays no run of another by more than two minutes: %s (%s)',
    async (death, host) => {
      const cluster = new FakeCluster('2026-01-01T12:00:00Z');
      controller = startController(cluster, { mode: testMode });
      await cluster.settle();
      for (const namespace of ['bad', 'good']) {
        await cluster.create(inNamespace(asSent(buildLocation()), namespace));
        const postgres = {
          ...buildPolicy().spec.source.postgres,
          host: host === 'the same server' ? 'shared.example.com' : `${namespace}.example.com`,
        };
        const spec = { schedule: undefined, source: { postgres } };
        // Enough servers that the limit in all is what is short.
        for (const index of [0, 1, 2, 3, 4, 5, 6, 7]) {
          const own = host === 'the same server' ? postgres : { ...postgres, host: `${namespace}${index}.example.com` };
          const policy = buildPolicy({ name: `p${index}`, spec: { ...spec, source: { postgres: own } } });
          await cluster.create(inNamespace(asSent(policy), namespace));
        }
      }
      for (let index = 0; index < dead; index += 1) {
        const backup = buildBackup({ name: `b${index}`, spec: { policy: `p${index % 8}` } });
        await cluster.create(inNamespace(asSent(backup), 'bad'));
      }
      await cluster.settle();
      const step = async (): Promise<void> => {
        await kubelet(cluster, death);
        await cluster.advance(5000);
      };
      // Whenever the good tenant comes: before the first dead run is known as one, and in the middle of it.
      for (const [round, steps] of [1, 37, 55].entries()) {
        for (let count = 0; count < steps; count += 1) await step();
        const name = `g${round}`;
        const slot = { slot: `2026-01-01T1${round}:00:00Z` };
        const backup = buildBackup({ name, spec: { policy: `p${round}`, ...slot } });
        await cluster.create(inNamespace(asSent(backup), 'good'));
        const askedAt = cluster.clock.nowMs();
        const hasJob = async (): Promise<boolean> =>
          (await cluster.client.get(resources.job, 'good', `pgb-${name}`, forever)) !== undefined;
        while (!(await hasJob()) && cluster.clock.nowMs() - askedAt < 600_000) await step();
        expect((cluster.clock.nowMs() - askedAt) / 1000).toBeLessThanOrEqual(135);
        await cluster.client.delete(resources.backup, 'good', name, {}, forever);
      }
      const bad = (await cluster.list(resources.job)).filter(({ metadata }) => {
        return metadata.namespace === 'bad' && metadata.labels?.[labels.task] === 'backup';
      });
      // It goes on itself, and never with all that it has.
      expect(bad.length).toBeGreaterThanOrEqual(4);
      expect(bad.length).toBeLessThanOrEqual(16);
    },
    180_000,
  );
});
