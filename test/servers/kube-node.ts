import { execFile, spawn, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { findFreePort } from './free-port.ts';

const run = promisify(execFile);

export interface KubectlAnswer {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A whole cluster on this machine: a control plane and one node with a container runtime. */
export interface KubeNode {
  /** Address of this machine that pods reach its servers at. */
  readonly address: string;
  /** The program. */
  readonly kubectlPath: string;
  /** Of an administrator. */
  readonly kubeconfig: string;
  /** A folder that goes away with the cluster. */
  readonly folder: string;
  /** Runs kubectl as an administrator, whatever its exit code. */
  readonly ask: (args: readonly string[], stdin?: string) => Promise<KubectlAnswer>;
  /** The same; gives stdout. @throws Error with what kubectl wrote unless it ended with 0 */
  readonly kubectl: (args: readonly string[], stdin?: string) => Promise<string>;
  /** Makes the node know an image: an OCI archive. */
  loadImage(archive: string): Promise<void>;
  /** Takes the name of an image away and gives it another. */
  renameImage(from: string, to: string): Promise<void>;
  /** The node is heard of no more; its containers go on, and new ones are not started. */
  killKubelet(): Promise<void>;
  stop(): Promise<void>;
}

type Environment = Readonly<Record<string, string | undefined>>;

const programs = ['nft', 'ip', 'openssl', 'curl', 'setpriv'] as const;

/** Why no node can be started here, or undefined. */
export function whyNoKubeNode(env: Environment, ...more: readonly string[]): string | undefined {
  if (!env['K8S_BENCH']) return 'K8S_BENCH is not set';
  if (!env['KUBEBUILDER_ASSETS']) return 'KUBEBUILDER_ASSETS is not set';
  if (process.getuid?.() !== 0) return 'a node needs root';
  const missing = [...programs, ...more].filter((program) => !isOnPath(program, env));
  return missing.length > 0 ? `not installed: ${missing.join(', ')}` : undefined;
}

/** Starts a cluster with the scripts in K8S_BENCH. There can be one node on a machine. */
export async function startKubeNode(env: Environment): Promise<KubeNode> {
  const bench = env['K8S_BENCH'] ?? '';
  const kubectlPath = join(env['KUBEBUILDER_ASSETS'] ?? '', 'kubectl');
  const folder = await mkdtemp(join(tmpdir(), 'kube-node-'));
  const kubeconfig = join(folder, 'admin.kubeconfig');
  const stopScript = join(bench, 'stop.sh');
  const onExit = (): void => void spawnSync(stopScript, [folder, '--wipe'], { stdio: 'ignore' });
  process.once('exit', onExit);
  const clear = async (): Promise<void> => {
    await settle(join(folder, 'pids'));
    await run(stopScript, [folder, '--wipe']);
  };
  const stop = async (): Promise<void> => {
    await clear();
    await rm(folder, { recursive: true, force: true });
    process.off('exit', onExit);
  };
  const ask: KubeNode['ask'] = async (args, stdin = '') => {
    const child = spawn(kubectlPath, args, { env: { PATH: '/usr/bin:/bin', HOME: folder, KUBECONFIG: kubeconfig } });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (piece: Buffer) => (stdout += piece.toString()));
    child.stderr.on('data', (piece: Buffer) => (stderr += piece.toString()));
    child.stdin.end(stdin);
    const exitCode = await new Promise<number>((resolve, reject) => {
      child.once('error', reject).once('close', (code) => resolve(code ?? -1));
    });
    return { exitCode, stdout, stderr };
  };
  const kubectl: KubeNode['kubectl'] = async (args, stdin) => {
    const { exitCode, stdout, stderr } = await ask(args, stdin);
    if (exitCode !== 0) throw new Error(`kubectl ${args.join(' ')} ended with ${exitCode}: ${stderr}${stdout}`);
    return stdout;
  };
  try {
    for (let tries = 1; ; tries += 1) {
      const port = await findFreePort();
      try {
        await run(join(bench, 'start.sh'), [folder, String(port)], { env: { ...env, K8S_BIND: '0.0.0.0' } });
        await run(join(bench, 'node-start.sh'), [folder], { env });
        break;
      } catch (error) {
        // On a busy machine the scripts may take a program that has not been executed yet for one that has ended.
        if (tries >= 4 || !/ ended, see /.test(String(error))) throw error;
        await clear();
      }
    }
    const path = `jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}`;
    const address = await kubectl(['get', 'nodes', '-o', path]);
    return {
      address,
      kubectlPath,
      kubeconfig,
      folder,
      ask,
      kubectl,
      loadImage: async (archive) => void (await run(join(bench, 'load-image.sh'), [folder, archive])),
      renameImage: async (from, to) => {
        const script = '. "$1/node.env" && $CTR images tag "$2" "$3" && $CTR images rm "$2"';
        await run('bash', ['-euc', script, 'bash', folder, from, to]);
      },
      killKubelet: async () => {
        const [pid, program] = (await readFile(join(folder, 'pids/kubelet.pid'), 'utf8')).trim().split(' ');
        if ((await readlink(join('/proc', pid ?? '', 'exe'))) !== program) throw new Error('the kubelet does not run');
        process.kill(Number(pid), 'SIGKILL');
      },
      stop,
    };
  } catch (error) {
    const log = await readFile(join(folder, 'logs/kubelet.log'), 'utf8').catch(() => '');
    await stop();
    throw new Error(`no node: ${String(error)}\n${log.slice(-2000)}`, { cause: error });
  }
}

/** Waits until every program that the scripts started is what they know it as (or gone): only then do they end it. */
async function settle(pids: string): Promise<void> {
  for (const name of await readdir(pids).catch(() => [])) {
    const [pid = '', program] = (await readFile(join(pids, name), 'utf8')).trim().split(' ');
    for (let tries = 0; tries < 100; tries += 1) {
      const current = await readlink(join('/proc', pid, 'exe')).catch(() => undefined);
      if (current === undefined || current === program) break;
      await delay(50);
    }
  }
}

function isOnPath(program: string, env: Environment): boolean {
  const folders = [...(env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
