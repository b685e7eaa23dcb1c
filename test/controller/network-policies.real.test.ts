import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { createInspectJob } from '../../src/controller/location/job.ts';
import type { KubeObject, ResourceType } from '../../src/kube/client.ts';
import { core, startWithCrds, type Cluster } from '../api/start-with-crds.ts';
import { buildLocation } from '../builders/objects.ts';
import { whyNoKubeApiserver } from '../servers/kube-apiserver.ts';
import { testMode } from './fake-cluster.ts';

const assets = process.env['KUBEBUILDER_ASSETS'];
const missing = whyNoKubeApiserver(assets);
const { signal } = new AbortController();
const namespaces = core('Namespace', 'namespaces', false);
const networkPolicies: ResourceType = {
  group: 'networking.k8s.io',
  version: 'v1',
  kind: 'NetworkPolicy',
  plural: 'networkpolicies',
  namespaced: true,
};

interface Selecting extends KubeObject {
  readonly spec: { readonly podSelector: { readonly matchLabels: Readonly<Record<string, string>> } };
}
interface Template {
  readonly metadata: { readonly labels: Readonly<Record<string, string>> };
  readonly spec: { readonly containers: readonly { readonly ports?: readonly { readonly name: string }[] }[] };
}
const read = (path: string): readonly KubeObject[] =>
  parseAllDocuments(readFileSync(new URL(`../../manifests/${path}`, import.meta.url), 'utf8')).map(
    (document) => document.toJS() as KubeObject,
  );
const templateOf = ({ spec }: KubeObject): Template => (spec as { readonly template: Template }).template;

describe.skipIf(missing !== undefined)(`The network policies${missing ? ` (skipped: ${missing})` : ''}`, () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startWithCrds(assets ?? '', signal);
  }, 120_000);
  afterAll(async () => cluster?.stop());

  it('are taken by an API server, and select the pods of controller and runners, and no others', async () => {
    const policies = read('network/network-policies.yaml') as readonly Selecting[];
    const made: Selecting[] = [];
    for (const policy of policies) {
      const name = policy.metadata.namespace ?? '';
      const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
      if ((await cluster.client.get(namespaces, undefined, name, signal)) === undefined)
        await cluster.client.create(namespaces, namespace, signal);
      made.push((await cluster.client.create(networkPolicies, policy, signal)) as Selecting);
    }
    const deployment = read('install.yaml').find(({ kind }) => kind === 'Deployment');
    if (deployment === undefined) throw new Error('install.yaml has no Deployment');
    const controller = templateOf(deployment);
    const known = { policies: [], unfinished: [], backupNamed: () => undefined, heldAfter: () => [] };
    const runner = templateOf(createInspectJob(buildLocation(), testMode, known).object);
    const selects = ({ spec }: Selecting, { metadata }: Template): boolean =>
      Object.entries(spec.podSelector.matchLabels).every(([key, value]) => metadata.labels[key] === value);
    expect(made.map((policy) => [selects(policy, controller), selects(policy, runner)])).toEqual([
      [true, false],
      [false, true],
    ]);
    expect(controller.spec.containers.flatMap(({ ports = [] }) => ports).map(({ name }) => name)).toContain('metrics');
    expect(policies[0]?.metadata.namespace).toBe(deployment.metadata.namespace);
  });
});
