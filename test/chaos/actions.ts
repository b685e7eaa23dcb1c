import { writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { isKubeError, type KubeClient, type KubeObject, type ResourceType } from '../../src/kube/client.ts';
import type { Random } from '../../src/support/clock.ts';
import { crdType, type Cluster } from '../api/start-with-crds.ts';
import type { Replica } from './replica.ts';
import { resourceOf, wildObject } from './wild-objects.ts';

export interface ChaosScene {
  readonly cluster: Cluster;
  readonly random: Random;
  readonly replicas: readonly Replica[];
  /** Of the policies that must run all their slots. */
  readonly policies: readonly string[];
  readonly binding: { readonly type: ResourceType; readonly object: KubeObject };
  readonly signal: AbortSignal;
}

const minute = 60_000;
const offsets = [
  0,
  0,
  4 * minute,
  6 * minute,
  -6 * minute,
  3 * 60 * minute,
  365 * 24 * 60 * minute,
  -365 * 24 * 60 * minute,
];
let wild = 0;

/** What is done to a cluster. Each leaves it as it was, but for the objects. */
export const actions: Readonly<Record<string, (scene: ChaosScene) => Promise<void>>> = {
  kill: async (scene) => pick(scene, scene.replicas).restart('SIGKILL'),
  stop: async (scene) => pick(scene, scene.replicas).restart('SIGTERM'),
  freeze: async (scene) => pick(scene, scene.replicas).freeze(2000 + scene.random.fraction() * 28_000),
  'cut watches': async (scene) => {
    for (const { proxy } of scene.replicas) proxy.resetAll();
  },
  'restart the API server': async ({ cluster, random }) => cluster.restart(random.fraction() * 8000),
  'revoke rights': async (scene) => {
    const { type, object } = scene.binding;
    const { client } = scene.cluster;
    const { name = '' } = object.metadata;
    await persist(async () => client.delete(type, undefined, name, {}, scene.signal));
    for (const { proxy } of scene.replicas) proxy.resetAll();
    await delay(3000 + scene.random.fraction() * 12_000);
    await persist(async () => {
      await client.create(type, object, scene.signal).catch((error: unknown) => {
        if (!isKubeError(error, 'AlreadyExists')) throw error;
      });
    });
  },
  'move clocks': async (scene) => {
    for (const { clockFile } of scene.replicas) await writeFile(clockFile, String(pick(scene, offsets)));
  },
  'change a CRD': async (scene) => {
    const { client } = scene.cluster;
    const { items } = await client.list(crdType, {}, scene.signal);
    const ours = items.filter(({ metadata }) => metadata.name?.endsWith('.pgbackup.dev'));
    const { metadata } = pick(scene, ours);
    await persist(async () => toggleMember(client, metadata.name ?? '', scene.signal));
  },
  'create objects': async (scene) => {
    for (let count = 0; count < 10; count += 1) {
      const object = wildObject(scene.random, scene.policies, (wild += 1));
      try {
        await scene.cluster.client.create(resourceOf(object), object, scene.signal);
      } catch (error) {
        if (!isKubeError(error)) throw error;
      }
    }
  },
};

/** A member of spec and status that only another version knows, there or not. */
async function toggleMember(client: KubeClient, name: string, signal: AbortSignal): Promise<void> {
  const crd = await client.get(crdType, undefined, name, signal);
  if (crd === undefined) throw new Error(`no ${name}`);
  const { versions } = crd.spec as { versions: { schema: { openAPIV3Schema: { properties: Members } } }[] };
  for (const { schema } of versions) {
    for (const part of ['spec', 'status']) {
      const { properties = {} } = schema.openAPIV3Schema.properties[part] ?? {};
      if (properties['ofTomorrow'] === undefined) properties['ofTomorrow'] = { type: 'string', default: 'x' };
      else delete properties['ofTomorrow'];
    }
  }
  await client.put(crdType, crd, signal);
}

interface Members {
  [name: string]: { properties?: Record<string, unknown> };
}

/** Until it is done: what the chaos takes away it must give back. */
async function persist(act: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await act();
    } catch (error) {
      if (!isKubeError(error)) throw error;
      await delay(200);
    }
  }
}

export function pick<T>({ random }: { readonly random: Random }, list: readonly T[]): T {
  return list[Math.floor(random.fraction() * list.length)] as T;
}
