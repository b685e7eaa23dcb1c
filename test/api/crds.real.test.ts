import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import { apiGroup, apiVersionName, kinds, type Kind } from '../../src/api/kinds.ts';
import { validateObject } from '../../src/api/validate.ts';
import type { KubeObject, ResourceType } from '../../src/kube/client.ts';
import { openKubeClient, type HttpKubeClient } from '../../src/kube/http-client.ts';
import { systemClock } from '../../src/support/clock.ts';
import { startKubeApiserver, whyNoKubeApiserver, type KubeApiserver } from '../servers/kube-apiserver.ts';
import { badObjects } from './bad-objects.ts';
import { goodObjects, goodStatuses } from './good-objects.ts';
import { backup, s3, withPolicy, type TestObject } from './object-cases.ts';

const assets = process.env['KUBEBUILDER_ASSETS'];
const missing = whyNoKubeApiserver(assets);
const signal = new AbortController().signal;
const namespace = 'default';

const crdType: ResourceType = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  namespaced: false,
};
const typeOf = ({ kind, plural }: Kind): ResourceType => ({
  group: apiGroup,
  version: apiVersionName,
  kind,
  plural,
  namespaced: true,
});
function kindOf(object: TestObject): Kind {
  const found = kinds.find((kind) => kind.kind === object.kind);
  if (!found) throw new Error(`no kind ${object.kind}`);
  return found;
}

interface CrdStatus {
  readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message: string }[];
}

describe.skipIf(missing !== undefined)(`The CRDs on a real API server${missing ? ` (${missing})` : ''}`, () => {
  let server: KubeApiserver;
  let client: HttpKubeClient;

  const conditionsOf = async (name: string) => {
    const crd = await client.get(crdType, undefined, name, signal);
    return (crd?.status as CrdStatus | undefined)?.conditions ?? [];
  };
  const isServed = async (kind: Kind): Promise<boolean> => {
    try {
      await client.list(typeOf(kind), { namespace, limit: 1 }, signal);
      return true;
    } catch {
      return false;
    }
  };

  beforeAll(async () => {
    server = await startKubeApiserver(assets ?? '');
    client = await openKubeClient({
      source: { kind: 'text', text: server.kubeconfig },
      clock: systemClock,
      userAgent: 'test',
    });
    const folder = join(import.meta.dirname, '..', '..', 'crds');
    for (const file of await readdir(folder)) {
      const crd = parse(await readFile(join(folder, file), 'utf8')) as KubeObject;
      await client.create(crdType, crd, signal);
    }
    await vi.waitFor(async () => expect(await Promise.all(kinds.map(isServed))).not.toContain(false), 30_000);
  });
  afterAll(async () => {
    client?.close();
    await server?.stop();
  });

  it.each(kinds.map((kind) => kind.plural))('establish %s without a complaint', async (plural) => {
    const conditions = await conditionsOf(`${plural}.${apiGroup}`);
    const states = Object.fromEntries(conditions.map(({ type, status }) => [type, status]));

    expect(states).toEqual({ NamesAccepted: 'True', Established: 'True' });
  });

  /** Creates (and replaces) the object and returns what the server stored; nothing is left behind. */
  const store = async (object: TestObject, old: TestObject | undefined): Promise<KubeObject> => {
    const type = typeOf(kindOf(object));
    const first = { ...(old ?? object), metadata: { ...(old ?? object).metadata, namespace } } as KubeObject;
    const created = await client.create(type, first, signal);
    try {
      if (!old) return created;
      const next = { ...object, metadata: { ...created.metadata } } as KubeObject;
      return await client.put(type, next, signal);
    } finally {
      await client.delete(type, namespace, object.metadata.name, {}, signal);
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
    const object = { BackupLocation: s3(), BackupPolicy: withPolicy(), Backup: backup({ policy: 'a' }) }[kind];
    if (!object) throw new Error(`no kind ${kind}`);
    const type = typeOf(kindOf(object));
    const created = await client.create(type, { ...object, metadata: { name: 'with-status', namespace } }, signal);
    const stored = await client.putStatus(type, { ...created, status }, signal);
    await client.delete(type, namespace, 'with-status', {}, signal);

    expect(stored.status).toEqual(status);
  });

  it('refuse a status that the schema does not know', async () => {
    const type = typeOf(kindOf(s3()));
    const created = await client.create(type, { ...s3(), metadata: { name: 'bad-status', namespace } }, signal);

    await expect(client.putStatus(type, { ...created, status: { phase: 'Fine' } }, signal)).rejects.toThrow(
      'status.phase: Unsupported value: "Fine"',
    );
    await expect(client.putStatus(type, { ...created, status: { more: 1 } }, signal)).rejects.toThrow(
      'unknown field "status.more"',
    );
    await client.delete(type, namespace, 'bad-status', {}, signal);
  });
});
