import { access, constants, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../api/failure.ts';
import { aborted } from '../pipeline/aborted.ts';
import { runCommand } from '../pipeline/command.ts';
import type { Sleeper } from '../pipeline/sleeper.ts';

/** The client programs of one major version. */
export interface Programs {
  readonly major: number;
  /** As pg_dump says it: `16.14 (Debian 16.14-1.pgdg12+1)`. */
  readonly version: string;
  readonly binDir: string;
}

export type ProgramName = 'pg_dump' | 'pg_dumpall' | 'pg_restore';
const programNames: readonly ProgramName[] = ['pg_dump', 'pg_dumpall', 'pg_restore'];

export function programPath(programs: Programs, name: ProgramName): string {
  return join(programs.binDir, name);
}

/** Where Debian's packages put them: `<root>/<major>/bin`. Empty when there is no such folder. */
export async function standardBinDirs(root = '/usr/lib/postgresql'): Promise<readonly string[]> {
  try {
    const versions = await readdir(root);
    return versions.sort().map((version) => join(root, version, 'bin'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/**
 * Asks the programs in `binDirs` for their versions; ascending by major. Of a major the newest minor wins, of two alike the folder
 * that comes first. A folder where one of the programs is missing or does not run is passed over: `choosePrograms` names what there is.
 */
export async function findPrograms(
  binDirs: readonly string[],
  clock: Sleeper,
  signal: AbortSignal,
): Promise<readonly Programs[]> {
  const found = new Map<number, Programs>();
  for (const binDir of binDirs) {
    const programs = await lookInto(binDir, clock, signal);
    if (programs === undefined) continue;
    const before = found.get(programs.major);
    if (before === undefined || minorOf(programs.version) > minorOf(before.version))
      found.set(programs.major, programs);
  }
  return [...found.values()].sort((a, b) => a.major - b.major);
}

/** The programs for a server: of its own major, else of the lowest newer one. Throws `ProgramMissing`. */
export function choosePrograms(available: readonly Programs[], serverMajor: number): Programs {
  const fitting = available.filter(({ major }) => major >= serverMajor);
  const chosen = fitting.reduce<Programs | undefined>(
    (best, programs) => (best === undefined || programs.major < best.major ? programs : best),
    undefined,
  );
  if (chosen !== undefined) return chosen;
  const there = available.length === 0 ? 'none' : available.map(({ major }) => major).join(', ');
  throw new Failure('ProgramMissing', `no programs for PostgreSQL ${serverMajor}; there are: ${there}`, {
    hint: 'An older pg_dump refuses a newer server: use an image with client programs for that version.',
  });
}

/** `pg_dump (PostgreSQL) 16.14 (Debian 16.14-1.pgdg)`, `18beta1` and `9.6.24` included. */
export function parseVersion(text: string): { readonly major: number; readonly version: string } | undefined {
  const version = /^\S+ \([A-Za-z][\w .-]*\) (\d+\S*.*)$/m.exec(text)?.[1]?.trim();
  const major = /^\d+/.exec(version ?? '')?.[0];
  if (version === undefined || major === undefined) return undefined;
  return { major: Number(major), version };
}

/** Minor number of a version as programs and servers say it; -1 of a beta or of what has none. */
export function minorOf(version: string): number {
  return Number(/^\d+\.(\d+)/.exec(version)?.[1] ?? -1);
}

/** Programs of the server's major that lack what later minors repaired. Of another major nobody can say. */
export function areOutdated(programs: Programs, server: { readonly major: number; readonly version: string }): boolean {
  return programs.major === server.major && minorOf(programs.version) < minorOf(server.version);
}

/** coreutils' stdbuf, if it is there: see dump.ts. */
export async function findStdbuf(path = '/usr/bin/stdbuf'): Promise<string | undefined> {
  return (await isExecutable(path)) ? path : undefined;
}

async function lookInto(binDir: string, clock: Sleeper, signal: AbortSignal): Promise<Programs | undefined> {
  for (const name of programNames) {
    if (!(await isExecutable(join(binDir, name)))) return undefined;
  }
  const command = runCommand(
    {
      program: join(binDir, 'pg_dump'),
      args: ['--version'],
      env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
      clock,
      classify: (end) => new Failure('ProgramMissing', `pg_dump in ${binDir} does not run: ${end.stderrTail.trim()}`),
    },
    signal,
  );
  try {
    const output: Uint8Array[] = [];
    for await (const chunk of command.stdout) output.push(chunk);
    const parsed = parseVersion(Buffer.concat(output).toString('utf8'));
    return parsed === undefined ? undefined : { ...parsed, binDir };
  } catch (error) {
    if (signal.aborted) throw aborted(signal);
    // Of another architecture, or a library is missing: as good as not there.
    if (error instanceof Failure && error.reason === 'ProgramMissing') return undefined;
    throw error;
  }
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
