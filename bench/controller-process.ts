import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
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
}): Promise<ControllerProcess> {
  const { main, kubeconfigPath, runs, logPath } = options;
  const port = await findFreePort();
  const args = ['controller', '--leader-election', `--metrics-port=${port}`, `--kubeconfig=${kubeconfigPath}`];
  const limits = [`--max-runs=${runs}`, `--max-runs-per-server=${runs}`];
  const child = spawn(process.execPath, [main, ...args, ...limits], {
    env: { NODE_ENV: 'production', PGBACKUP_RUNNER_IMAGE: 'pgbackup:bench', POD_NAME: 'bench' },
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
    await waitFor('the controller leads', async () => {
      if (child.exitCode !== null) throw new Error(`the controller ended: ${await readFile(logPath, 'utf8')}`);
      return sumOf('pgbackup_controller_leader').then(
        (leader) => leader === 1,
        () => false,
      );
    });
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
    queueDepth: async () => sumOf('pgbackup_queue_depth'),
    stop,
  };
}

function listSamples(text: string, name: string): readonly { readonly labels: string; readonly value: number }[] {
  return text.split('\n').flatMap((line) => {
    if (!line.startsWith(`${name} `) && !line.startsWith(`${name}{`)) return [];
    const at = line.lastIndexOf(' ');
    return [{ labels: line.slice(name.length, at), value: Number(line.slice(at + 1)) }];
  });
}
