import { randomUUID } from 'node:crypto';
import { resources } from '../src/controller/resources.ts';
import type { KubeObject, ResourceType } from '../src/kube/client.ts';
import type { HttpKubeClient } from '../src/kube/http-client.ts';
import { openEtcd } from './etcd.ts';

/**
 * Puts objects of our kinds where the API server keeps them, as it would have stored them: two hundred times as fast as asking it. For
 * each kind one object goes its whole way first, its status in a request of its own, and the others are stored like that one, with its
 * defaults and managedFields; so all of a kind must have the same members.
 */
export interface ObjectStore {
  /** `madeMs`: the time of its creation. */
  put(objects: Iterable<{ readonly object: KubeObject; readonly madeMs: number }>): Promise<number>;
}

const never = new AbortController().signal;
/** What etcd takes in one transaction. */
const batchOf = 128;

export function openObjectStore(client: HttpKubeClient, etcdUrl: string): ObjectStore {
  const etcd = openEtcd(etcdUrl);

  const learn = async (object: KubeObject): Promise<KubeObject> => {
    const type = typeOf(object);
    const made = await client.create(type, object, never);
    if (object['status'] !== undefined) await client.putStatus(type, { ...made, status: object['status'] }, never);
    const stored = JSON.parse(await etcd.get(keyOf(object))) as KubeObject;
    const { namespace, name = '' } = object.metadata;
    await client.delete(type, namespace, name, {}, never);
    return stored;
  };

  return {
    put: async (objects) => {
      const patterns = new Map<string, KubeObject>();
      let batch: (readonly [key: string, value: string])[] = [];
      let bytes = 0;
      for (const { object, madeMs } of objects) {
        const shape = `${object.kind} ${'status' in object}`;
        const pattern = patterns.get(shape) ?? (await learn(object));
        patterns.set(shape, pattern);
        const value = JSON.stringify(like(pattern, object, madeMs));
        bytes += value.length;
        batch.push([keyOf(object), value]);
        if (batch.length < batchOf) continue;
        await etcd.putAll(batch);
        batch = [];
      }
      if (batch.length > 0) await etcd.putAll(batch);
      return bytes;
    },
  };
}

function like(pattern: KubeObject, object: KubeObject, madeMs: number): unknown {
  const uid = randomUUID();
  const creationTimestamp = `${new Date(madeMs).toISOString().slice(0, 19)}Z`;
  const own = { ...object, metadata: { ...object.metadata, uid, creationTimestamp } };
  return over(pattern, own);
}

/** Members of `own` count before those of `pattern`, at every depth. */
function over(pattern: unknown, own: unknown): unknown {
  if (Array.isArray(own)) return own.map((each, index) => over(Array.isArray(pattern) ? pattern[index] : {}, each));
  if (typeof own !== 'object' || own === null) return own;
  const base = typeof pattern === 'object' && pattern !== null ? (pattern as Readonly<Record<string, unknown>>) : {};
  return {
    ...base,
    ...Object.fromEntries(Object.entries(own).map(([key, value]) => [key, over(base[key], value)])),
  };
}

function typeOf({ kind }: KubeObject): ResourceType {
  const type = Object.values(resources).find((each) => each.kind === kind);
  if (type === undefined) throw new TypeError(`no kind of ours: ${kind}`);
  return type;
}

function keyOf(object: KubeObject): string {
  const { group, plural } = typeOf(object);
  return `/registry/${group}/${plural}/${object.metadata.namespace}/${object.metadata.name}`;
}
