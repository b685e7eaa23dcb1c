import { readFile } from 'node:fs/promises';
import type { Clock } from '../support/clock.ts';
import type { Authorization } from './http-transport.ts';

/** Who we are to an API server, and where it is. */
export interface Access {
  /** Base URL; undefined when the configuration names none. */
  readonly server: string | undefined;
  readonly namespace: string | undefined;
  /** TLS and authorization for one request. */
  authorize(): Promise<Authorization>;
}

const folderOfPods = '/var/run/secrets/kubernetes.io/serviceaccount';
/** Kubelets renew a token long before it ends; its file is read again after this. */
const tokenForMs = 60_000;

/**
 * The service account of this pod: KUBERNETES_SERVICE_HOST and _PORT, and the files that the kubelet keeps up to date below `root`.
 * By hand, because the client library costs 90 MB of memory. Rejects with an Error that says what is missing.
 */
export async function openPodAccount(
  environment: Readonly<Record<string, string | undefined>>,
  root: string,
  clock: Clock,
): Promise<Access> {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = environment;
  if (!host) throw new Error('KUBERNETES_SERVICE_HOST is not set');
  const read = async (name: string): Promise<string> => readFile(`${root}${folderOfPods}/${name}`, 'utf8');
  const [namespace, firstCa, firstToken] = await Promise.all([read('namespace'), read('ca.crt'), read('token')]);
  let material = { ca: firstCa, token: firstToken.trim(), readMs: clock.monotonicMs() };
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    namespace: namespace.trim(),
    authorize: async () => {
      if (clock.monotonicMs() - material.readMs >= tokenForMs) {
        const [ca, token] = await Promise.all([read('ca.crt'), read('token')]);
        material = { ca, token: token.trim(), readMs: clock.monotonicMs() };
      }
      return { ca: material.ca, headers: { Authorization: `Bearer ${material.token}` } };
    },
  };
}
