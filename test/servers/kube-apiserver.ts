import { spawn, type ChildProcess } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export interface KubeApiserver {
  /** https://127.0.0.1:port */
  readonly server: string;
  /** http://127.0.0.1:port: where it keeps its objects. */
  readonly etcdUrl: string;
  /** A kubeconfig of a member of system:masters. */
  readonly kubeconfig: string;
  readonly kubeconfigPath: string;
  /** The folder that is removed by stop(); logs lie in it. */
  readonly folder: string;
  /** A kubeconfig of somebody else: RBAC decides what this user may do (see `users`). */
  kubeconfigOf(user: string): string;
  /**
   * Starts kube-controller-manager with these controllers only (its --controllers). Create CRDs before: the garbage collector
   * looks for new kinds only every half minute.
   */
  startControllers(...controllers: readonly string[]): Promise<void>;
  /** Kills kube-apiserver (SIGKILL), and starts it again after that time; etcd runs on. Resolves when it is ready. */
  restart(downMs: number): Promise<void>;
  stop(): Promise<void>;
}

export interface KubeApiserverOptions {
  /** Users without rights of their own, for kubeconfigOf. */
  readonly users?: readonly string[];
}

/** Why servers cannot be started here, or undefined. Sentences fit `describe.skipIf` titles. */
export function whyNoKubeApiserver(assets: string | undefined, ...more: readonly string[]): string | undefined {
  if (!assets) return 'KUBEBUILDER_ASSETS is not set';
  const missing = ['etcd', 'kube-apiserver', ...more].filter((program) => !existsSync(join(assets, program)));
  return missing.length > 0 ? `KUBEBUILDER_ASSETS lacks ${missing.join(', ')}` : undefined;
}

