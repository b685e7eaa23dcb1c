import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import type { Clock } from '../support/clock.ts';
import { countOomKills, describeProcess, endStrays, killMs } from './stray-processes.ts';

export interface ProcessEnd {
  /** 128 + signal number when a signal ended it, 128 when it never started; as container runtimes have it. */
  readonly exitCode: number;
  readonly signal: number | undefined;
  readonly reason: 'Completed' | 'Error' | 'OOMKilled' | 'StartError';
  /** Of a StartError, and of one that cannot be ended. */
  readonly message: string | undefined;
}

export interface PodProcess {
  /** Resolves when the process, and all that it started, is gone; or when some of it hangs in the kernel, where SIGKILL is not heard. */
  readonly ended: Promise<ProcessEnd>;
  /** SIGTERM, and SIGKILL after the grace; resolves when it is gone. */
  stop(graceMs: number): Promise<void>;
  /** SIGKILL now. */
  kill(): void;
}

/**
 * Starts a container's process as the leader of its own process group in the pod's folder. Both its outputs go into the log file
 * itself: nothing of it passes through this process.
 */
export function startPodProcess(options: {
  readonly argv: readonly string[];
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly folder: string;
  readonly logFile: string;
  readonly clock: Clock;
  /** Told of processes that it left behind and that cannot be ended. */
  readonly onLeft?: (processes: readonly string[]) => void;
}): PodProcess {
  const { argv, env, folder, clock } = options;
  const [program = '', ...args] = argv;
  const log = openSync(options.logFile, 'a', 0o600);
  const oomKillsBefore = countOomKills();
  let child: ChildProcess;
  try {
    child = spawn(program, args, { env: { ...env }, cwd: folder, detached: true, stdio: ['ignore', log, log] });
  } catch (error) {
    return notStarted(error);
  } finally {
    closeSync(log);
  }

  const gone = new AbortController();
  let killed = false;
  let tellStuck: (message: string) => void = () => undefined;
  const stuck = new Promise<ProcessEnd>((resolve) => {
    tellStuck = (message) => resolve({ exitCode: 137, signal: constants.signals.SIGKILL, reason: 'Error', message });
  });
  const closed = new Promise<{ code: number | null; signalName: NodeJS.Signals | null; error: unknown }>((resolve) => {
    child.once('error', (error) => {
      if (child.pid === undefined) resolve({ code: null, signalName: null, error });
    });
    child.once('exit', (code, signalName) => resolve({ code, signalName, error: undefined }));
  });

  const finish = async (): Promise<ProcessEnd> => {
    const { code, signalName, error } = await closed;
    gone.abort();
    if (child.pid === undefined) return startError(error);
    killGroup(child.pid, 'SIGKILL');
    const left = await endStrays(folder, 0, clock);
    if (left.length > 0) options.onLeft?.(left);
    if (code !== null) {
      return { exitCode: code, signal: undefined, reason: code === 0 ? 'Completed' : 'Error', message: undefined };
    }
    const signal = constants.signals[signalName ?? 'SIGKILL'];
    // Not sent by us, and the kernel says that it killed something for memory meanwhile.
    const outOfMemory = signalName === 'SIGKILL' && !killed && countOomKills() > oomKillsBefore;
    return { exitCode: 128 + signal, signal, reason: outOfMemory ? 'OOMKilled' : 'Error', message: undefined };
  };
  const ended = Promise.race([finish(), stuck]);

  const kill = (): void => {
    if (gone.signal.aborted) return;
    killed = true;
    const { pid } = child;
    killGroup(pid, 'SIGKILL');
    if (pid === undefined) return;
    clock.sleep(killMs, gone.signal).then(
      () => tellStuck(`${describeProcess(pid)} cannot be ended: it hangs in the kernel`),
      // The sleep was ended because the process is gone.
      () => undefined,
    );
  };
  const stop = async (graceMs: number): Promise<void> => {
    if (!gone.signal.aborted) {
      killGroup(child.pid, 'SIGTERM');
      clock.sleep(graceMs, gone.signal).then(
        kill,
        // The sleep was ended because the process is gone.
        () => undefined,
      );
    }
    await ended;
  };
  return { ended, stop, kill };
}

function notStarted(error: unknown): PodProcess {
  const ended = async (): Promise<ProcessEnd> => startError(error);
  return { ended: ended(), stop: async () => undefined, kill: () => undefined };
}

function startError(error: unknown): ProcessEnd {
  const message = error instanceof Error ? error.message : String(error);
  return { exitCode: 128, signal: undefined, reason: 'StartError', message };
}

function killGroup(pid: number | undefined, signalName: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signalName);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
