import { writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backup, BackupPolicy } from '../../src/api/kinds.ts';
import { controllerRules, leaseRules } from '../../src/codegen/roles.ts';
import { findCondition } from '../../src/controller/conditions.ts';
import { resources } from '../../src/controller/resources.ts';
import type { KubeObject, ResourceType } from '../../src/kube/client.ts';
import { core, startWithCrds, type Cluster } from '../api/start-with-crds.ts';
import { asSent, buildLocation, buildPolicy } from '../builders/objects.ts';
import { seededRandom } from '../kube/manual-clock.ts';
import { until } from '../local/executor-world.ts';
import { whyNoKubeApiserver } from '../servers/kube-apiserver.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { actions, pick, type ChaosScene } from './actions.ts';
import { judgePolicy } from './judge.ts';
import { playPods } from './play-pods.ts';
import { record, type Recorded } from './record.ts';
import { startReplica, type Replica } from './replica.ts';

const assets = process.env['KUBEBUILDER_ASSETS'];
const missing = whyNoKubeApiserver(assets, 'kube-controller-manager');
/** `npm run test:chaos` takes a quarter of an hour. */
const seconds = Number(process.env['PGBACKUP_CHAOS_SECONDS'] ?? 900);
const seed = Number(process.env['PGBACKUP_CHAOS_SEED'] ?? 12);
const namespace = 'shop';
const group = 'rbac.authorization.k8s.io';
const rbac = (kind: string, plural: string): ResourceType => ({
  group,
  version: 'v1',
  kind,
  plural,
  namespaced: false,
});

const policies = [
  ...Array.from({ length: 6 }, (_, index) => buildPolicy({ name: `p-${index}`, spec: { schedule: '* * * * *' } })),
  buildPolicy({ name: 'jitter', spec: { schedule: '* * * * *', jitterSeconds: 30 } }),
  buildPolicy({ name: 'forbid', spec: { schedule: '* * * * *', concurrencyPolicy: 'Forbid' } }),
  buildPolicy({ name: 'late', spec: { schedule: '* * * * *', startingDeadlineSeconds: 20 } }),
];
const names = policies.map(({ metadata }) => metadata.name);

