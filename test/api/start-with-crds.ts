import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, vi } from 'vitest';
import { parse } from 'yaml';
import type { Kind } from '../../src/api/kind.ts';
import { apiGroup, apiVersionName, kinds } from '../../src/api/kinds.ts';
import { isKubeError, type KubeObject, type ResourceType } from '../../src/kube/client.ts';
import { openKubeClient, type HttpKubeClient } from '../../src/kube/http-client.ts';
import { systemClock } from '../../src/support/clock.ts';
import { startKubeApiserver } from '../servers/kube-apiserver.ts';
import type { TestObject } from './object-cases.ts';

export const crdType: ResourceType = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  namespaced: false,
};

/** A kind of Kubernetes' own. */
export const core = (kind: string, plural: string, namespaced = true): ResourceType => ({
  group: '',
  version: 'v1',
  kind,
  plural,
  namespaced,
});

export const typeOf = ({ kind, plural }: Kind): ResourceType => ({
  group: apiGroup,
  version: apiVersionName,
  kind,
  plural,
  namespaced: true,
});

export function kindOf(object: TestObject): Kind {
  const found = kinds.find((kind) => kind.kind === object.kind);
  if (!found) throw new Error(`no kind ${object.kind}`);
  return found;
}

export interface Cluster {
  readonly client: HttpKubeClient;
  /** The client's. */
  readonly kubeconfig: string;
  /** Of one of the users, without rights of their own. */
  kubeconfigOf(user: string): string;
  /** kube-controller-manager with these controllers only. */
  startControllers(...controllers: readonly string[]): Promise<void>;
  /** Of the API server. */
  readonly address: { readonly host: string; readonly port: number };
  restart(downMs: number): Promise<void>;
  stop(): Promise<void>;
}

/** A real API server that serves our kinds, as the files in crds say. */
export async function startWithCrds(
  assets: string,
  signal: AbortSignal,
  users: readonly string[] = [],
  /** Of the definitions. Default: this one. */
  tree = join(import.meta.dirname, '..', '..'),
): Promise<Cluster> {
  const server = await startKubeApiserver(assets, { users });
  const client = await openKubeClient({
    source: { kind: 'text', text: server.kubeconfig },
    clock: systemClock,
    userAgent: 'test',
  });
  const stop = async (): Promise<void> => {
    client.close();
    await server.stop();
  };
  const isServed = async (kind: Kind): Promise<boolean> => {
    try {
      await client.list(typeOf(kind), { namespace: 'default', limit: 1 }, signal);
      return true;
    } catch (error) {
      if (isKubeError(error)) return false;
      throw error;
    }
  };
  try {
    const folder = join(tree, 'crds');
    for (const file of await readdir(folder)) {
      await client.create(crdType, parse(await readFile(join(folder, file), 'utf8')) as KubeObject, signal);
    }
    await vi.waitFor(async () => expect(await Promise.all(kinds.map(isServed))).not.toContain(false), 30_000);
    return {
      client,
      kubeconfig: server.kubeconfig,
      kubeconfigOf: (user) => server.kubeconfigOf(user),
      startControllers: (...all) => server.startControllers(...all),
      address: { host: '127.0.0.1', port: Number(new URL(server.server).port) },
      restart: (downMs) => server.restart(downMs),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
