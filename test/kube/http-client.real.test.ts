import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KubeObject, ResourceType } from '../../src/kube/client.ts';
import { createEventRecorder, eventType } from '../../src/kube/events.ts';
import {
  openKubeClient,
  type HttpClientOptions,
  type HttpKubeClient,
  type KubeRequest,
} from '../../src/kube/http-client.ts';
import { createInformer } from '../../src/kube/informer.ts';
import { listPages } from '../../src/kube/list-pages.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import { startKubeApiserver, whyNoKubeApiserver, type KubeApiserver } from '../servers/kube-apiserver.ts';
import { describeKubeConformance } from '../suites/kube-conformance.ts';
import { buildWidget, widgetCrd, widgetType } from '../suites/widget.ts';

const assets = process.env['KUBEBUILDER_ASSETS'];
const skipped = whyNoKubeApiserver(assets, 'kube-controller-manager');
const { signal } = new AbortController();

const core = (kind: string, plural: string, namespaced: boolean): ResourceType => {
  return { group: '', version: 'v1', kind, plural, namespaced };
};
const namespaceType = core('Namespace', 'namespaces', false);
const podType = core('Pod', 'pods', true);
const crdType: ResourceType = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  namespaced: false,
};

describe.skipIf(skipped)(`the client of a real API server${skipped ? ` (skipped: ${skipped})` : ''}`, () => {
  let server: KubeApiserver;
  let client: HttpKubeClient;
  let expired = '';
  let namespaces = 0;
  const requests: KubeRequest[] = [];

  const open = (source: HttpClientOptions['source']): Promise<HttpKubeClient> => {
    return openKubeClient({
      source,
      clock: systemClock,
      userAgent: 'test',
      onRequest: (request) => requests.push(request),
    });
  };
  const newNamespace = async (): Promise<string> => {
    const name = `ns-${(namespaces += 1)}`;
    await client.create(namespaceType, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }, signal);
    return name;
  };

  beforeAll(async () => {
    server = await startKubeApiserver(assets ?? '', { users: ['nobody'] });
    client = await open({ kind: 'text', text: server.kubeconfig });
    await client.create(crdType, widgetCrd, signal);
    // Established is told before every part of the server serves the kind: the first good list is the truth.
    await waitFor(() => client.list(widgetType, {}, signal));
    await server.startControllers('garbage-collector-controller');
    // The server's watch cache of a kind begins when the kind does: what is older is not remembered.
    expired = (await client.get(namespaceType, undefined, 'default', signal))?.metadata.resourceVersion ?? '';
  });
  afterAll(async () => {
    client?.close();
    await server?.stop();
  });

  describeKubeConformance(async () => ({
    client,
    newNamespace,
    expiredVersion: async () => expired,
    stop: async () => undefined,
  }));

  it('reads a list of large objects with the tokens of pages of other sizes, and names one that is too large', async () => {
    const namespace = await newNamespace();
    const names = Array.from({ length: 40 }, (_, index) => `w${String(index).padStart(2, '0')}`);
    for (const [index, name] of names.entries()) {
      const note = 'x'.repeat(index < 10 || index > 35 ? 100 : 20_000);
      const widget = buildWidget(namespace, name);
      await client.create(widgetType, { ...widget, metadata: { ...widget.metadata, annotations: { note } } }, signal);
    }
    const source = { kind: 'text', text: server.kubeconfig } as const;
    const listed = async (maxAnswerBytes: number): Promise<readonly string[]> => {
      const small = await openKubeClient({ source, clock: systemClock, userAgent: 'test', maxAnswerBytes });
      const found: string[] = [];
      try {
        for await (const { items } of listPages(small, widgetType, { namespace, limit: 500 }, signal)) {
          found.push(...items.map(({ metadata }) => metadata.name ?? ''));
        }
      } finally {
        small.close();
      }
      return found;
    };
    expect(await listed(100_000)).toEqual(names);
    await expect(listed(20_000)).rejects.toMatchObject({
      code: 'TooLarge',
      message: `widgets/${namespace}/w10 is too large: an answer of more than 20000 bytes`,
    });
  });

  it('knows its server and namespace, and tells of each request', async () => {
    expect(client.server).toBe(server.server);
    expect(client.namespace).toBe('default');
    const namespace = await newNamespace();
    requests.splice(0);
    await client.create(widgetType, buildWidget(namespace, 'a'), signal);
    await client.create(widgetType, buildWidget(namespace, 'a'), signal).catch(() => undefined);
    await client.get(widgetType, namespace, 'b', signal);
    expect(requests).toMatchObject([
      { verb: 'create', plural: 'widgets', status: 201 },
      { verb: 'create', plural: 'widgets', status: 409 },
      { verb: 'get', plural: 'widgets', status: 404 },
    ]);
  });

  it('leaves the bookkeeping of field managers to the server', async () => {
    const created = await client.create(widgetType, buildWidget(await newNamespace(), 'a'), signal);
    expect(created.metadata).not.toHaveProperty('managedFields');
  });

  it('reads an empty log of a pod that is bound to no node, and none of a container that it does not have', async () => {
    const namespace = await newNamespace();
    const meta = { namespace, name: 'default' };
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: meta, automountServiceAccountToken: false };
    await client.create(core('ServiceAccount', 'serviceaccounts', true), account, signal);
    const pod: KubeObject = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace, name: 'p' },
      spec: { containers: [{ name: 'runner', image: 'nowhere.invalid/none:1' }] },
    };
    await client.create(podType, pod, signal);
    expect(await client.readLog(namespace, 'p', { container: 'runner', tailLines: 5, limitBytes: 100 }, signal)).toBe(
      '',
    );
    const absent = client.readLog(namespace, 'p', { container: 'sidecar' }, signal);
    await expect(absent).rejects.toMatchObject({ code: 'NotFound', status: 404 });
  });

  it('is told what it may not do', async () => {
    const nobody = await open({ kind: 'text', text: server.kubeconfigOf('nobody') });
    await expect(nobody.list(widgetType, {}, signal)).rejects.toMatchObject({ code: 'Forbidden', status: 403 });
    const watch = nobody.watch(widgetType, { resourceVersion: '5' }, signal)[Symbol.asyncIterator]();
    await expect(watch.next()).rejects.toMatchObject({ code: 'Forbidden', status: 403 });
    nobody.close();
  });

  it('talks to nobody whose certificate it does not trust', async () => {
    const config = JSON.parse(server.kubeconfig) as { clusters: { cluster: Record<string, string> }[] };
    delete config.clusters[0]?.cluster['certificate-authority-data'];
    const stranger = await open({ kind: 'text', text: JSON.stringify(config) });
    await expect(stranger.list(widgetType, {}, signal)).rejects.toMatchObject({ code: 'Unreachable', status: 0 });
  });

  it('works in a pod, and takes up a renewed token at once when the old one is refused', async () => {
    const root = await mkdtemp(join(tmpdir(), 'in-cluster-'));
    try {
      const folder = join(root, 'var/run/secrets/kubernetes.io/serviceaccount');
      await mkdir(folder, { recursive: true });
      const config = JSON.parse(server.kubeconfig) as {
        clusters: [{ cluster: Record<string, string> }];
        users: [{ user: { token: string } }];
      };
      const ca = config.clusters[0].cluster['certificate-authority-data'] ?? '';
      await writeFile(join(folder, 'ca.crt'), Buffer.from(ca, 'base64'));
      await writeFile(join(folder, 'namespace'), 'backups');
      await writeFile(join(folder, 'token'), 'outdated');
      const { hostname, port } = new URL(server.server);
      const environment = { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port };
      const pod = await open({ kind: 'in-cluster', environment, root });
      expect(pod.namespace).toBe('backups');
      await expect(pod.list(widgetType, {}, signal)).rejects.toMatchObject({ code: 'Unauthorized', status: 401 });
      await writeFile(join(folder, 'token'), `${config.users[0].user.token}\n`);
      expect((await pod.list(widgetType, { limit: 1 }, signal)).items.length).toBeLessThanOrEqual(1);
      pod.close();
    } finally {
      await rm(root, { recursive: true });
    }
  });

  it('refuses a configuration that names no server', async () => {
    const notInCluster = open({ kind: 'in-cluster', environment: {} });
    await expect(notInCluster).rejects.toThrow('KUBERNETES_SERVICE_HOST is not set');
    await expect(open({ kind: 'file', path: join(server.folder, 'none') })).rejects.toThrow(/cannot be read/);
    await expect(open({ kind: 'text', text: 'current-context: none' })).rejects.toThrow(/names no cluster/);
    await expect(open({ kind: 'text', text: '{' })).rejects.toMatchObject({ code: 'BadRequest' });
  });

  it('feeds an informer', async () => {
    const namespace = await newNamespace();
    for (const name of ['a', 'b', 'c']) await client.create(widgetType, buildWidget(namespace, name), signal);
    const stop = new AbortController();
    const errors: unknown[] = [];
    const informer = createInformer({
      client,
      type: widgetType,
      namespace,
      clock: systemClock,
      random: systemRandom,
      pageSize: 2,
      watchTimeoutSeconds: 2,
      onChange: () => undefined,
      onError: (error) => errors.push(error),
    });
    const running = informer.run(stop.signal);
    await informer.whenSynced(signal);
    expect(informer.size()).toBe(3);
    await expect.poll(() => informer.state().watches, { timeout: 10_000 }).toBeGreaterThan(1);
    await client.delete(widgetType, namespace, 'b', {}, signal);
    await expect.poll(() => informer.list().map(({ metadata }) => metadata.name)).toEqual(['a', 'c']);
    stop.abort();
    await running;
    expect(errors).toEqual([]);
    expect(informer.state().lists).toBe(1);
  });

  it('records events that the server accepts, and counts them up', async () => {
    const namespace = await newNamespace();
    const object = await client.create(widgetType, buildWidget(namespace, 'a'), signal);
    const dropped: unknown[] = [];
    const recorder = createEventRecorder({
      client,
      clock: systemClock,
      random: systemRandom,
      component: 'tester',
      instance: 'tester-1',
      onDrop: (_, error) => dropped.push(error),
    });
    for (let i = 0; i < 3; i += 1) {
      recorder.record({ object, type: 'Warning', reason: 'Failed', message: 'x'.repeat(3000) });
      await recorder.drain(signal);
    }
    expect(dropped).toEqual([]);
    const { items } = await client.list(eventType, { namespace }, signal);
    expect(items).toMatchObject([{ reason: 'Failed', count: 3, type: 'Warning' }]);
  });
});

async function waitFor(attempt: () => Promise<unknown>): Promise<void> {
  for (let left = 300; ; left -= 1) {
    try {
      await attempt();
      return;
    } catch (error) {
      if (left === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
