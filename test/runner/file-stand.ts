import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Bytes } from '../../src/pipeline/bytes.ts';
import type { Server } from '../../src/postgres/server.ts';
import type { SourceWanted } from '../../src/runner/restore/wanted.ts';
import type { Postgres } from '../servers/postgres.ts';

const run = promisify(execFile);

/** A file in the location `files`, for the database `target`. */
export function fileWanted(
  file: { key?: string; pattern?: string; member?: string; foreign?: boolean },
  changes: Partial<SourceWanted> = {},
): SourceWanted {
  return {
    namespace: 'test',
    backup: undefined,
    file: { location: { name: 'files', place: { directory: { path: '/nonexistent' } } }, ...file },
    identities: [],
    signedBy: undefined,
    databases: [{ target: 'target' }],
    unlessRestored: undefined,
    waitForServerSeconds: 0,
    settleSeconds: 0,
    ...changes,
  };
}

/** What libpq needs to reach the server as its superuser. */
export function environmentOf(server: Postgres): Readonly<Record<string, string>> {
  return {
    PGHOST: server.host,
    PGPORT: String(server.port),
    PGUSER: server.user,
    PGPASSWORD: server.password,
    PATH: '/usr/local/bin:/usr/bin:/bin',
    LC_ALL: 'C.UTF-8',
  };
}

/** The same for our own sessions. */
export function serverOf({ host, port, user, password }: Postgres): Server {
  return { host, port, user, password, tls: { mode: 'disable' }, database: 'postgres' };
}

/** Runs a program to its good end. */
export async function call(
  program: string,
  args: readonly string[],
  options: { readonly env?: Readonly<Record<string, string>>; readonly cwd?: string } = {},
): Promise<string> {
  const { stdout } = await run(program, [...args], { maxBuffer: 64 * 1024 * 1024, ...options });
  return stdout;
}

/** Runs a program that reads `stdin`, to its good end. */
export async function callWith(
  stdin: Bytes,
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<void> {
  const running = run(program, [...args], { env, maxBuffer: 64 * 1024 * 1024 });
  const { stdin: input } = running.child;
  if (input === null) throw new Error('no stdin');
  // A program that ends early says so by its exit code.
  input.on('error', () => {});
  try {
    for await (const chunk of stdin) input.write(chunk);
    input.end();
  } catch (error) {
    running.child.kill();
    await running.catch(() => undefined);
    throw error;
  }
  await running;
}
