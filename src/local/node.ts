import { createServer, type Server } from 'node:https';
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isKubeError, type KubeClient, type KubeObject, type ResourceType } from '../kube/client.ts';
import type { Clock } from '../support/clock.ts';
import { kubeTime, podType, type Pod } from './workload-types.ts';

export const nodeType: ResourceType = { group: '', version: 'v1', kind: 'Node', plural: 'nodes', namespaced: false };

export interface NodeOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly name: string;
  /** Address at which the API server reaches this process. */
  readonly address: string;
  /** PEM of the certificate that the API server is shown. */
  readonly tls: { readonly key: string; readonly cert: string };
  /** Logs of the pods that run here. */
  readonly readLog: KubeClient['readLog'];
}

export interface RegisteredNode {
  /** Takes the node out of the cluster and stops serving. */
  close(): Promise<void>;
}

const capacity = { cpu: '64', memory: '256Gi', pods: '1000' };

/**
 * Makes an executor a node of a real cluster: registers a Node, and serves the logs of its pods where the API server asks a kubelet
 * for them. For tests and demonstrations: whoever reaches the port may read these logs.
 */
export async function registerNode(options: NodeOptions, signal: AbortSignal): Promise<RegisteredNode> {
  const { client, clock, name, address, tls, readLog } = options;
  const server = createServer(tls, (request, response) => {
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    void answerLog(request.url ?? '/', response, readLog, AbortSignal.any([signal, gone.signal]));
  });
  await listen(server, address);
  const close = async (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  try {
    const { port } = server.address() as AddressInfo;
    const labels = { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux' };
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name, labels }, spec: {} } satisfies KubeObject;
    const made = await client.create(nodeType, node, signal);
    const now = kubeTime(clock.nowMs());
    const ready = { type: 'Ready', status: 'True', reason: 'ExecutorReady', message: 'runs pods as processes' };
    const status = {
      addresses: [{ type: 'InternalIP', address }],
      daemonEndpoints: { kubeletEndpoint: { Port: port } },
      conditions: [{ ...ready, lastHeartbeatTime: now, lastTransitionTime: now }],
      capacity,
      allocatable: capacity,
    };
    await client.putStatus(nodeType, { ...made, status }, signal);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    close: async () => {
      await client.delete(nodeType, undefined, name, {}, neverAborted);
      await close();
    },
  };
}

/** What a kubelet does with a pod that was deleted and has ended: nobody else takes its object away. */
export function removePodFrom(client: KubeClient): (pod: Pod, signal: AbortSignal) => Promise<void> {
  return async ({ metadata: { namespace, name = '', uid = '' } }, signal) => {
    try {
      await client.delete(podType, namespace, name, { uid, gracePeriodSeconds: 0 }, signal);
    } catch (error) {
      // Another pod of this name by now.
      if (!isKubeError(error, 'Conflict')) throw error;
    }
  };
}

const neverAborted = new AbortController().signal;

/** `/containerLogs/<namespace>/<pod>/<container>?tailLines=&limitBytes=`, as kubelets serve it. */
async function answerLog(
  url: string,
  response: ServerResponse,
  readLog: KubeClient['readLog'],
  signal: AbortSignal,
): Promise<void> {
  const { pathname, searchParams } = new URL(url, 'https://node');
  const match = /^\/containerLogs\/([^/]+)\/([^/]+)\/([^/]+)$/.exec(pathname);
  const end = (status: number, body: string): void => {
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(body);
  };
  if (match === null) return end(404, 'only logs are served here\n');
  const [namespace = '', pod = '', container = ''] = match.slice(1).map(decodeURIComponent);
  const limits = ['tailLines', 'limitBytes'].flatMap((name) => {
    const value = searchParams.get(name);
    return value === null ? [] : [[name, Number(value)] as const];
  });
  try {
    end(200, await readLog(namespace, pod, { container, ...Object.fromEntries(limits) }, signal));
  } catch (error) {
    if (!signal.aborted) end(isKubeError(error) ? error.status : 500, `${String(error)}\n`);
  }
}

async function listen(server: Server, host: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
