import { join } from 'node:path';
import { writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  annotations,
  apiVersion,
  labels,
  type Backup,
  type BackupLocation,
  type BackupPolicy,
} from '../../src/api/kinds.ts';
import { findCondition } from '../../src/controller/conditions.ts';
import { resources } from '../../src/controller/resources.ts';
import { backupJobName, restoreJobName } from '../../src/domain/names.ts';
import { isKubeError, type KubeObject, type ResourceType } from '../../src/kube/client.ts';
import { core, startWithCrds, type Cluster } from '../api/start-with-crds.ts';
import { asSent, buildLocation, buildRestore, locationSpec, policySpec } from '../builders/objects.ts';
import { judgePolicy } from '../chaos/judge.ts';
import { playPods } from '../chaos/play-pods.ts';
import { record, type Recorded } from '../chaos/record.ts';
import { seededRandom } from '../kube/manual-clock.ts';
import { until } from '../local/executor-world.ts';
import { startControllerProcess, type ControllerProcess } from '../servers/controller-process.ts';
import { whyNoKubeApiserver } from '../servers/kube-apiserver.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { putDefinitions } from './put-definitions.ts';
import { unpackEarlier } from './unpack-earlier.ts';

const assets = process.env['KUBEBUILDER_ASSETS'];
const missing = whyNoKubeApiserver(assets, 'kube-controller-manager');
const namespace = 'shop';
/** Before Jobs were built again, manifests known, slots asked for, and dumps encrypted: all of these are members of objects. */
const earlierCommit = '81a6d51335afa876679bed79eafc21fb07004711';

type Version = 'earlier' | 'today';
interface Stage {
  readonly definitions: Version;
  readonly leader: Version;
  /** How the leader before ended. Default: in good order. */
  readonly by?: 'SIGKILL';
}

/** Each follows while runs of the one before are going on. */
const stages: readonly Stage[] = [
  { definitions: 'earlier', leader: 'earlier' },
  { definitions: 'earlier', leader: 'today' },
  { definitions: 'earlier', leader: 'earlier', by: 'SIGKILL' },
  { definitions: 'today', leader: 'earlier' },
  { definitions: 'today', leader: 'today' },
  { definitions: 'today', leader: 'earlier' },
  { definitions: 'earlier', leader: 'earlier' },
];

/** As a user of the earlier version writes them: without the defaults of today. */
const policyOf = (name: string, more: object): KubeObject => {
  const { schedule: _schedule, ...spec } = policySpec;
  return { apiVersion, kind: 'BackupPolicy', metadata: { name, namespace }, spec: { ...spec, ...more } };
};
const backupOf = (name: string): KubeObject => {
  return { apiVersion, kind: 'Backup', metadata: { name, namespace }, spec: { policy: 'nightly' } };
};
const policies = [{}, { concurrencyPolicy: 'Forbid' }].map((more, index) =>
  policyOf(`p-${index}`, { schedule: '* * * * *', ...more }),
);