/** etcd and kube-apiserver (RBAC on) on free loopback ports, in a new folder of the system's temporary one. */
export async function startKubeApiserver(
  assets: string,
  { users = [] }: KubeApiserverOptions = {},
): Promise<KubeApiserver> {
  const folder = await mkdtemp(join(tmpdir(), 'kube-apiserver-'));
  const running: Program[] = [];
  const stop = async (): Promise<void> => {
    for (const program of running.splice(0).reverse()) await program.stop();
    await rm(folder, { recursive: true, force: true });
  };
  const start = async (name: string, args: readonly string[]): Promise<Program> => {
    const program = await startProgram(assets, folder, name, args);
    running.push(program);
    return program;
  };
  try {
    const [etcdPort, peerPort, port, managerPort] = await freePorts(4);
    const keys = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    await writeFile(join(folder, 'sa.key'), keys.privateKey, { mode: 0o600 });
    await writeFile(join(folder, 'sa.pub'), keys.publicKey);
    const tokens = new Map<string, string>();
    const tokenLine = (user: string, group?: string): string => {
      const token = randomBytes(24).toString('hex');
      tokens.set(user, token);
      return `${token},${user},${user}${group === undefined ? '' : `,${group}`}\n`;
    };
    const lines = [
      tokenLine('admin', 'system:masters'),
      tokenLine('system:kube-controller-manager'),
      ...users.map((user) => tokenLine(user)),
    ];
    await writeFile(join(folder, 'tokens.csv'), lines.join(''), { mode: 0o600 });

    const etcdUrl = `http://127.0.0.1:${etcdPort}`;
    const peerUrl = `http://127.0.0.1:${peerPort}`;
    await start('etcd', [
      `--data-dir=${join(folder, 'etcd')}`,
      '--name=test',
      '--unsafe-no-fsync',
      '--log-level=warn',
      `--listen-client-urls=${etcdUrl}`,
      `--advertise-client-urls=${etcdUrl}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=test=${peerUrl}`,
    ]);
    const apiserverArgs = [
      `--etcd-servers=${etcdUrl}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${port}`,
      '--advertise-address=192.0.2.1',
      '--endpoint-reconciler-type=none',
      `--cert-dir=${folder}`,
      `--token-auth-file=${join(folder, 'tokens.csv')}`,
      '--authorization-mode=Node,RBAC',
      '--allow-privileged=true',
      '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
      `--service-account-key-file=${join(folder, 'sa.pub')}`,
      `--service-account-signing-key-file=${join(folder, 'sa.key')}`,
      '--service-cluster-ip-range=10.96.0.0/16',
      '--kubelet-preferred-address-types=InternalIP,Hostname',
    ];
    let apiserver = await start('kube-apiserver', apiserverArgs);
    const server = `https://127.0.0.1:${port}`;
    // The server makes itself a certificate on its first start and appends the authority that signed it.
    const caFile = join(folder, 'apiserver.crt');
    const adminToken = tokens.get('admin') ?? '';
    const whenReady = async (): Promise<void> =>
      waitUntil(apiserver, async () => {
        return existsSync(caFile) && (await isReady(server, await readFile(caFile), adminToken));
      });
    await whenReady();
    const ca = await readFile(caFile);
    const kubeconfigOf = (user: string): string => {
      const token = tokens.get(user);
      if (token === undefined) throw new Error(`no such user was asked for: ${user}`);
      return JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        'current-context': 'test',
        clusters: [{ name: 'test', cluster: { server, 'certificate-authority-data': ca.toString('base64') } }],
        users: [{ name: user, user: { token } }],
        contexts: [{ name: 'test', context: { cluster: 'test', user, namespace: 'default' } }],
      });
    };
    const kubeconfigPath = join(folder, 'admin.kubeconfig');
    await writeFile(kubeconfigPath, kubeconfigOf('admin'), { mode: 0o600 });
    const startControllers = async (...controllers: readonly string[]): Promise<void> => {
      const managerConfig = join(folder, 'manager.kubeconfig');
      await writeFile(managerConfig, kubeconfigOf('system:kube-controller-manager'), { mode: 0o600 });
      await start('kube-controller-manager', [
        `--kubeconfig=${managerConfig}`,
        '--leader-elect=false',
        '--bind-address=127.0.0.1',
        `--secure-port=${managerPort}`,
        `--cert-dir=${join(folder, 'manager')}`,
        '--use-service-account-credentials=true',
        `--service-account-private-key-file=${join(folder, 'sa.key')}`,
        `--root-ca-file=${caFile}`,
        `--controllers=${controllers.join(',')}`,
        '--kube-api-qps=200',
        '--kube-api-burst=400',
      ]);
    };
    const restart = async (downMs: number): Promise<void> => {
      running.splice(running.indexOf(apiserver), 1);
      apiserver.kill();
      await apiserver.stop();
      await delay(downMs);
      apiserver = await start('kube-apiserver', apiserverArgs);
      await whenReady();
    };
    const kubeconfig = kubeconfigOf('admin');
    return { server, etcdUrl, kubeconfig, kubeconfigPath, folder, kubeconfigOf, startControllers, restart, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Program {
  readonly child: ChildProcess;
  readonly logPath: string;
  kill(): void;
  stop(): Promise<void>;
}

async function startProgram(assets: string, folder: string, name: string, args: readonly string[]): Promise<Program> {
  const logPath = join(folder, `${name}.log`);
  const log = await open(logPath, 'a');
  const child = spawn(join(assets, name), args, { stdio: ['ignore', log.fd, log.fd] });
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  await log.close();
  // Whatever ends the tests, no server outlives them.
  const kill = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', kill);
  return {
    child,
    logPath,
    kill,
    stop: async () => {
      child.kill('SIGTERM');
      const late = delay(5_000, undefined, { ref: false }).then(kill);
      await Promise.race([ended, late]);
      await ended;
      process.off('exit', kill);
    },
  };
}

async function waitUntil(program: Program, isTrue: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt += 1) {
    if (program.child.exitCode !== null || program.child.signalCode !== null) break;
    if (await isTrue()) return;
    await delay(100);
  }
  const log = await readFile(program.logPath, 'utf8');
  throw new Error(`the server did not become ready:\n${log.slice(-3000)}`);
}

function isReady(server: string, ca: Buffer, token: string): Promise<boolean> {
  return new Promise((resolve) => {
    const headers = { authorization: `Bearer ${token}` };
    const outgoing = request(`${server}/readyz`, { ca, headers, agent: false, timeout: 5_000 }, (answer) => {
      answer.resume().once('end', () => resolve(answer.statusCode === 200));
    });
    outgoing.once('error', () => resolve(false));
    outgoing.once('timeout', () => outgoing.destroy(new Error('no answer')));
    outgoing.end();
  });
}

/** Ports that were free a moment ago, different from each other. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))));
  return ports;
}
