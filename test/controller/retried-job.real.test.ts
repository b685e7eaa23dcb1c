import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createRestoreJob } from '../../src/controller/restore/job.ts';
import { resources } from '../../src/controller/resources.ts';
import type { KubeObject, ResourceType } from '../../src/kube/client.ts';
import { core, startWithCrds, type Cluster } from '../api/start-with-crds.ts';
import { buildBackup, buildLocation, buildRestore } from '../builders/objects.ts';
import { whyNoKubeApiserver } from '../servers/kube-apiserver.ts';
import { terminated, testMode } from './fake-cluster.ts';

const assets = process.env['KUBEBUILDER_ASSETS'];
const missing = whyNoKubeApiserver(assets, 'kube-controller-manager');
const { signal } = new AbortController();
const namespace = 'shop';
const container = { name: 'runner', image: 'pgbackup:test', imageID: '', ready: false, restartCount: 0 };
const disruption = [{ type: 'DisruptionTarget', status: 'True', reason: 'EvictionByEvictionAPI', message: 'drain' }];

/** How a pod ended, as a node would say it. */
const ends = {
  killed: terminated(137, undefined, '2026-01-01T03:00:00Z'),
  drained: { ...terminated(137, undefined, '2026-01-01T03:00:00Z'), conditions: disruption },
  lost: { phase: 'Failed', conditions: disruption },
  changed: terminated(3, undefined, '2026-01-01T03:00:00Z'),
  untouched: terminated(75, undefined, '2026-01-01T03:00:00Z'),
  untouchedByDrain: { ...terminated(75, undefined, '2026-01-01T03:00:00Z'), conditions: disruption },
};

/** The Job controller is the real one. */
describe.skipIf(missing !== undefined)(`A restore${missing ? ` (skipped: ${missing})` : ''}`, () => {
  let cluster: Cluster;
  const create = (type: ResourceType, object: KubeObject) => cluster.client.create(type, object, signal);
  const until = <T>(look: () => Promise<T>): Promise<T> => vi.waitFor(look, { timeout: 60_000, interval: 100 });
  const podsOf = async (name: string): Promise<readonly KubeObject[]> => {
    const labelSelector = `batch.kubernetes.io/job-name=${name}`;
    return (await cluster.client.list(resources.pod, { namespace, labelSelector }, signal)).items;
  };

  beforeAll(async () => {
    cluster = await startWithCrds(assets ?? '', signal);
    await cluster.startControllers('job-controller');
    await create(core('Namespace', 'namespaces', false), {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: namespace },
    });
    await create(core('ServiceAccount', 'serviceaccounts'), {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'default', namespace },
    }).catch(() => undefined);
  });
  afterAll(async () => cluster?.stop());

  /** Its Job, when the first pod has ended so, and what became of it. */
  async function end(name: string, mode: 'InPlace' | 'Replace', status: object) {
    const near = buildLocation();
    const copy = { location: 'near', outcome: 'Stored', manifestKey: 'key', manifestSha256: 'a'.repeat(64) } as const;
    const source = { state: 'found', backup: buildBackup(), copies: [{ copy, location: near }] } as const;
    const request = buildRestore({ name, spec: { mode, runner: { retries: 2 } } });
    const { object } = createRestoreJob(request, source, testMode);
    const { ownerReferences: _, ...metadata } = object.metadata;
    await create(resources.job, { ...object, metadata: { ...metadata, namespace } });
    const job = object.metadata.name;
    const [pod] = await until(async () => {
      const pods = await podsOf(job);
      expect(pods).toHaveLength(1);
      return pods;
    });
    const { containerStatuses = [] } = status as { readonly containerStatuses?: readonly object[] };
    const filled = { ...status, containerStatuses: containerStatuses.map((each) => ({ ...container, ...each })) };
    await cluster.client.putStatus(resources.pod, { ...pod, status: filled } as KubeObject, signal);
    return until(async () => {
      const seen = (await cluster.client.get(resources.job, namespace, job, signal)) as unknown as {
        readonly status?: { readonly conditions?: readonly { readonly type: string; readonly reason: string }[] };
      };
      const pods = (await podsOf(job)).length;
      const failed = seen.status?.conditions?.find(({ type }) => type === 'Failed')?.reason;
      expect(failed !== undefined || pods > 1).toBe(true);
      return { failed, pods };
    });
  }

  it('that has changed a part of its targets is not tried again', async () => {
    expect(await end('changed', 'InPlace', ends.changed)).toEqual({ failed: 'PodFailurePolicy', pods: 1 });
  });

  it.each(['killed', 'drained', 'lost', 'untouched', 'untouchedByDrain'] as const)(
    'whose pod was %s is tried again: the next one looks first how far it came',
    async (how) => {
      const name = how.toLowerCase();
      expect(await end(name, 'InPlace', ends[how])).toEqual({ failed: undefined, pods: 2 });
      expect(await end(`${name}-beside`, 'Replace', ends[how])).toEqual({ failed: undefined, pods: 2 });
    },
  );
});