describe.skipIf(missing !== undefined)(`Two versions beside each other (${missing ?? 'on a real API server'})`, () => {
  const stopping = new AbortController();
  const { signal } = stopping;
  const held = new Set<string>();
  const trees = { today: join(import.meta.dirname, '..', '..'), earlier: '' };
  const replicas = new Map<Version, ControllerProcess>();
  let cluster: Cluster;
  let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;
  let kubeconfig: string;
  let playing: Promise<void> = Promise.resolve();
  let seen: { readonly backups: Recorded; readonly jobs: Recorded };

  const create = async (type: ResourceType, object: KubeObject) => cluster.client.create(type, object, signal);
  const get = async (type: ResourceType, name: string) => cluster.client.get(type, namespace, name, signal);
  const listAll = async <T = KubeObject>(type: ResourceType): Promise<readonly T[]> =>
    (await cluster.client.list(type, { namespace }, signal)).items as unknown as readonly T[];
  const patiently = async <T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> => {
    const slowly = async (): Promise<T | undefined | false> => delay(200).then(look);
    return until(what, slowly, 60).catch((error: unknown) => {
      const said = [...replicas].map(([version, { output }]) => `${version}: ${output().slice(-2000)}`);
      throw new Error([String(error), ...said].join('\n'));
    });
  };
  const start = async (version: Version): Promise<void> => {
    const root = trees[version];
    replicas.set(version, await startControllerProcess({ identity: version, kubeconfig, root }));
  };
  const replicaOf = (version: Version): ControllerProcess => {
    const replica = replicas.get(version);
    if (replica === undefined) throw new Error(`no ${version}`);
    return replica;
  };
  const leads = async (version: Version): Promise<void> => {
    await patiently(`${version} leads`, async () => replicaOf(version).leads());
  };
  const resultOf = (object: unknown) => findCondition((object as Backup | undefined)?.status?.conditions, 'Succeeded');

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    trees.earlier = folder.path;
    await unpackEarlier(earlierCommit, folder.path);
    cluster = await startWithCrds(assets ?? '', signal, [], trees.earlier);
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
    kubeconfig = join(folder.path, 'kubeconfig');
    await writeFile(kubeconfig, cluster.kubeconfig, { mode: 0o600 });
    seen = {
      backups: record(cluster.client, resources.backup, namespace, signal),
      jobs: record(cluster.client, resources.job, namespace, signal),
    };
    const holds = ({ metadata: { labels: of = {} } }: KubeObject): boolean =>
      ['backup', 'restore'].includes(of[labels.task] ?? '') && held.has(of[labels.backup] ?? of[labels.restore] ?? '');
    playing = playPods(cluster.client, { random: seededRandom(12), failing: 0, holds }, signal);
    // As a user of the earlier version wrote it: without the defaults of today.
    await create(resources.location, { ...asSent(buildLocation()), spec: locationSpec });
    for (const policy of policies) await create(resources.policy, policy);
    await create(resources.policy, policyOf('nightly', {}));
    await create(resources.backup, backupOf('first'));
  });
  afterAll(async () => {
    for (const { child, exitCode } of replicas.values()) {
      child.kill('SIGKILL');
      await exitCode;
    }
    stopping.abort();
    await playing;
    await cluster?.stop();
    await folder?.remove();
  });

  /** A backup, a restore, and one that is going to be deleted: all in the middle of their work. Their specs as they are stored. */
  const begin = async (stage: number, { definitions }: Stage): Promise<ReadonlyMap<string, unknown>> => {
    const isKnown = definitions === 'today';
    const identities = isKnown ? { identities: [{ passphrase: { secretName: 'phrase' } }] } : {};
    const source = { file: { location: 'near', key: 'app.dump' }, ...identities };
    const { target } = buildRestore().spec;
    const names = { backup: `by-hand-${stage}`, restore: `again-${stage}`, gone: `gone-${stage}` };
    for (const name of Object.values(names)) held.add(name);
    const backup = await create(resources.backup, backupOf(names.backup));
    const specs = new Map<string, unknown>([[names.backup, backup.spec]]);
    for (const name of [names.restore, names.gone]) {
      const spec = { source, target: { ...target, database: name } };
      specs.set(name, (await create(resources.restoreRequest, asSent(buildRestore({ name, spec })))).spec);
    }
    // Nobody reads a log here: this is all that is known of a runner before its verdict.
    const isAtWork = (object: KubeObject | undefined): boolean =>
      resultOf(object)?.message.endsWith('has started') === true;
    await patiently(`runs of stage ${stage} are at work`, async () => {
      const [one, two, three] = await Promise.all([
        get(resources.backup, names.backup),
        get(resources.restoreRequest, names.restore),
        get(resources.restoreRequest, names.gone),
      ]);
      return isAtWork(one) && isAtWork(two) && isAtWork(three);
    });
    return specs;
  };

  const change = async (before: Stage, after: Stage): Promise<void> => {
    if (before.definitions !== after.definitions) {
      await putDefinitions(cluster.client, trees[after.definitions], signal);
    }
    if (before.leader === after.leader) return;
    const { child, exitCode } = replicaOf(before.leader);
    child.kill(after.by ?? 'SIGTERM');
    expect(await exitCode).toBe(after.by === undefined ? 0 : 128);
    await leads(after.leader);
    await start(before.leader);
  };

  /** The leader inspects the location, and can write down what it heard. */
  const inspect = async (request: string): Promise<void> => {
    await patiently('the request is written', async () => {
      const object = await get(resources.location, 'near');
      if (object === undefined) return false;
      const metadata = { ...object.metadata, annotations: { [annotations.probeRequestedAt]: request } };
      return cluster.client.put(resources.location, { ...object, metadata }, signal).catch((error: unknown) => {
        if (isKubeError(error, 'Conflict')) return false;
        throw error;
      });
    });
    await patiently(`the inspection ${request}`, async () => {
      const { status } = (await get(resources.location, 'near')) as unknown as BackupLocation;
      return status?.probeRequestedAt === request && findCondition(status.conditions, 'Available')?.status === 'True';
    });
  };

  const finish = async (stage: number): Promise<void> => {
    const gone = `gone-${stage}`;
    await inspect(`at stage ${stage}`);
    await cluster.client.delete(resources.restoreRequest, namespace, gone, {}, signal);
    for (const name of [`by-hand-${stage}`, `again-${stage}`]) held.delete(name);
    const names = [
      [resources.backup, `by-hand-${stage}`, 'Succeeded'],
      [resources.restoreRequest, `again-${stage}`, 'Restored'],
    ] as const;
    for (const [type, name, reason] of names) {
      const result = await patiently(`${name} has ended`, async () => {
        const condition = resultOf(await get(type, name));
        return condition?.status !== 'Unknown' && condition;
      });
      expect(result, name).toMatchObject({ status: 'True', reason });
    }
    await patiently(
      `${gone} is cleared up and gone`,
      async () => (await get(resources.restoreRequest, gone)) === undefined,
    );
  };

  it('hand backups and restores over in the middle, upgraded and rolled back: none fails, no slot runs twice, nothing is left', async () => {
    await start('earlier');
    await leads('earlier');
    await start('today');
    await patiently('the first backup', async () => resultOf(await get(resources.backup, 'first'))?.status === 'True');
    for (const [index, before] of stages.entries()) {
      const specs = await begin(index, before);
      const after = stages[index + 1] ?? before;
      await change(before, after);
      await finish(index);
      // Members that one of them does not know are there as long as the definitions know them.
      if (before.definitions !== after.definitions) continue;
      expect((await get(resources.restoreRequest, `again-${index}`))?.spec).toEqual(specs.get(`again-${index}`));
    }

    const ended = await patiently('all runs have ended', async () => {
      const all = await listAll<Backup>(resources.backup);
      const slots = (await listAll<BackupPolicy>(resources.policy)).map(({ status }) => status?.handledSlot);
      const isOver = all.every((each) => !['Unknown', undefined].includes(resultOf(each)?.status));
      return isOver && slots.filter((slot) => slot !== undefined).length === policies.length && all;
    });
    const now = new Map(ended.map((each) => [each.metadata.name, each]));
    const scheduled = (await listAll<BackupPolicy>(resources.policy)).filter(({ spec }) => spec.schedule !== undefined);
    for (const policy of scheduled) {
      const judged = judgePolicy(policy, { ...seen, now });
      expect(judged, policy.metadata.name).toMatchObject({ faults: [], missed: 0, ends: { Succeeded: judged.runs } });
      expect(judged.runs).toBeGreaterThan(0);
      expect(findCondition(policy.status?.conditions, 'Ready')?.status).toBe('True');
      expect(findCondition(policy.status?.conditions, 'Healthy')?.status).toBe('True');
    }
    for (const stage of stages.keys()) {
      expect(seen.jobs.uidsOf(backupJobName(`by-hand-${stage}`))).toHaveLength(1);
      expect(seen.jobs.uidsOf(restoreJobName(`again-${stage}`))).toHaveLength(1);
    }
    expect([...now.values()].map((each) => resultOf(each)?.reason).filter((reason) => reason !== 'Succeeded')).toEqual(
      [],
    );
    const [location] = await listAll<BackupLocation>(resources.location);
    expect(findCondition(location?.status?.conditions, 'Available')?.status).toBe('True');
    const jobs = await patiently('Jobs of what is gone are gone', async () => {
      const names = (await listAll(resources.job)).map(({ metadata }) => metadata.name ?? '');
      return !names.some((name) => name.includes('gone-')) && names;
    });
    expect(jobs.length).toBeGreaterThan(stages.length * 2);
    const requests = await listAll(resources.restoreRequest);
    expect(requests.map(({ metadata }) => metadata.finalizers ?? [])).toEqual(stages.map(() => []));
  });
});
