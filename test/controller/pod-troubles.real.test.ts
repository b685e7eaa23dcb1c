import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Backup } from '../../src/api/kinds.ts';
import { createController } from '../../src/controller/controller.ts';
import { resources } from '../../src/controller/resources.ts';
import type { KubeClient, KubeObject, ResourceType } from '../../src/kube/client.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import { silentLog } from '../../src/support/log.ts';
import { core, startWithCrds, type Cluster } from '../api/start-with-crds.ts';
import { asSent, buildBackup, buildLocation, buildPolicy } from '../builders/objects.ts';
import { backupVerdict } from '../builders/verdicts.ts';
import { whyNoKubeApiserver } from '../servers/kube-apiserver.ts';
import { running, terminated, testMode } from './fake-cluster.ts';

const assets = process.env['KUBEBUILDER_ASSETS'];
const missing = whyNoKubeApiserver(assets, 'kube-controller-manager');
const { signal } = new AbortController();
const namespace = 'shop';
/** Events are asked for after ten seconds, and every thirty. */
const startBudgetMs = 45_000;

const waiting = (reason: string, message: string): object => ({
  phase: 'Pending',
  containerStatuses: [{ ...container, state: { waiting: { reason, message } } }],
});
const container = { name: 'runner', image: 'pgbackup:test', imageID: '', ready: false, restartCount: 0 };
const unschedulable = {
  phase: 'Pending',
  conditions: [
    {
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message: '0/3 nodes are available: 3 too small.',
    },
  ],
};
const evicted = {
  phase: 'Failed',
  reason: 'Evicted',
  message: 'The node was low on resource: memory.',
  conditions: [{ type: 'DisruptionTarget', status: 'True', reason: 'TerminationByKubelet', message: 'low on memory' }],
};

