import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

export interface Measurement {
  /** From exec to exit. */
  readonly wallSeconds: number;
  /** User and system time of the process and all that it waited for. */
  readonly cpuSeconds: number;
  /** Largest sum of resident memory over the process tree, looked at every 50 ms; pages that are shared count in each process. */
  readonly peakRssBytes: number;
}

const lookEveryMs = 50;
const pageBytes = 4096;

/** Runs a command to its end and measures it. @throws Error when it does not end with 0 */
export async function measureProcess(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Measurement> {
  // bash adds up the time of its children, and replaces nothing: the tree is the same for all that is measured.
  const script = 'TIMEFORMAT="%U %S"; time "$@" 2>&3';
  const startedMs = performance.now();
  const child = spawn('bash', ['-c', script, 'bash', ...argv], { env, stdio: ['ignore', 'pipe', 'pipe', 'pipe'] });
  const output: Record<number, string> = { 1: '', 2: '', 3: '' };
  for (const fd of [1, 2, 3]) {
    child.stdio[fd]?.on('data', (chunk: Buffer) => (output[fd] = `${output[fd]}${chunk.toString()}`.slice(-8192)));
  }
  let endedMs = 0;
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', () => (endedMs = performance.now()));
    child.once('close', resolve);
  });
  let peakRssBytes = 0;
  const over = new AbortController();
  const watching = (async () => {
    while (!over.signal.aborted) {
      peakRssBytes = Math.max(peakRssBytes, await treeRss(child.pid ?? 0));
      await delay(lookEveryMs, undefined, { signal: over.signal }).catch(() => undefined);
    }
  })();
  const code = await ended;
  over.abort();
  await watching;
  if (code !== 0) throw new Error(`${argv.join(' ')} ended with ${code}: ${output[3]}${output[1]}`);
  const [user = NaN, system = NaN] = (output[2] ?? '').trim().split(/\s+/).map(Number);
  return { wallSeconds: (endedMs - startedMs) / 1000, cpuSeconds: user + system, peakRssBytes };
}

async function treeRss(pid: number): Promise<number> {
  const [statm, children] = await Promise.all([readProc(pid, 'statm'), readProc(pid, `task/${pid}/children`)]);
  const own = Number(statm.split(' ')[1] ?? 0) * pageBytes;
  const others = await Promise.all(
    children.split(' ').flatMap((child) => (child.trim() === '' ? [] : [treeRss(Number(child))])),
  );
  return others.reduce((sum, bytes) => sum + bytes, own);
}

/** Empty when the process is gone. */
async function readProc(pid: number, file: string): Promise<string> {
  return readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '');
}
