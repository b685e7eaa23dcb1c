import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { compileCache } from '../compile-cache.ts';

export interface ControllerProcessOptions {
  readonly identity: string;
  /** Path of its kubeconfig. */
  readonly kubeconfig: string;
  /** The tree whose `src/main.ts` runs. Default: this one. */
  readonly root?: string;
  /** A file with what its wall clock is off, in milliseconds (moved-clock.ts). */
  readonly clockFile?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
}

/** `pgbackup controller` in a process of its own, that contends for the Lease. */
export interface ControllerProcess {
  readonly child: ChildProcess;
  readonly exitCode: Promise<number>;
  /** All that it has said. */
  readonly output: () => string;
  readonly isReady: () => Promise<boolean>;
  readonly leads: () => Promise<boolean>;
  readonly scrape: () => Promise<string>;
  /** Requests that change something, answered or not; not those of the lease. */
  readonly countWrites: () => Promise<number>;
}

const ownRoot = fileURLToPath(new URL('../../', import.meta.url));
const movedClock = new URL('moved-clock.ts', import.meta.url).href;

/** Resolves when it listens. Whoever starts it ends it. */
export async function startControllerProcess(options: ControllerProcessOptions): Promise<ControllerProcess> {
  const { identity, kubeconfig, root = ownRoot, clockFile, env = {}, args = [] } = options;
  const preload = clockFile === undefined ? [] : ['--import', movedClock];
  const fixed = ['controller', '--kubeconfig', kubeconfig, '--runner-image', 'test/image:1', '--metrics-port', '0'];
  const election = ['--leader-election', '--identity', identity];
  const child = spawn(process.execPath, [...preload, join(root, 'src/main.ts'), ...fixed, ...election, ...args], {
    env: { ...compileCache, PATH: '/usr/bin:/bin', ...(clockFile && { TEST_CLOCK: clockFile }), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  let written = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (piece: Buffer) => (written += piece.toString()));
  }
  const exitCode = new Promise<number>((resolve) => {
    child.once('close', (code) => {
      process.off('exit', kill);
      resolve(code ?? 128);
    });
  });
  const port = await findPort(child, () => written);
  const ask = async (path: string): Promise<Response> => fetch(`http://127.0.0.1:${port}${path}`);
  const scrape = async (): Promise<string> => (await ask('/metrics')).text();
  return {
    child,
    exitCode,
    output: () => written,
    isReady: async () => (await ask('/readyz')).ok,
    leads: async () => /^pgbackup_controller_leader 1$/m.test(await scrape()),
    scrape,
    countWrites: async () => {
      const lines = (await scrape()).split('\n').filter((line) => line.startsWith('pgbackup_api_requests_total{'));
      const writes = lines.filter((line) => /verb="(create|update|update-status|delete)"/.test(line));
      const others = writes.filter((line) => !line.includes('resource="leases"'));
      return others.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
    },
  };
}

async function findPort(child: ChildProcess, written: () => string): Promise<number> {
  for (let tries = 0; tries < 600 && child.exitCode === null && child.signalCode === null; tries += 1) {
    const found = /"message":"started".*?"port":(\d+)|"port":(\d+).*?"message":"started"/.exec(written());
    if (found !== null) return Number(found[1] ?? found[2]);
    await delay(100);
  }
  child.kill('SIGKILL');
  throw new Error(`the controller did not start:\n${written().slice(-3000)}`);
}
