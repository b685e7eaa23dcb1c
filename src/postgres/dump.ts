import { Failure } from '../api/failure.ts';
import type { Bytes } from '../pipeline/bytes.ts';
import { runCommand, type Command } from '../pipeline/command.ts';
import type { Sleeper } from '../pipeline/sleeper.ts';
import { leaveOutInternalOptions } from './internal-options.ts';
import { programPath, type ProgramName, type Programs } from './programs.ts';
import { classifyProgramEnd } from './server-errors.ts';

export interface DumpTools {
  readonly programs: Programs;
  /**
   * Path of coreutils' stdbuf, if there is one. pg_dump writes its pipe in pieces of 4 KB; with a buffer of 1 MiB reading it
   * costs 0.6 instead of 1.5 s of processor time for each GB.
   */
  readonly stdbuf?: string;
  /** From `libpqEnvironment`. */
  readonly environment: Readonly<Record<string, string>>;
  readonly clock: Sleeper;
}

/** Patterns as pg_dump has them. Those that include must match something; those that exclude need not. */
export interface DumpSelection {
  readonly schemas?: readonly string[] | undefined;
  readonly excludeSchemas?: readonly string[] | undefined;
  readonly tables?: readonly string[] | undefined;
  readonly excludeTables?: readonly string[] | undefined;
  readonly excludeTableData?: readonly string[] | undefined;
  /** Undefined: all of them, but none when schemas or tables are chosen. */
  readonly largeObjects?: boolean | undefined;
}

export interface DumpOptions {
  readonly lockTimeoutSeconds: number;
  /** The database's own, as the server names it: a role may have a client_encoding that cannot hold everything. */
  readonly encoding: string;
}

/** Roles and tablespaces as SQL. */
export interface GlobalsDump {
  readonly bytes: Bytes;
  stderrTail(): string;
}

export interface DatabaseDump {
  /** The archive; pg_dump starts when it is read. Throws instead of ending unless pg_dump ended well and what it wrote is an archive. */
  readonly bytes: Bytes;
  /** Version of the archive format, such as `1.15`; known once the first bytes passed. */
  archiveVersion(): string | undefined;
  /** Column options that were left out, known once the stream has ended; undefined when the archive could not be looked at. */
  optionsLeftOut(): number | undefined;
  /** Warnings of pg_dump, and what went wrong: its last 64 KiB. */
  stderrTail(): string;
}

/**
 * Dumps one database in the custom format, uncompressed (the pipeline compresses faster than pg_dump). `bytes` throws
 * SelectionEmpty, PermissionDenied, LockTimeout, ConnectionLost, DumpEmpty, DumpFailed and the reasons of connecting.
 */
export function dumpDatabase(
  tools: DumpTools,
  database: string,
  options: DumpOptions & {
    readonly selection?: DumpSelection;
    /** The database has column options that most servers refuse: they are left out. */
    readonly internalOptions?: boolean;
  },
  signal: AbortSignal,
): DatabaseDump {
  const { schemas, excludeSchemas, tables, excludeTables, excludeTableData } = options.selection ?? {};
  const args = [
    '--format=custom',
    '--compress=0',
    '--no-password',
    '--strict-names',
    `--lock-wait-timeout=${options.lockTimeoutSeconds * 1000}`,
    ...flags('schema', schemas),
    ...flags('exclude-schema', excludeSchemas),
    ...flags('table', tables),
    ...flags('exclude-table', excludeTables),
    ...flags('exclude-table-data', excludeTableData),
    ...largeObjectFlags(tools.programs.major, options.selection?.largeObjects),
  ];
  // Not as an argument: there, a name with = in it would be read as a connection string.
  const environment = { ...tools.environment, PGDATABASE: database, PGCLIENTENCODING: options.encoding };
  const subject = `pg_dump of database "${database}"`;
  let command: Command | undefined;
  let version: string | undefined;
  async function* archive(): AsyncGenerator<Uint8Array, void, void> {
    // Not before somebody reads: a dump that nobody takes, because the run ends first, must not keep a process.
    command = runProgram(tools, 'pg_dump', args, environment, subject, signal);
    let isFirst = true;
    for await (const chunk of command.stdout) {
      if (isFirst) {
        version = readArchiveVersion(chunk);
        if (version === undefined) throw new Failure('DumpEmpty', `${subject} wrote something that is no archive`);
        isFirst = false;
      }
      yield chunk;
    }
    if (isFirst) throw new Failure('DumpEmpty', `${subject} wrote nothing`);
  }
  let leftOut: number | undefined = 0;
  const damaged = (what: string) =>
    new Failure('DumpEmpty', `${subject} wrote an archive that cannot be read: ${what}`);
  const bytes =
    options.internalOptions === true
      ? leaveOutInternalOptions(archive(), damaged, (count) => {
          leftOut = count;
        })
      : archive();
  return {
    bytes,
    archiveVersion: () => version,
    optionsLeftOut: () => leftOut,
    stderrTail: () => command?.stderrTail() ?? '',
  };
}

