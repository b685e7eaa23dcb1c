import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { resources } from '../src/controller/resources.ts';
import { isKubeError, type KubeObject, type ResourceType } from '../src/kube/client.ts';
import { openKubeClient, type HttpKubeClient } from '../src/kube/http-client.ts';
import { systemClock } from '../src/support/clock.ts';
import { startKubeApiserver } from '../test/servers/kube-apiserver.ts';
import { waitFor } from './wait-for.ts';

/** A control plane without nodes: Jobs get pods, and these stay Pending. */
export interface ControlPlane {
  readonly client: HttpKubeClient;
  readonly kubeconfigPath: string;
  /** Where its API server keeps the objects. */
  readonly etcdUrl: string;
  /** A new namespace, ready for pods. */
  readonly makeNamespace: (name: string) => Promise<void>;
  stop(): Promise<void>;
}

const never = new AbortController().signal;
const cluster = (group: string, version: string, kind: string, plural: string): ResourceType => {
  return { group, version, kind, plural, namespaced: false };
};
const crds = cluster('apiextensions.k8s.io', 'v1', 'CustomResourceDefinition', 'customresourcedefinitions');
const namespaces = cluster('', 'v1', 'Namespace', 'namespaces');
const accounts: ResourceType = { ...cluster('', 'v1', 'ServiceAccount', 'serviceaccounts'), namespaced: true };

/** kube-apiserver with our kinds, and kube-controller-manager at 200 requests per second with what makes and clears Jobs. */
export async function startControlPlane(assets: string): Promise<ControlPlane> {
  const server = await startKubeApiserver(assets);
  const source = { kind: 'text', text: server.kubeconfig } as const;
  const client = await openKubeClient({ source, clock: systemClock, userAgent: 'bench' });
  const stop = async (): Promise<void> => {
    client.close();
    await server.stop();
  };
  try {
    const folder = join(import.meta.dirname, '..', 'crds');
    for (const file of await readdir(folder)) {
      await client.create(crds, parse(await readFile(join(folder, file), 'utf8')) as KubeObject, never);
    }
    const isServed = async (type: ResourceType): Promise<boolean> =>
      client.list(type, { namespace: 'default', limit: 1 }, never).then(
        () => true,
        () => false,
      );
    const ours = Object.values(resources).filter(({ group }) => group === resources.policy.group);
    await waitFor('our kinds are served', async () => (await Promise.all(ours.map(isServed))).every(Boolean));
    await server.startControllers('cronjob-controller', 'job-controller', 'garbage-collector-controller');
    const makeNamespace = async (name: string): Promise<void> => {
      const base = { apiVersion: 'v1' } as const;
      await client.create(namespaces, { ...base, kind: 'Namespace', metadata: { name } }, never);
      // Pods need it, and the controller that makes it does not run.
      const account = { ...base, kind: 'ServiceAccount', metadata: { name: 'default', namespace: name } };
      await client.create(accounts, account, never).catch((error: unknown) => {
        if (!isKubeError(error, 'AlreadyExists')) throw error;
      });
    };
    const { kubeconfigPath, etcdUrl } = server;
    return { client, kubeconfigPath, etcdUrl, makeNamespace, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
