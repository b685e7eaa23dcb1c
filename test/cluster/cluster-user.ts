import { setTimeout as delay } from 'node:timers/promises';
import type { ClusterStand } from './cluster-stand.ts';

export interface PolicyOptions {
  readonly runner?: object;
  readonly database?: string;
  readonly secret?: string;
  /** The key of its password. */
  readonly passwordKey?: string;
  /** Another server than the one that is there. */
  readonly host?: string;
  readonly port?: number;
  readonly schedule?: string;
  readonly locations?: readonly string[];
}

export interface KubeObjectSeen {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly uid: string };
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly status?: Readonly<Record<string, unknown>> & { readonly conditions?: readonly ConditionSeen[] };
}

export interface ConditionSeen {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

/** Somebody with kubectl and YAML, who uses the operator on a stand. */
export interface ClusterUser {
  readonly kubectl: ClusterStand['node']['kubectl'];
  /** A namespace of the restricted Pod Security level with the stand's Secrets and the locations `bucket` and `sftp`. */
  readonly makeNamespace: (name: string) => Promise<void>;
  readonly apply: (namespace: string, ...objects: readonly object[]) => Promise<void>;
  /** A BackupPolicy for the stand's server: database `shop` to both places, unless told otherwise. */
  readonly policy: (name: string, options?: PolicyOptions) => object;
  /** A Backup by hand; of the policy of its own name, unless told otherwise. */
  readonly backup: (name: string, policy?: string) => object;
  readonly get: (namespace: string, type: string, name: string) => Promise<KubeObjectSeen>;
  readonly list: (namespace: string, type: string, selector?: string) => Promise<readonly KubeObjectSeen[]>;
  /** @throws Error with what the object says, when its condition has not that status and reason in time */
  readonly waitForCondition: (
    of: { readonly namespace: string; readonly type: string; readonly name: string },
    condition: Partial<ConditionSeen>,
    seconds: number,
  ) => Promise<ConditionSeen>;
  /** Pods of a Backup. */
  readonly podsOf: (namespace: string, backup: string) => Promise<readonly KubeObjectSeen[]>;
}

export const document = (kind: string, name: string, rest: object, apiVersion = 'pgbackup.dev/v1beta1'): object => ({
  apiVersion,
  kind,
  metadata: { name },
  ...rest,
});

export const print = (...documents: readonly object[]): string =>
  documents.map((each) => JSON.stringify(each)).join('\n---\n');

/** Asks again and again. @throws Error naming what was waited for */
export async function until<T>(what: string, seconds: number, look: () => Promise<T | undefined>): Promise<T> {
  const endsAt = performance.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() >= endsAt) throw new Error(`${what}: not within ${seconds} s`);
    await delay(300);
  }
}

export function openClusterUser(stand: ClusterStand): ClusterUser {
  const { node, server } = stand;
  const { kubectl } = node;
  const apply: ClusterUser['apply'] = async (namespace, ...objects) => {
    await kubectl(['-n', namespace, 'apply', '-f', '-'], print(...objects));
  };
  const get: ClusterUser['get'] = async (namespace, type, name) =>
    JSON.parse(await kubectl(['-n', namespace, 'get', type, name, '-o', 'json'])) as KubeObjectSeen;
  const list: ClusterUser['list'] = async (namespace, type, selector) => {
    const chosen = selector === undefined ? [] : ['-l', selector];
    const text = await kubectl(['-n', namespace, 'get', type, ...chosen, '-o', 'json']);
    return (JSON.parse(text) as { readonly items: readonly KubeObjectSeen[] }).items;
  };
  return {
    kubectl,
    apply,
    get,
    list,
    makeNamespace: async (name) => {
      await kubectl(['create', 'namespace', name]);
      await kubectl(['label', 'namespace', name, 'pod-security.kubernetes.io/enforce=restricted']);
      await apply(name, ...stand.places);
    },
    policy: (name, options = {}) => {
      const { runner = {}, database = 'shop', secret = 'shop-db', passwordKey, host = node.address } = options;
      const { port = server.port, schedule, locations = ['bucket', 'sftp'] } = options;
      const keys = passwordKey === undefined ? {} : { keys: { password: passwordKey } };
      return document('BackupPolicy', name, {
        spec: {
          source: {
            postgres: {
              host,
              port,
              tls: { mode: 'disable' },
              credentials: { secretName: secret, ...keys },
              databases: { names: [database] },
            },
          },
          ...(schedule === undefined ? {} : { schedule }),
          destinations: locations.map((location) => ({ location })),
          runner,
        },
      });
    },
    backup: (name, policy = name) => document('Backup', name, { spec: { policy } }),
    waitForCondition: async ({ namespace, type, name }, wanted, seconds) => {
      let last: readonly ConditionSeen[] = [];
      try {
        return await until(name, seconds, async () => {
          last = (await get(namespace, type, name)).status?.conditions ?? [];
          return last.find((condition) =>
            Object.entries(wanted).every(([member, value]) => condition[member as keyof ConditionSeen] === value),
          );
        });
      } catch (error) {
        throw new Error(`${String(error)}: ${JSON.stringify(last)}`, { cause: error });
      }
    },
    podsOf: async (namespace, backup) => list(namespace, 'pods', `pgbackup.dev/backup=${backup}`),
  };
}
