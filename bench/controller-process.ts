import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { findFreePort } from '../test/servers/free-port.ts';
import { waitFor } from './wait-for.ts';

/** Our controller as a process of its own, as the Deployment starts it, with its limits on concurrent runs raised. */
export interface ControllerProcess {
  /** Forgets the peak so far. */
  resetPeak(): Promise<void>;
  /** Largest resident memory since the start or the reset. */
  peakRssBytes(): Promise<number>;
  /** User and system time so far. */
  cpuSeconds(): Promise<number>;
  /** Requests to the API server so far, by `verb resource`; watches are counted when they begin. */
  requests(): Promise<ReadonlyMap<string, number>>;
  /** How many looks there were, and which share of them knew after so many seconds at most what to do (a bound of the histogram's buckets). */
  lookSeconds(): Promise<{ readonly count: number; readonly share: (seconds: number) => number }>;
  /** Keys that it could look at now. */
  queueDepth(): Promise<number>;
  stop(): Promise<void>;
}

const ticksPerSecond = 100;

export async function startController(options: {
  readonly main: string;
  readonly kubeconfigPath: string;
  readonly runs: number;
  readonly logPath: string;
  /** Made for the files of its service account. */
  readonly accountFolder: string;
}): Promise<ControllerProcess> {
  const { main, kubeconfigPath, runs, logPath, accountFolder } = options;
  const port = await findFreePort();
  const shipped = await readDeployment();
  const args = [...shipped.args.filter((arg) => !arg.startsWith('--metrics-port')), `--metrics-port=${port}`];
  const limits = [
    `--runner-image=pgbackup:bench`,
    `--max-runs=${runs}`,
    `--max-restores=${runs}`,
    `--max-runs-per-server=${runs}`,
  ];
  const pod = await layServiceAccount(kubeconfigPath, accountFolder);
  const [program = '', ...rest] = [...pod.command, process.execPath, main, ...args, ...limits];
  const child = spawn(program, rest, {
    env: { PATH: process.env['PATH'] ?? '', NODE_ENV: 'production', ...shipped.env, ...pod.env, POD_NAME: 'bench' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log = createWriteStream(logPath);
  child.stdout.pipe(log);
  child.stderr.pipe(log);
  const ended = new Promise<void>((resolve) => void child.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await ended;
  };
  const proc = (file: string): string => `/proc/${child.pid}/${file}`;
  const scrape = async (): Promise<string> => (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const sumOf = async (name: string): Promise<number> =>
    listSamples(await scrape(), name).reduce((sum, { value }) => sum + value, 0);
  try {
    await waitFor(
      'the controller leads',
      async () => {
        if (child.exitCode !== null) throw new Error(`the controller ended: ${await readFile(logPath, 'utf8')}`);
        return sumOf('pgbackup_controller_leader').then(
          (leader) => leader === 1,
          () => false,
        );
      },
      600_000,
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    resetPeak: async () => writeFile(proc('clear_refs'), '5'),
    peakRssBytes: async () => {
      const found = /^VmHWM:\s+(\d+) kB$/m.exec(await readFile(proc('status'), 'utf8'));
      return Number(found?.[1]) * 1024;
    },
    cpuSeconds: async () => {
      // After the name, which may have blanks in it: state is the first, utime and stime are the twelfth and thirteenth.
      const fields = (await readFile(proc('stat'), 'utf8')).replace(/^.*\) /s, '').split(' ');
      return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
    },
    requests: async () => {
      const counts = new Map<string, number>();
      for (const { labels, value } of listSamples(await scrape(), 'pgbackup_api_requests_total')) {
        const key = `${/verb="([^"]*)"/.exec(labels)?.[1]} ${/resource="([^"]*)"/.exec(labels)?.[1]}`;
        counts.set(key, (counts.get(key) ?? 0) + value);
      }
      return counts;
    },
    lookSeconds: async () => {
      const text = await scrape();
      const buckets = listSamples(text, 'pgbackup_reconcile_deciding_seconds_bucket');
      const upTo = (bound: string): number =>
        buckets.filter(({ labels }) => labels.includes(`le="${bound}"`)).reduce((sum, { value }) => sum + value, 0);
      const count = upTo('+Inf');
      return { count, share: (seconds) => upTo(String(seconds)) / count };
    },
    queueDepth: async () => sumOf('pgbackup_queue_depth'),
    stop,
  };
}

/** Arguments and environment of the Deployment in manifests/install.yaml. */
async function readDeployment(): Promise<{ readonly args: readonly string[]; readonly env: Record<string, string> }> {
  const text = await readFile(join(import.meta.dirname, '..', 'manifests', 'install.yaml'), 'utf8');
  const objects = parseAllDocuments(text).map((document) => document.toJS() as Deployment);
  const container = objects.find(({ kind }) => kind === 'Deployment')?.spec?.template?.spec?.containers?.[0];
  if (container?.args === undefined) throw new Error('manifests/install.yaml has no Deployment');
  const env = container.env?.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value] as const]));
  return { args: container.args, env: Object.fromEntries(env ?? []) };
}

interface Deployment {
  readonly kind?: string;
  readonly spec?: {
    readonly template?: {
      readonly spec?: {
        readonly containers?: readonly {
          readonly args?: readonly string[];
          readonly env?: readonly { readonly name: string; readonly value?: string }[];
        }[];
      };
    };
  };
}

/** A view of the file system of its own in which the files of a service account lie where a kubelet puts them. */
const asPod =
  'mount -t tmpfs tmpfs /run && mkdir -p /run/secrets/kubernetes.io && cp -r "$0" /run/secrets/kubernetes.io/serviceaccount && exec "$@"';

/** What a pod has: a token, and the address of the API server in its environment. Who is not root gets the kubeconfig. */
async function layServiceAccount(
  kubeconfigPath: string,
  folder: string,
): Promise<{ readonly command: readonly string[]; readonly env: Readonly<Record<string, string>> }> {
  if (process.getuid?.() !== 0) return { command: [], env: { KUBECONFIG: kubeconfigPath } };
  const config = parse(await readFile(kubeconfigPath, 'utf8')) as {
    readonly clusters: readonly [{ readonly cluster: Readonly<Record<string, string>> }];
    readonly users: readonly [{ readonly user: { readonly token: string } }];
  };
  const { server = '', 'certificate-authority-data': ca = '' } = config.clusters[0].cluster;
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'ca.crt'), Buffer.from(ca, 'base64'));
  await writeFile(join(folder, 'token'), config.users[0].user.token);
  await writeFile(join(folder, 'namespace'), 'default');
  const { hostname, port } = new URL(server);
  return {
    command: ['unshare', '--mount', 'sh', '-c', asPod, folder],
    env: { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port },
  };
}

function listSamples(text: string, name: string): readonly { readonly labels: string; readonly value: number }[] {
  return text.split('\n').flatMap((line) => {
    if (!line.startsWith(`${name} `) && !line.startsWith(`${name}{`)) return [];
    const at = line.lastIndexOf(' ');
    return [{ labels: line.slice(name.length, at), value: Number(line.slice(at + 1)) }];
  });
}
