import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import type { Failure } from '../api/failure.ts';
import { aborted } from './aborted.ts';
import { chunkBytes, type Bytes } from './bytes.ts';
import { feed } from './feed.ts';
import { readAhead } from './read-ahead.ts';
import type { Sleeper } from './sleeper.ts';

/** How a process ended, when that is a failure. `stderrTail` holds the last 64 KiB of its stderr. */
export type CommandEnd = {
  readonly program: string;
  readonly stderrTail: string;
} & (
  | { readonly kind: 'exit'; readonly exitCode: number }
  | { readonly kind: 'signal'; readonly signalName: string }
  /** It never started: not found, not executable, no memory. */
  | { readonly kind: 'spawn'; readonly error: Error }
);

export interface CommandOptions {
  readonly program: string;
  readonly args: readonly string[];
  /** The whole environment of the process: nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** What the process reads; without it stdin is empty. When this fails, the process is ended and the error is rethrown. */
  readonly stdin?: Bytes;
  /** Time between SIGTERM and SIGKILL, in milliseconds (default 5 000). */
  readonly graceMs?: number;
  readonly clock: Sleeper;
  /** Says what a bad end means. */
  readonly classify: (end: CommandEnd) => Failure;
}

export interface CommandResult {
  /** False when the process ended well before all of `stdin` was written to it. (It may have left the last 64 KiB unread.) */
  readonly stdinTaken: boolean;
}

export interface Command {
  /**
   * In chunks of 1 MiB, at most three held in memory; to be read, even if only to throw it away. It ends only after the process
   * ended with code 0 and all of its stderr was read; else it throws what `done` rejects with. Leaving the loop early ends the
   * process and waits until it is gone.
   */
  readonly stdout: Bytes;
  stderrTail(): string;
  /** Settles when the process is gone. Rejects with the abort, the error of `stdin`, or what `classify` said. */
  readonly done: Promise<CommandResult>;
  /** Ends the process, with all that it started, and waits until it is gone. */
  stop(): Promise<void>;
}

const stderrTailBytes = 64 * 1024;
const chunksAhead = 2;

/**
 * Starts a process, at once, as a stream (so call it where the reading begins: a loop that never starts cannot be left); the only door to child processes. It is the leader of its own process group, so that nothing it
 * started outlives it when it is ended: by `signal`, by leaving the loop over `stdout`, or by a failing `stdin`.
 */
export function runCommand(options: CommandOptions, signal: AbortSignal): Command {
  if (signal.aborted) return failedCommand(Promise.reject(aborted(signal)));
  const { program, classify } = options;
  let child: ChildProcessByStdio<Writable | null, Readable, Readable>;
  try {
    child = spawn(program, options.args, {
      env: options.env,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      stdio: [options.stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      detached: true,
    }) as ChildProcessByStdio<Writable | null, Readable, Readable>;
  } catch (thrown) {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    return failedCommand(Promise.reject(classify({ program, stderrTail: '', kind: 'spawn', error })));
  }

  if (child.pid === undefined) {
    const failed = new Promise<never>((_resolve, reject) => {
      child.once('error', (error) => reject(classify({ program, stderrTail: '', kind: 'spawn', error })));
    });
    return failedCommand(failed);
  }
  // After the start it tells only of signals that could not be sent.
  child.on('error', () => {});
  const pid = child.pid;

  const stderrTail = keepTail(child.stderr, stderrTailBytes);
  const output = readAhead(child.stdout, chunkBytes, chunksAhead);
  const gone = new AbortController();
  let early: { readonly error: unknown } | undefined;
  let ending = false;

  /** SIGTERM, and SIGKILL if that does not help. Output is thrown away meanwhile, because a full pipe would keep it alive. */
  const end = (): void => {
    if (ending || gone.signal.aborted) return;
    ending = true;
    output.discard();
    killGroup(pid, 'SIGTERM');
    options.clock.sleep(options.graceMs ?? 5_000, gone.signal).then(
      () => killGroup(pid, 'SIGKILL'),
      // The sleep was ended because the process is gone.
      () => {},
    );
  };
  const endEarly = (error: unknown): void => {
    early ??= { error };
    end();
  };
  const onAbort = (): void => endEarly(aborted(signal));
  signal.addEventListener('abort', onAbort, { once: true });

  const stdin =
    child.stdin === null || options.stdin === undefined ? undefined : feed(child.stdin, options.stdin, endEarly);

  const closed = new Promise<{ readonly exitCode: number | null; readonly signalName: string | null }>((resolve) => {
    child.on('close', (exitCode, signalName) => resolve({ exitCode, signalName }));
  });

  const finish = async (): Promise<CommandResult> => {
    const { exitCode, signalName } = await closed;
    signal.removeEventListener('abort', onAbort);
    gone.abort();
    const stdinTaken = stdin?.leave() ?? true;
    if (early !== undefined) throw early.error;
    const base = { program, stderrTail: stderrTail() };
    if (signalName !== null) throw classify({ ...base, kind: 'signal', signalName });
    if (exitCode !== 0) throw classify({ ...base, kind: 'exit', exitCode: exitCode ?? -1 });
    return { stdinTaken };
  };
  const done = finish();
  // Whoever reads only stdout hears of the failure there.
  done.catch(() => {});

  const stop = async (): Promise<void> => {
    end();
    await closed;
  };

  async function* stdout(): AsyncGenerator<Uint8Array, void, void> {
    let whole = false;
    try {
      yield* output.chunks();
      await done;
      whole = true;
    } finally {
      if (!whole) await stop();
    }
  }

  return { stdout: stdout(), stderrTail, done, stop };
}

function failedCommand(done: Promise<never>): Command {
  done.catch(() => {});
  // oxlint-disable-next-line require-yield -- a stream that only fails
  async function* stdout(): AsyncGenerator<Uint8Array, void, void> {
    await done;
  }
  return { stdout: stdout(), stderrTail: () => '', done, stop: async () => {} };
}

function killGroup(pid: number, signalName: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(-pid, signalName);
  } catch {
    // Gone already (ESRCH), or it made itself somebody else (EPERM): then its own end is waited for.
  }
}

function keepTail(stream: Readable, limit: number): () => string {
  let tail = Buffer.alloc(0);
  stream.on('data', (piece: Buffer) => {
    tail = Buffer.concat([tail, piece]);
    if (tail.length > limit) tail = Buffer.from(tail.subarray(tail.length - limit));
  });
  stream.on('error', () => {});
  return () => tail.toString('utf8');
}