/**
 * Dumps roles, tablespaces and their grants as SQL. Passwords of roles are left out unless asked for (then a superuser is
 * needed). `maintenanceDatabase` is where it looks from, `encoding` that one's. Throws as `dumpDatabase` does.
 */
export function dumpGlobals(
  tools: DumpTools,
  maintenanceDatabase: string,
  options: DumpOptions & { readonly rolePasswords: boolean },
  signal: AbortSignal,
): GlobalsDump {
  const args = [
    '--globals-only',
    ...(options.rolePasswords ? [] : ['--no-role-passwords']),
    '--no-password',
    `--lock-wait-timeout=${options.lockTimeoutSeconds * 1000}`,
    // It has no other way to say it. Quoted, because it reads the name as a connection string if it looks like one.
    `--database=dbname='${maintenanceDatabase.replaceAll(/[\\']/g, String.raw`\$&`)}'`,
  ];
  const subject = 'pg_dumpall of the globals';
  const environment = { ...tools.environment, PGCLIENTENCODING: options.encoding };
  let command: Command | undefined;
  const start = (): Command => (command = runProgram(tools, 'pg_dumpall', args, environment, subject, signal));
  return { bytes: wholeScript(start, subject), stderrTail: () => command?.stderrTail() ?? '' };
}

/** The last thing that pg_dumpall writes, but for a line or two. */
const scriptEnd = '-- PostgreSQL database cluster dump complete';
const scriptEndWithin = 4096;

async function* wholeScript(start: () => Command, subject: string): AsyncGenerator<Uint8Array, void, void> {
  let tail: Uint8Array = new Uint8Array(0);
  for await (const chunk of start().stdout) {
    tail = Buffer.concat([tail, chunk.subarray(-scriptEndWithin)]).subarray(-scriptEndWithin);
    yield chunk;
  }
  if (!Buffer.from(tail).includes(scriptEnd)) {
    throw new Failure('DumpEmpty', `${subject} ended well but what it wrote is not whole`);
  }
}

/** Reads the header of a custom-format archive: `PGDMP`, then the version. Undefined if it is none. */
export function readArchiveVersion(head: Uint8Array): string | undefined {
  if (Buffer.from(head.subarray(0, 5)).toString('latin1') !== 'PGDMP') return undefined;
  const [major, minor] = head.subarray(5, 7);
  return major === undefined || minor === undefined ? undefined : `${major}.${minor}`;
}

function runProgram(
  tools: DumpTools,
  name: ProgramName,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  subject: string,
  signal: AbortSignal,
): Command {
  const path = programPath(tools.programs, name);
  const [program, programArgs] =
    tools.stdbuf === undefined ? [path, args] : [tools.stdbuf, ['--output=1M', path, ...args]];
  const classify = (end: Parameters<typeof classifyProgramEnd>[0]) => classifyProgramEnd(end, subject, 'DumpFailed');
  return runCommand({ program, args: programArgs, env, clock: tools.clock, classify }, signal);
}

/** The option got another name with 16. */
function largeObjectFlags(programMajor: number, wanted: boolean | undefined): readonly string[] {
  if (wanted === undefined) return [];
  return [`--${wanted ? '' : 'no-'}${programMajor >= 16 ? 'large-objects' : 'blobs'}`];
}

function flags(name: string, patterns: readonly string[] | undefined): readonly string[] {
  return (patterns ?? []).map((pattern) => `--${name}=${pattern}`);
}