/** The Job controller, quotas and admission are the real ones; what a node would say of a pod is said by the test. */
describe.skipIf(missing !== undefined)(`A pod in trouble${missing ? ` (skipped: ${missing})` : ''}`, () => {
  let cluster: Cluster;
  const stopping = new AbortController();
  const watching = new AbortController();
  let ends: Promise<unknown> = Promise.resolve();

  const create = (type: ResourceType, object: KubeObject) => cluster.client.create(type, object, signal);
  const until = <T>(look: () => Promise<T>, timeout = 60_000): Promise<T> =>
    vi.waitFor(look, { timeout, interval: 100 });
  const conditionOf = async (name: string) => {
    const backup = (await cluster.client.get(resources.backup, namespace, name, signal)) as unknown as Backup;
    return backup.status?.conditions?.find(({ type }) => type === 'Succeeded');
  };
  const hear = (name: string, status: string, reason: string, timeout?: number): Promise<string> =>
    until(async () => {
      const condition = await conditionOf(name);
      expect(condition).toMatchObject({ status, reason });
      return condition?.message ?? '';
    }, timeout);
  const podsOf = async (name: string): Promise<readonly KubeObject[]> => {
    const labelSelector = `batch.kubernetes.io/job-name=pgb-${name}`;
    return (await cluster.client.list(resources.pod, { namespace, labelSelector }, signal)).items;
  };
  const phaseOf = (pod: KubeObject): unknown => (pod.status as { readonly phase?: unknown }).phase;
  const say = (name: string, status: object): Promise<KubeObject> =>
    until(async () => {
      const pod = (await podsOf(name)).find((one) => phaseOf(one) !== 'Failed');
      if (pod === undefined) throw new Error('there is no pod');
      return cluster.client.putStatus(
        resources.pod,
        { ...pod, status: { ...(pod.status as object), ...status } },
        signal,
      );
    });
  const filled = (status: object): object => {
    const { containerStatuses = [] } = status as { readonly containerStatuses?: readonly object[] };
    return { ...status, containerStatuses: containerStatuses.map((each) => ({ ...container, ...each })) };
  };
  /** A policy and a Backup of one name. */
  const start = async (name: string, runner: object = {}): Promise<void> => {
    const spec = { schedule: undefined, runner: { retries: 0, ...runner } };
    await create(resources.policy, asSent(buildPolicy({ name, spec })));
    await create(resources.backup, asSent(buildBackup({ name, spec: { policy: name } })));
  };

  const mend = async (name: string, runner: object): Promise<void> => {
    const policy = await cluster.client.get(resources.policy, namespace, name, signal);
    if (policy === undefined) throw new Error('there is no policy');
    const spec = { ...(policy['spec'] as object), runner: { retries: 0, ...runner } };
    await cluster.client.put(resources.policy, { ...policy, spec }, signal);
  };

  beforeAll(async () => {
    cluster = await startWithCrds(assets ?? '', signal);
    await cluster.startControllers('job-controller', 'garbage-collector-controller');
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    await create(core('Namespace', 'namespaces', false), {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: namespace, labels },
    });
    await create(core('ServiceAccount', 'serviceaccounts'), {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'default', namespace },
    }).catch(() => undefined);
    // No pod of ours is refused as it is made; a webhook that meddles with Jobs is what brings that about.
    const meddled: KubeClient = {
      ...cluster.client,
      create: (type, object, aborted) => {
        const isMeddled = type.kind === 'Job' && object.metadata.name === 'pgb-insecure';
        return cluster.client.create(type, isMeddled ? withHostNetwork(object) : object, aborted);
      },
    };
    const controller = createController({
      client: meddled,
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      mode: { ...testMode, startBudgetMs, limits: { runs: 20, restores: 20, perServer: 20 } },
      instance: 'test',
      namespace,
    });
    ends = Promise.all([controller.watch(watching.signal), controller.work(stopping.signal)]);
    await create(resources.location, asSent(buildLocation()));
  });
  afterAll(async () => {
    stopping.abort();
    watching.abort();
    await ends;
    await cluster?.stop();
  });

  it.concurrent.each([
    ['image', 'ImageUnavailable', waiting('ImagePullBackOff', 'Back-off pulling image "pgbackup:test"'), 'Back-off'],
    ['node', 'PodUnschedulable', unschedulable, '3 too small'],
    ['volume', 'PodNotStarting', waiting('CreateContainerConfigError', 'no such volume'), 'no such volume'],
  ])('without its %s is shown as %s, and given up when its budget ends', async (name, reason, status, words) => {
    await start(name);
    await say(name, status);
    expect(await hear(name, 'Unknown', reason)).toContain(words);
    expect(await hear(name, 'False', reason)).toContain(words);
    // Nothing is left that could start after all.
    await until(async () => expect(await podsOf(name)).toEqual([]));
  });

  it.concurrent('without its service account is built again when its policy names another, and succeeds', async () => {
    await start('account', { serviceAccountName: 'absent' });
    expect(await hear('account', 'Unknown', 'PodRefused')).toContain('serviceaccount "absent" not found');
    await mend('account', { serviceAccountName: 'default' });
    await say('account', filled(running));
    await say('account', filled(terminated(0, JSON.stringify(backupVerdict()), '2026-01-01T00:01:00Z')));
    await hear('account', 'True', 'Succeeded');
  });

  it.concurrent('that no node wants is built again when its policy is changed, before its budget ends', async () => {
    await start('selective', { nodeSelector: { disk: 'none' } });
    await say('selective', unschedulable);
    await hear('selective', 'Unknown', 'PodUnschedulable');
    const [before] = await podsOf('selective');
    await mend('selective', { nodeSelector: { disk: 'fast' } });
    await until(async () => {
      const pods = await podsOf('selective');
      expect(pods).toHaveLength(1);
      expect(pods[0]?.metadata.uid).not.toBe(before?.metadata.uid);
      expect(pods[0]?.['spec']).toMatchObject({ nodeSelector: { disk: 'fast' } });
    });
    await hear('selective', 'Unknown', 'Starting');
    const { status } = (await cluster.client.get(
      resources.backup,
      namespace,
      'selective',
      signal,
    )) as unknown as Backup;
    expect(status?.rebuilt).toMatchObject({ times: 1 });
    await say('selective', filled(running));
    await say('selective', filled(terminated(0, JSON.stringify(backupVerdict()), '2026-01-01T00:01:00Z')));
    await hear('selective', 'True', 'Succeeded');
  });

  it.concurrent('that Pod Security refuses is shown within a minute, and given up', async () => {
    await start('insecure');
    expect(await hear('insecure', 'Unknown', 'PodRefused')).toContain('violates PodSecurity "restricted:latest"');
    expect(await hear('insecure', 'False', 'PodRefused')).toContain('hostNetwork');
  });

  it.concurrent('that a LimitRange refuses is shown within a minute, and given up', async () => {
    const limits = [{ type: 'Container', max: { memory: '4Gi' } }];
    await create(core('LimitRange', 'limitranges'), {
      apiVersion: 'v1',
      kind: 'LimitRange',
      metadata: { name: 'large', namespace },
      spec: { limits },
    });
    await start('limited', { resources: { requests: { memory: '8Gi' }, limits: { memory: '8Gi' } } });
    expect(await hear('limited', 'Unknown', 'PodRefused')).toContain('maximum memory usage per Container is 4Gi');
    expect(await hear('limited', 'False', 'PodRefused')).toContain('maximum memory usage');
  });

  it.concurrent('that is evicted gets a successor although there are no retries, and that one is heard', async () => {
    await start('evicted');
    await say('evicted', filled(running));
    await hear('evicted', 'Unknown', 'Starting');
    await say('evicted', {
      ...filled({ containerStatuses: [{ state: { terminated: { exitCode: 137 } } }] }),
      ...evicted,
    });
    await until(async () =>
      expect((await podsOf('evicted')).filter((pod) => phaseOf(pod) !== 'Failed')).toHaveLength(1),
    );
    expect((await conditionOf('evicted'))?.status).toBe('Unknown');
    const verdict = backupVerdict();
    await say('evicted', filled(terminated(0, JSON.stringify(verdict), '2026-01-01T00:01:00Z')));
    await hear('evicted', 'True', 'Succeeded');
  });

  it.concurrent('that takes longer than its deadline is ended by its Job, and that is the reason', async () => {
    await start('slow', { deadlineSeconds: 30 });
    await say('slow', filled(running));
    expect(await hear('slow', 'False', 'DeadlineExceeded')).toContain('30 s');
  });
});

function withHostNetwork(job: KubeObject): KubeObject {
  const { template, ...rest } = job['spec'] as { readonly template: { readonly spec: object } };
  return { ...job, spec: { ...rest, template: { ...template, spec: { ...template.spec, hostNetwork: true } } } };
}
