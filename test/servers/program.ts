import { type ChildProcess, spawn } from 'node:child_process';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { findFreePort } from './free-port.ts';

export interface RunningProgram {
  readonly port: number;
  readonly pid: number;
  /** What it wrote to stderr so far (the last 16 KiB). */
  output(): string;
  /** SIGTERM, and SIGKILL when that does not help; resolves when the process is gone. */
  stop(): Promise<void>;
}

export interface ProgramOptions {
  readonly command: string;
  readonly args: (port: number) => readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Given: that port. Absent: a free one, another one if it was taken meanwhile. */
  readonly port?: number;
}

/** Starts a server on 127.0.0.1 and waits until it accepts connections. */
export async function startProgram(options: ProgramOptions): Promise<RunningProgram> {
  for (let tries = 1; ; tries += 1) {
    const port = options.port ?? (await findFreePort());
    try {
      return await startOnce(options, port);
    } catch (error) {
      const taken = error instanceof Error && /address (already )?in use|EADDRINUSE|cannot bind/i.test(error.message);
      if (!taken || options.port !== undefined || tries >= 5) throw error;
    }
  }
}

async function startOnce({ command, args, env }: ProgramOptions, port: number): Promise<RunningProgram> {
  const child = spawn(command, args(port), {
    stdio: ['ignore', 'ignore', 'pipe'],
    ...(env === undefined ? {} : { env }),
  });
  let written = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    written = (written + chunk.toString()).slice(-16_384);
  });
  let ended: string | undefined;
  child.once('error', (error) => (ended = error.message));
  child.once('exit', (code, signal) => (ended = `ended with ${code ?? signal}`));
  for (let waited = 0; !(await accepts(port)); waited += 25) {
    if (ended === undefined && waited < 15_000) await delay(25);
    else {
      await stopChild(child);
      throw new Error(`${command} did not start: ${ended ?? 'it does not listen'}: ${written}`);
    }
  }
  if (ended !== undefined) throw new Error(`${command} did not start: ${ended}, address in use: ${written}`);
  return { port, pid: child.pid ?? -1, output: () => written, stop: () => stopChild(child) };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const patience = new AbortController();
  const late = delay(5000, 'late', { signal: patience.signal }).catch(() => 'over');
  if ((await Promise.race([gone, late])) === 'late') child.kill('SIGKILL');
  patience.abort();
  await gone;
}