describe.skipIf(missing !== undefined)(`Two controllers in chaos (${missing ?? 'on a real API server'})`, () => {
  const stopping = new AbortController();
  const { signal } = stopping;
  const random = seededRandom(seed);
  const replicas: Replica[] = [];
  let cluster: Cluster;
  let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;
  let binding: ChaosScene['binding'];
  let playing: Promise<void> = Promise.resolve();
  let seen: { readonly backups: Recorded; readonly jobs: Recorded };

  const create = async (type: ResourceType, object: KubeObject) => cluster.client.create(type, object, signal);
  const listAll = async <T>(type: ResourceType): Promise<readonly T[]> =>
    (await cluster.client.list(type, { namespace }, signal)).items as unknown as readonly T[];

  beforeAll(async () => {
    cluster = await startWithCrds(assets ?? '', signal, ['operator']);
    await cluster.startControllers('job-controller', 'garbage-collector-controller');
    await create(core('Namespace', 'namespaces', false), {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: namespace },
    });
    await create(core('ServiceAccount', 'serviceaccounts'), {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'default', namespace },
    });
    const metadata = { name: 'operator' };
    const apiVersion = `${group}/v1`;
    const rules = [...controllerRules, ...leaseRules('pgbackup-operator')];
    await create(rbac('ClusterRole', 'clusterroles'), { apiVersion, kind: 'ClusterRole', metadata, rules });
    const type = rbac('ClusterRoleBinding', 'clusterrolebindings');
    const object = {
      apiVersion,
      kind: 'ClusterRoleBinding',
      metadata,
      roleRef: { apiGroup: group, kind: 'ClusterRole', name: 'operator' },
      subjects: [{ kind: 'User', name: 'operator', apiGroup: group }],
    };
    binding = { type, object };
    await create(type, object);
    seen = {
      backups: record(cluster.client, resources.backup, namespace, signal),
      jobs: record(cluster.client, resources.job, namespace, signal),
    };
    playing = playPods(cluster.client, { random, failing: 0.1 }, signal);
    await create(resources.location, asSent(buildLocation()));
    for (const policy of policies) await create(resources.policy, asSent(policy));
    folder = await makeTemporaryFolder();
    const server = { address: cluster.address, kubeconfig: cluster.kubeconfigOf('operator') };
    for (const identity of ['one', 'two']) replicas.push(await startReplica(identity, folder.path, server));
  });
  afterAll(async () => {
    for (const replica of replicas) await replica.stop();
    stopping.abort();
    await playing;
    await cluster?.stop();
    await folder?.remove();
  });

  const unleash = async (): Promise<Readonly<Record<string, number>>> => {
    const scene = { cluster, random, replicas, policies: names, binding, signal };
    const done: Record<string, number> = {};
    const endsAt = performance.now() + seconds * 1000;
    const kinds = Object.keys(actions);
    for (let round = 0; performance.now() < endsAt; round += 1) {
      // Each once, and then as it comes.
      const kind = kinds[round] ?? pick(scene, kinds);
      await actions[kind]?.(scene);
      done[kind] = (done[kind] ?? 0) + 1;
      await delay(500 + random.fraction() * 4000);
    }
    for (const { clockFile } of replicas) await writeFile(clockFile, '0');
    return done;
  };

  it(
    'run every slot of every policy once, or count it as missed, whatever is done to them',
    async () => {
      const done = await unleash();
      const overAt = Date.now();
      const settled = await until(
        'all slots until the end are handled, and their runs have ended',
        async () => {
          await delay(1000);
          const found = (await listAll<BackupPolicy>(resources.policy)).filter(({ metadata }) =>
            names.includes(metadata.name),
          );
          const now = new Map((await listAll<Backup>(resources.backup)).map((each) => [each.metadata.name, each]));
          const isHandled = found.every(({ status }) => Date.parse(status?.handledSlot ?? '') >= overAt);
          const judged = found.map((policy) => judgePolicy(policy, { ...seen, now }));
          return isHandled && judged.every(({ ends }) => ends['not ended'] === undefined) && judged;
        },
        300,
      ).catch((error: unknown) => error);
      const output = replicas.map((replica) => replica.process().output());
      if (!Array.isArray(settled))
        throw new Error(`${String(settled)}\n${output.map((each) => each.slice(-3000)).join('\n')}`);

      const judged = settled as readonly ReturnType<typeof judgePolicy>[];
      const sum = (of: (each: (typeof judged)[number]) => number): number =>
        judged.reduce((all, each) => all + of(each), 0);
      const ends: Record<string, number> = {};
      for (const each of judged) {
        for (const [reason, count] of Object.entries(each.ends)) ends[reason] = (ends[reason] ?? 0) + count;
      }
      const falls = replicas.map((replica) => replica.falls());
      const figures = { seed, seconds, done, slots: sum(({ slots }) => slots), runs: sum(({ runs }) => runs) };
      console.info(JSON.stringify({ ...figures, missed: sum(({ missed }) => missed), ends, falls }));

      expect(judged.flatMap(({ faults }) => faults)).toEqual([]);
      expect(judged).toHaveLength(names.length);
      // What pods said reached the objects: nothing was lost, and nothing was made up.
      expect(Object.keys(ends).filter((reason) => !['Succeeded', 'AuthenticationFailed'].includes(reason))).toEqual([]);
      expect(figures.runs).toBeGreaterThan(figures.slots / 2);
      const ready = await listAll<BackupPolicy>(resources.policy);
      for (const policy of ready.filter(({ metadata }) => names.includes(metadata.name))) {
        expect(findCondition(policy.status?.conditions, 'Ready')?.status, policy.metadata.name).toBe('True');
      }
    },
    seconds * 1000 + 600_000,
  );
});
