import { spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { compileCache } from '../compile-cache.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

export interface RunnerProcess {
  readonly pid: number;
  /** Everything on stdout and stderr so far. */
  output(): string;
  kill(signal: NodeJS.Signals): void;
  /** Exit code (or the signal's name) when it is gone. */
  readonly ended: Promise<number | string>;
}

/** `pgbackup runner` as a pod starts it: a process of its own with task and secrets below `root`. */
export function startRunner(
  root: string,
  programDirs: readonly string[],
  env: Readonly<Record<string, string>> = {},
): RunnerProcess {
  const child = spawn(process.execPath, [main, 'runner'], {
    env: {
      ...compileCache,
      PATH: '/usr/bin:/bin',
      ...env,
      PGBACKUP_ROOT: root,
      PGBACKUP_TERMINATION_MESSAGE: join(root, 'termination-message'),
      PGBACKUP_PROGRAMS: programDirs.join(':'),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (piece: Buffer) => {
      output += piece.toString();
    });
  }
  return {
    pid: child.pid ?? -1,
    output: () => output,
    kill: (signal) => void child.kill(signal),
    ended: new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => resolve(code ?? signal ?? 'gone'));
    }),
  };
}

interface ProcessLook {
  readonly pid: number;
  readonly parent: number;
  readonly rssBytes: number;
  readonly commandLine: string;
  readonly environment: string;
}

/** A process and all that it started, as the kernel shows them to anybody on the machine. */
export async function lookAtTree(root: number): Promise<readonly ProcessLook[]> {
  const looks: ProcessLook[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const status = await readFile(`/proc/${entry}/status`, 'utf8');
      const number = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
      looks.push({
        pid: Number(entry),
        parent: number('PPid'),
        rssBytes: number('VmRSS') * 1024,
        commandLine: await readFile(`/proc/${entry}/cmdline`, 'utf8'),
        environment: await readFile(`/proc/${entry}/environ`, 'utf8'),
      });
    } catch {
      // Gone between two looks.
    }
  }
  const tree = looks.filter(({ pid }) => pid === root);
  for (const member of tree) tree.push(...looks.filter(({ parent }) => parent === member.pid));
  return tree;
}

/** Looks at the tree every `milliseconds` until the runner is gone. */
export async function watchTree(
  runner: RunnerProcess,
  milliseconds: number,
  onLook: (tree: readonly ProcessLook[]) => void,
): Promise<number | string> {
  for (;;) {
    onLook(await lookAtTree(runner.pid));
    const ended = await Promise.race([delay(milliseconds, undefined), runner.ended]);
    if (ended !== undefined) return ended;
  }
}
