import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Backup, BackupLocation } from '../../src/api/kinds.ts';
import { createController } from '../../src/controller/controller.ts';
import { resources } from '../../src/controller/resources.ts';
import type { KubeObject, ResourceType } from '../../src/kube/client.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import { silentLog } from '../../src/support/log.ts';
import { startWithCrds, type Cluster } from '../api/start-with-crds.ts';
import { asSent, buildBackup, buildLocation, buildPolicy } from '../builders/objects.ts';
import { backupVerdict, inspectVerdict } from '../builders/verdicts.ts';
import { whyNoKubeApiserver } from '../servers/kube-apiserver.ts';
import { running, terminated, testMode } from './fake-cluster.ts';

const assets = process.env['KUBEBUILDER_ASSETS'];
const missing = whyNoKubeApiserver(assets, 'kube-controller-manager');
const { signal } = new AbortController();
const core = (kind: string, plural: string, namespaced: boolean): ResourceType => {
  return { group: '', version: 'v1', kind, plural, namespaced };
};

/** Jobs and their rules are the real ones; the pods' fate is played by the test, as a kubelet would report it. */
describe.skipIf(missing !== undefined)(
  `On a real API server a controller${missing ? ` (skipped: ${missing})` : ''}`,
  () => {
    let cluster: Cluster;
    const stopping = new AbortController();
    const watching = new AbortController();
    let ends: Promise<unknown> = Promise.resolve();

    const namespace = 'shop';
    const get = async <T>(type: ResourceType, name: string): Promise<T> =>
      (await cluster.client.get(type, namespace, name, signal)) as unknown as T;
    const create = (type: ResourceType, object: KubeObject) => cluster.client.create(type, object, signal);
    const podsOf = async (job: string): Promise<readonly KubeObject[]> => {
      const labelSelector = `batch.kubernetes.io/job-name=${job}`;
      return (await cluster.client.list(resources.pod, { namespace, labelSelector }, signal)).items;
    };
    const until = <T>(look: () => Promise<T>, timeout = 30_000): Promise<T> =>
      vi.waitFor(look, { timeout, interval: 100 });

    /** The pod of a Job's nth try, as soon as the Job controller has made it. */
    const podOf = (job: string, tries = 1): Promise<KubeObject> =>
      until(async () => {
        const pods = await podsOf(job);
        expect(pods).toHaveLength(tries);
        const open = pods.find(({ status }) => (status as { phase?: string }).phase === 'Pending');
        if (open === undefined) throw new Error('no pod waits');
        return open;
      });
    const setPod = async (pod: KubeObject, status: object): Promise<void> => {
      await until(async () => {
        const fresh = await get<KubeObject>(resources.pod, pod.metadata.name ?? '');
        const old = fresh.status as { readonly conditions?: unknown };
        const next = { ...fresh, status: { ...old, ...fill(status) } };
        await cluster.client.putStatus(resources.pod, next, signal);
      });
    };
    const says = async (name: string): Promise<string> => {
      const { status } = await get<Backup>(resources.backup, name);
      const found = status?.conditions?.find(({ type }) => type === 'Succeeded');
      return `${found?.status} ${found?.reason}`;
    };

    beforeAll(async () => {
      cluster = await startWithCrds(assets ?? '', signal);
      await cluster.startControllers('job-controller', 'garbage-collector-controller', 'resourcequota-controller');
      const enforced = { 'pod-security.kubernetes.io/enforce': 'restricted' };
      await create(core('Namespace', 'namespaces', false), {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: namespace, labels: enforced },
      });
      await create(core('ServiceAccount', 'serviceaccounts', true), {
        apiVersion: 'v1',
        kind: 'ServiceAccount',
        metadata: { name: 'default', namespace },
      }).catch(() => undefined);
      const controller = createController({
        client: cluster.client,
        clock: systemClock,
        random: systemRandom,
        log: silentLog,
        mode: testMode,
        instance: 'test',
        namespace,
      });
      ends = Promise.all([controller.watch(watching.signal), controller.work(stopping.signal)]);
      await create(resources.location, asSent(buildLocation()));
      await create(resources.location, asSent(buildLocation({ name: 'volume', spec: volume })));
      const destinations = [{ location: 'near' }, { location: 'volume', required: false }];
      await create(
        resources.policy,
        asSent(buildPolicy({ spec: { schedule: undefined, destinations, runner: full } })),
      );
    });
    afterAll(async () => {
      stopping.abort();
      watching.abort();
      await ends;
      await cluster?.stop();
    });

    it('inspects a location: the Job is accepted, its pod passes Pod Security, its verdict is taken', async () => {
      const jobs = await until(async () => {
        const { items } = await cluster.client.list(resources.job, { namespace }, signal);
        expect(items).toHaveLength(2);
        return items;
      });
      for (const job of jobs) {
        const pod = await podOf(job.metadata.name ?? '');
        await setPod(pod, terminated(0, JSON.stringify(inspectVerdict()), '2026-01-01T00:00:00Z'));
      }
      await until(async () => {
        const { status } = await get<BackupLocation>(resources.location, 'near');
        expect(status?.conditions?.[0]).toMatchObject({ type: 'Available', status: 'True', reason: 'ProbePassed' });
      });
    });

    it('tries a run again as its Job allows, and takes the second verdict', async () => {
      await create(resources.backup, asSent(buildBackup({ name: 'again' })));
      const first = await podOf('pgb-again');
      const failure = backupVerdict({ verdict: 'Failed', reason: 'ServerUnreachable', message: 'no answer' });
      await setPod(first, running);
      await setPod(first, terminated(75, JSON.stringify(failure), '2026-01-01T00:00:00Z'));
      const second = await podOf('pgb-again', 2);
      expect(await says('again')).toMatch(/^Unknown /);
      const places = ['near', 'volume'].map((location) => ({ location, outcome: 'Stored' as const }));
      const verdict = JSON.stringify(backupVerdict({ destinations: places }));
      await setPod(second, terminated(0, verdict, '2026-01-01T00:01:00Z'));
      await until(async () => expect(await says('again')).toBe('True Succeeded'));
      expect((await get<Backup>(resources.backup, 'again')).status?.destinations).toMatchObject([
        { location: 'near', required: true, outcome: 'Stored' },
        { location: 'volume', required: false, outcome: 'Stored' },
      ]);
    });

    it('ends a run at once when its failure is final', async () => {
      await create(resources.backup, asSent(buildBackup({ name: 'final' })));
      const verdict = backupVerdict({ verdict: 'Failed', reason: 'AuthenticationFailed', message: 'no password' });
      await setPod(await podOf('pgb-final'), terminated(77, JSON.stringify(verdict), '2026-01-01T00:00:00Z'));
      await until(async () => expect(await says('final')).toBe('False AuthenticationFailed'));
      expect(await podsOf('pgb-final')).toHaveLength(1);
    });

    it('ends a run that was killed after its last try', async () => {
      await create(
        resources.policy,
        asSent(buildPolicy({ name: 'once', spec: { schedule: undefined, runner: { retries: 0 } } })),
      );
      await create(resources.backup, asSent(buildBackup({ name: 'killed', spec: { policy: 'once' } })));
      await setPod(await podOf('pgb-killed'), terminated(137, undefined, '2026-01-01T00:00:00Z', 'OOMKilled'));
      await until(async () => expect(await says('killed')).toBe('False OutOfMemory'));
    });

    it('lets the pod go with its Backup', async () => {
      await create(resources.backup, asSent(buildBackup({ name: 'gone' })));
      await podOf('pgb-gone');
      await cluster.client.delete(resources.backup, namespace, 'gone', {}, signal);
      await until(async () => {
        expect(await get(resources.job, 'pgb-gone')).toBeUndefined();
        const left = (await podsOf('pgb-gone')).filter(({ metadata }) => metadata.deletionTimestamp === undefined);
        expect(left).toEqual([]);
      });
    });

    it('fits a quota that wants requests and limits said, also where nobody said any', async () => {
      const quotas = core('ResourceQuota', 'resourcequotas', true);
      const hard = { 'requests.cpu': '20', 'requests.memory': '20Gi', 'limits.memory': '100Gi' };
      const metadata = { name: 'said', namespace };
      await create(quotas, { apiVersion: 'v1', kind: 'ResourceQuota', metadata, spec: { hard } });
      await until(async () => {
        const { status } = await get<{ readonly status?: { readonly hard?: object } }>(quotas, 'said');
        expect(status?.hard).toEqual(hard);
      });
      await create(resources.backup, asSent(buildBackup({ name: 'fits', spec: { policy: 'once' } })));
      expect(await podOf('pgb-fits')).toMatchObject({
        spec: { containers: [{ resources: { requests: { memory: '192Mi' }, limits: { memory: '2Gi' } } }] },
      });
      await cluster.client.delete(quotas, namespace, 'said', {}, signal);
    });

    it('shows within a minute that a quota refuses its pods', async () => {
      const quotas = core('ResourceQuota', 'resourcequotas', true);
      await create(quotas, {
        apiVersion: 'v1',
        kind: 'ResourceQuota',
        metadata: { name: 'none', namespace },
        spec: { hard: { pods: '0' } },
      });
      // A quota holds once its controller has counted.
      await until(async () => {
        const { status } = await get<{ readonly status?: { readonly hard?: object } }>(quotas, 'none');
        expect(status?.hard).toEqual({ pods: '0' });
      });
      await create(resources.backup, asSent(buildBackup({ name: 'refused' })));
      await until(async () => expect(await says('refused')).toBe('Unknown PodRefused'), 60_000);
      const { status } = await get<Backup>(resources.backup, 'refused');
      expect(status?.conditions?.[0]?.message).toContain('quota');
    });
  },
);

const volume = { directory: { path: '/backups', claimName: 'backups' } };

/** Everything that a user may say of pods. */
const full = {
  resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '512Mi' } },
  nodeSelector: { 'kubernetes.io/os': 'linux' },
  tolerations: [{ key: 'backups', operator: 'Exists', effect: 'NoSchedule' }],
  podLabels: { team: 'data' },
  podAnnotations: { 'example.com/note': 'x' },
};

/** What a kubelet always reports and our builders leave out. */
function fill(status: object): object {
  const { containerStatuses = [] } = status as { readonly containerStatuses?: readonly object[] };
  const missingFields = { image: 'pgbackup:test', imageID: '', ready: false, restartCount: 0 };
  return { ...status, containerStatuses: containerStatuses.map((each) => ({ ...missingFields, ...each })) };
}
