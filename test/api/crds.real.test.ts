import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { apiGroup, backupKind, kinds } from '../../src/api/kinds.ts';
import { validateObject } from '../../src/api/validate.ts';
import type { KubeObject } from '../../src/kube/client.ts';
import { whyNoKubeApiserver } from '../servers/kube-apiserver.ts';
import { badObjects } from './bad-objects.ts';
import { goodObjects, goodStatuses } from './good-objects.ts';
import { backup, s3, withPolicy, withRestore, withTemplate, type TestObject } from './object-cases.ts';
import { crdType, kindOf, startWithCrds, typeOf, type Cluster } from './start-with-crds.ts';

const assets = process.env['KUBEBUILDER_ASSETS'];
const missing = whyNoKubeApiserver(assets);
const signal = new AbortController().signal;
const namespace = 'default';

interface CrdStatus {
  readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message: string }[];
}

describe.skipIf(missing !== undefined)(`The CRDs on a real API server${missing ? ` (${missing})` : ''}`, () => {
  let cluster: Cluster;

  const conditionsOf = async (name: string) => {
    const crd = await cluster.client.get(crdType, undefined, name, signal);
    return (crd?.status as CrdStatus | undefined)?.conditions ?? [];
  };
  beforeAll(async () => {
    cluster = await startWithCrds(assets ?? '', signal);
  });
  afterAll(() => cluster?.stop());

  it.each(kinds.map((kind) => kind.plural))('establish %s without a complaint', async (plural) => {
    const conditions = await conditionsOf(`${plural}.${apiGroup}`);
    const states = Object.fromEntries(conditions.map(({ type, status }) => [type, status]));

    expect(states).toEqual({ NamesAccepted: 'True', Established: 'True' });
  });

  it('let backups be found by their policy, and by how they ended', async () => {
    const type = typeOf(backupKind);
    const made = [backup({ policy: 'nightly' }, 'a'), backup({ policy: 'weekly' }, 'b')];
    for (const object of made) {
      const metadata = { ...object.metadata, namespace };
      const created = await cluster.client.create(type, { ...object, metadata }, signal);
      const phase = object === made[0] ? 'Failed' : 'Succeeded';
      await cluster.client.putStatus(type, { ...created, status: { phase } }, signal);
    }
    const find = async (fieldSelector: string): Promise<readonly unknown[]> => {
      const { items } = await cluster.client.list(type, { namespace, fieldSelector }, signal);
      return items.map(({ metadata }) => metadata.name);
    };
    expect(await find('spec.policy=nightly')).toEqual(['a']);
    expect(await find('status.phase=Succeeded')).toEqual(['b']);
    expect(await find('status.phase!=Failed,spec.policy=nightly')).toEqual([]);
    for (const { metadata } of made) await cluster.client.delete(type, namespace, metadata.name, {}, signal);
  });

  /** Creates (and replaces) the object and returns what the server stored; nothing is left behind. */
  const store = async (object: TestObject, old: TestObject | undefined): Promise<KubeObject> => {
    const type = typeOf(kindOf(object));
    const first = { ...(old ?? object), metadata: { ...(old ?? object).metadata, namespace } } as KubeObject;
    const created = await cluster.client.create(type, first, signal);
    try {
      if (!old) return created;
      const next = { ...object, metadata: { ...created.metadata } } as KubeObject;
      return await cluster.client.put(type, next, signal);
    } finally {
      await cluster.client.delete(type, namespace, object.metadata.name, {}, signal);
    }
  };

  it.each(badObjects)('refuse $name', async ({ object, old, error }) => {
    await expect(store(object, old)).rejects.toThrow(error);
  });

  it.each(goodObjects)('accept $name and apply the same defaults', async ({ object, old }) => {
    const stored = await store(object, old);
    const judged = validateObject<TestObject>(kindOf(object), object, old);

    expect('object' in judged && judged.object.spec).toEqual(stored.spec);
  });

  it.each(goodStatuses)('accept a full status of $kind and keep all of it', async ({ kind, status }) => {
    const objects = [s3(), withPolicy(), backup({ policy: 'a' }), withRestore(), withTemplate()];
    const object = objects.find((each) => each.kind === kind);
    if (!object) throw new Error(`no kind ${kind}`);
    const type = typeOf(kindOf(object));
    const created = await cluster.client.create(
      type,
      { ...object, metadata: { name: 'with-status', namespace } },
      signal,
    );
    const stored = await cluster.client.putStatus(type, { ...created, status }, signal);
    await cluster.client.delete(type, namespace, 'with-status', {}, signal);

    expect(stored.status).toEqual(status);
  });

  it('refuse a status that the schema does not allow, and leave out what it does not know', async () => {
    const type = typeOf(kindOf(s3()));
    const created = await cluster.client.create(type, { ...s3(), metadata: { name: 'bad-status', namespace } }, signal);

    await expect(cluster.client.putStatus(type, { ...created, status: { phase: 'Fine' } }, signal)).rejects.toThrow(
      'status.phase: Unsupported value: "Fine"',
    );
    const status = { phase: 'Unknown', more: 1 };
    const stored = await cluster.client.putStatus(type, { ...created, status }, signal);
    expect(stored.status).toEqual({ phase: 'Unknown' });
    await cluster.client.delete(type, namespace, 'bad-status', {}, signal);
  });
});
