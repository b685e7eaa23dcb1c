import { spawn } from 'node:child_process';

export interface RunOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** What it is called in errors; default: the program. */
  readonly name?: string;
  /** `show`: what it writes goes where ours goes. Default: stdout is returned, stderr is part of the error. */
  readonly output?: 'show';
}

/** Runs a program to its end; resolves with its stdout. @throws Error when it does not end with 0; on abort it is ended first */
export async function runProgram(
  program: string,
  args: readonly string[],
  signal: AbortSignal,
  { env, cwd, output, name = program }: RunOptions = {},
): Promise<string> {
  signal.throwIfAborted();
  const stdio = output === 'show' ? 'inherit' : 'pipe';
  const child = spawn(program, args, {
    stdio: ['ignore', stdio, stdio],
    env: env ?? process.env,
    ...(cwd === undefined ? {} : { cwd }),
  });
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (stderr = (stderr + chunk.toString()).slice(-4096)));
  const stop = (): void => void child.kill('SIGTERM');
  signal.addEventListener('abort', stop);
  try {
    const end = await new Promise<string | number>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signalName) => resolve(code ?? signalName ?? 'a signal'));
    });
    signal.throwIfAborted();
    if (end !== 0) throw new Error(`${name} ended with ${end}${stderr === '' ? '' : `: ${stderr.trim()}`}`);
    return stdout;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
