import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { imageName } from '../../src/codegen/install.ts';
import { createController, type ControllerOptions } from '../../src/controller/controller.ts';
import { clusterMode } from '../../src/controller/mode.ts';
import { openKubeClient, type HttpKubeClient } from '../../src/kube/http-client.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import { silentLog } from '../../src/support/log.ts';
import { startKubeApiserver, type KubeApiserver } from '../servers/kube-apiserver.ts';
import { listBinDirs, startPostgres, type Postgres } from '../servers/postgres.ts';
import { makeControllerPod, readDeployment } from '../servers/make-controller-pod.ts';
import { startProcessNode } from '../servers/process-node.ts';
import { askKubectl, runKubectl, type KubectlEnd } from '../servers/run-kubectl.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';

const image = 'kube.test/pgbackup';

/**
 * A real API server with its Job controller, garbage collector and roles, on which the operator is installed; pods of runs are processes,
 * and so is a PostgreSQL server with the database `shop`, a table `orders` of 5000 rows in it.
 */
export interface OperatorStand {
  /** The administrator's. */
  readonly client: HttpKubeClient;
  readonly cluster: KubeApiserver;
  readonly server: Postgres;
  /** Of the location in `objects`: backups lie in it. */
  readonly backups: string;
  /** The node's: its pods are in it. */
  readonly nodeFolder: string;
  /** A Secret `login`, the location `disk`, and the policy `nightly`, which saves `shop` there by hand. */
  readonly objects: readonly object[];
  kubectl(args: readonly string[], ...objects: readonly object[]): Promise<string>;
  ask(args: readonly string[], ...objects: readonly object[]): Promise<KubectlEnd>;
  /** Applies a manifest, with an image that is ours, and waits for the definitions; makes a pod of its Deployment, which nobody runs. */
  install(manifest: string): Promise<void>;
  /** A controller with the token of the account `pgbackup-operator` there and nothing else. @returns what stops it */
  startController(namespace: string, options?: Partial<ControllerOptions>): Promise<() => Promise<void>>;
  stop(): Promise<void>;
}

export async function startOperatorStand(assets: string, ...manifests: readonly string[]): Promise<OperatorStand> {
  const stops: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const each of stops.splice(0).reverse()) await each();
  };
  const open = async (text: string): Promise<HttpKubeClient> => {
    const client = await openKubeClient({ source: { kind: 'text', text }, clock: systemClock, userAgent: 'test' });
    stops.push(async () => client.close());
    return client;
  };
  try {
    const folder = await makeTemporaryFolder();
    stops.push(() => folder.remove());
    await chmod(folder.path, 0o755);
    const [binDir = ''] = await listBinDirs(process.env['POSTGRES_BINDIRS']);
    const server = await startPostgres({ binDir, dir: join(folder.path, 'pg') });
    stops.push(() => server.stop());
    await server.sql('CREATE DATABASE shop');
    await server.sql('CREATE TABLE orders AS SELECT i AS id FROM generate_series(1, 5000) i', 'shop');
    const [backups, nodeFolder] = [join(folder.path, 'backups'), join(folder.path, 'node')];
    await mkdir(backups);
    const cluster = await startKubeApiserver(assets);
    stops.push(() => cluster.stop());
    const client = await open(cluster.kubeconfig);
    const text = (objects: readonly object[]): string => objects.map((each) => JSON.stringify(each)).join('\n---\n');
    const kubectl: OperatorStand['kubectl'] = (args, ...objects) => runKubectl(assets, cluster, args, text(objects));
    const ask: OperatorStand['ask'] = (args, ...objects) => askKubectl(assets, cluster, args, text(objects));
    const install: OperatorStand['install'] = async (manifest) => {
      await runKubectl(assets, cluster, ['apply', '-f', '-'], manifest.replaceAll(imageName, image));
      await kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s']);
      if (!manifest.includes('kind: Deployment')) return;
      const deployment = readDeployment(manifest.replaceAll(imageName, image));
      await kubectl(['apply', '-f', '-'], makeControllerPod(deployment, 'controller'));
    };
    for (const manifest of manifests) await install(manifest);
    // Afterwards: the garbage collector looks for new kinds only every half minute.
    const names = ['job', 'garbage-collector', 'serviceaccount', 'namespace'];
    await cluster.startControllers(...names.map((name) => `${name}-controller`));
    const node = await startProcessNode(client, nodeFolder, binDir);
    stops.push(() => node.stop());
    const startController: OperatorStand['startController'] = async (namespace, options = {}) => {
      const token = (await kubectl(['-n', namespace, 'create', 'token', 'pgbackup-operator'])).trim();
      const config = JSON.parse(cluster.kubeconfig) as { readonly users: readonly { readonly name: string }[] };
      const users = config.users.map(({ name }) => ({ name, user: { token } }));
      const controller = createController({
        client: await open(JSON.stringify({ ...config, users })),
        clock: systemClock,
        random: systemRandom,
        log: silentLog,
        mode: {
          ...clusterMode,
          claimRequired: false,
          settleSeconds: 0,
          deletionGraceMs: 1000,
          runner: { image: `${image}:1` },
        },
        instance: 'test',
        ...options,
      });
      const stopping = new AbortController();
      const ends = Promise.all([controller.watch(stopping.signal), controller.work(stopping.signal)]);
      const end = async (): Promise<void> => {
        stopping.abort();
        await ends;
      };
      stops.push(end);
      return end;
    };
    const objects = makeObjects(server, backups);
    return { client, cluster, server, backups, nodeFolder, objects, kubectl, ask, install, startController, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function makeObjects(server: Postgres, path: string): readonly object[] {
  const object = (kind: string, name: string, rest: object, apiVersion = 'pgbackup.dev/v1beta1'): object => ({
    apiVersion,
    kind,
    metadata: { name },
    ...rest,
  });
  const postgres = {
    host: server.host,
    port: server.port,
    tls: { mode: 'disable' },
    credentials: { secretName: 'login' },
  };
  return [
    object('Secret', 'login', { stringData: { username: server.user, password: server.password } }, 'v1'),
    object('BackupLocation', 'disk', { spec: { directory: { path } } }),
    object('BackupPolicy', 'nightly', {
      spec: {
        source: { postgres: { ...postgres, databases: { names: ['shop'] } } },
        destinations: [{ location: 'disk' }],
      },
    }),
  ];
}
