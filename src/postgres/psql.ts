import { access, constants } from 'node:fs/promises';
import { Failure } from '../api/failure.ts';
import { aborted } from '../pipeline/aborted.ts';
import type { Bytes } from '../pipeline/bytes.ts';
import { runCommand } from '../pipeline/command.ts';
import { classifyLoadEnd, type LoadSubject } from './classify-load-end.ts';
import type { LoadTools } from './load-types.ts';
import { programPath, type Programs } from './programs.ts';

const outputTail = 4096;

/**
 * That psql is there, and knows \restrict: only then a script cannot run programs or read files by commands of psql itself.
 * @throws Failure ProgramMissing
 */
export async function checkPsql(tools: LoadTools, programs: Programs, signal: AbortSignal): Promise<void> {
  const path = programPath(programs, 'psql');
  const hint = 'Use an image with psql of a minor version of August 2025 or later.';
  try {
    await access(path, constants.X_OK);
  } catch (error) {
    throw new Failure('ProgramMissing', `psql of PostgreSQL ${programs.major} is missing`, { hint, cause: error });
  }
  const command = runCommand(
    {
      program: path,
      args: ['--no-psqlrc', '--help=commands'],
      env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
      clock: tools.clock,
      classify: (end) =>
        new Failure('ProgramMissing', `psql of PostgreSQL ${programs.major} does not run: ${end.stderrTail.trim()}`),
    },
    signal,
  );
  const output: Uint8Array[] = [];
  for await (const chunk of command.stdout) output.push(chunk);
  if (Buffer.concat(output).includes(String.raw`\restrict`)) return;
  throw new Failure('ProgramMissing', `psql ${programs.version} does not know \\restrict`, { hint });
}

/** A word that nobody can guess; letters and digits. */
export function newKey(tools: Pick<LoadTools, 'random'>): string {
  return Buffer.from(tools.random.bytes(24)).toString('hex');
}

/** A database as `--dbname` takes it: a name with = in it, given alone, would be read as a connection string. */
export function databaseArgument(database: string): string {
  return `--dbname=dbname='${database.replaceAll(/[\\']/g, String.raw`\$&`)}'`;
}

/**
 * Runs a script and stops at its first error. Transactions are the script's own affair, for psql takes the end of its input for
 * the end of the script, even if it is the end of who wrote it: only a COMMIT in the script may commit.
 * @returns what it printed last, at most 4 KiB
 * @throws Failure what `script` throws; else what psql's end means
 */
export async function runPsql(
  tools: LoadTools,
  programs: Programs,
  database: string,
  script: Bytes,
  about: LoadSubject,
  signal: AbortSignal,
): Promise<string> {
  if (signal.aborted) throw aborted(signal);
  const command = runCommand(
    {
      program: programPath(programs, 'psql'),
      args: [
        '--no-psqlrc',
        '--no-password',
        '--quiet',
        '--tuples-only',
        '--no-align',
        '--set=ON_ERROR_STOP=1',
        '--file=-',
        databaseArgument(database),
      ],
      env: tools.environment,
      stdin: script,
      clock: tools.clock,
      classify: (end) => classifyLoadEnd(end, about),
    },
    signal,
  );
  let tail: Uint8Array = new Uint8Array(0);
  for await (const chunk of command.stdout) {
    tail = Buffer.concat([tail, chunk.subarray(-outputTail)]).subarray(-outputTail);
  }
  return Buffer.from(tail).toString('latin1');
}
