import { createReadStream } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { Failure, toFailure } from '../api/failure.ts';
import type { LeavableKind } from '../api/restore-options.ts';
import { aborted } from '../pipeline/aborted.ts';
import type { Bytes } from '../pipeline/bytes.ts';
import { runCommand, type Command } from '../pipeline/command.ts';
import { splitByPass } from './choose-pass.ts';
import { classifyLoadEnd, mayBeDamage, type LoadSubject } from './classify-load-end.ts';
import { CommitLost } from './commit-lost.ts';
import type { Archive, ArchiveContents, ArchiveEntry, LoadHooks, LoadOptions, LoadTools } from './load-types.ts';
import { definitionsToFit } from './fit-definitions.ts';
import { programPath } from './programs.ts';
import { loadStatements, type StatementOptions } from './load-statements.ts';
import { openLoadSession } from './load-session.ts';
import { openTransaction } from './open-transaction.ts';
import { readSqlScript } from '../pipeline/sql-script.ts';
import { readContents } from './read-contents.ts';
import { chooseRestorePrograms, unknownSettings, type RestorePrograms } from './restore-programs.ts';
import { rewriteDefinitions, type RewriteDefinition } from './rewrite-definitions.ts';
import { rewriteToc } from './rewrite-toc.ts';
import { selectEntries, type SelectedEntries } from './select-entries.ts';
import { writeList } from './write-list.ts';
import { readWhole, type WholeSource } from './whole-source.ts';
import { wholeTar } from './whole-tar.ts';

/** One pg_restore that is going to be started. */
export interface RestoreRun {
  readonly tools: LoadTools;
  readonly contents: ArchiveContents;
  readonly chosen: RestorePrograms;
  readonly about: LoadSubject;
  /** Of the selection. */
  readonly notes: readonly string[];
  readonly signal: AbortSignal;
  /** Those that are the same for each way of running it. */
  readonly args: readonly string[];
  /** What is loaded, in the archive's order; undefined: all. */
  readonly entries: readonly ArchiveEntry[] | undefined;
  readonly largeObjects: boolean;
  readonly searchPath: readonly string[] | undefined;
  readonly settings: Readonly<Record<string, string>>;
  /** That pg_restore opens itself; else it gets `source`. */
  readonly path: string | undefined;
  readonly source: WholeSource | undefined;
}

/**
 * Prepares a pg_restore, lets `work` run it, and clears up. When it fails in a way that damaged bytes could be the cause of, the
 * source is read to its end: what it throws is the better reason. `passing` sees what pg_restore gets, if that is a stream.
 */
export async function withRestore<Result>(
  tools: LoadTools,
  archive: Archive,
  options: LoadOptions,
  signal: AbortSignal,
  hooks: LoadHooks,
  work: (run: RestoreRun) => Promise<Result>,
  passing: (stream: Bytes, contents: ArchiveContents) => Bytes = (stream) => stream,
): Promise<Result> {
  const contents = options.contents ?? (await readContents(tools, archive, signal));
  const selected = selectEntries(contents, options.selection, options);
  const { entries, largeObjects, notes } = selected;
  const { archiveVersion } = contents;
  const chosen = chooseRestorePrograms(tools.available, { serverMajor: tools.serverMajor, archiveVersion });
  const list =
    entries === undefined ? undefined : await writeList(tools.folder, listIds(contents, selected), newKey(tools));
  const damaged = (what: string) => new Failure(tools.damaged ?? 'FileDamaged', what);
  const rewrite = definitionsToFit(contents, options, archive.format);
  if (archive.format === 'directory' && rewrite !== undefined) await rewriteToc(archive.path, rewrite, damaged, signal);
  const stream = openStream(archive, rewrite, damaged, signal);
  const source = stream === undefined ? undefined : readWhole(passing(stream, contents), hooks.onBytes);
  const about: LoadSubject = {
    subject: `pg_restore into database "${options.database}"`,
    damaged: tools.damaged ?? 'FileDamaged',
    fromNewer: contents.serverMajor > tools.serverMajor,
  };
  const args = [
    '--no-password',
    ...flags(options),
    ...(list === undefined ? [] : [`--use-list=${list}`]),
    `--format=${archive.format}`,
  ];
  const path = archive.kind === 'path' && stream === undefined ? archive.path : undefined;
  try {
    const { settings = {}, searchPath } = options;
    return await work({
      tools,
      settings,
      contents,
      chosen,
      about,
      notes,
      signal,
      args,
      entries,
      largeObjects,
      searchPath,
      path,
      source,
    });
  } catch (error) {
    if (signal.aborted && !(error instanceof CommitLost)) throw aborted(signal);
    const failure = toFailure(error);
    if (mayBeDamage(failure)) await source?.drain();
    throw failure;
  } finally {
    source?.leave();
    if (list !== undefined) await unlink(list);
  }
}

/** In the order in which pg_restore is to load: the list is its order. */
function listIds(contents: ArchiveContents, selected: SelectedEntries): readonly number[] {
  if (!selected.largeObjects) return (selected.entries ?? []).map(({ dumpId }) => dumpId);
  const { before, rows, after } = splitByPass(contents, selected);
  return [...before, ...rows, ...after];
}

/**
 * What goes through our hands: what is streamed; tar archives always, see `wholeTar` (reading one at a path has no advantage); and
 * custom ones whose definitions do not fit.
 */
function openStream(
  archive: Archive,
  rewrite: RewriteDefinition | undefined,
  damaged: (what: string) => Failure,
  signal: AbortSignal,
): Bytes | undefined {
  const open = (): Bytes => (archive.kind === 'stream' ? archive.open(signal) : readPath(archive.path, signal));
  if (archive.format === 'directory') return undefined;
  const bytes = archive.format === 'tar' ? wholeTar(open(), damaged) : undefined;
  if (rewrite !== undefined) return rewriteDefinitions(bytes ?? open(), damaged, archive.format, rewrite);
  if (bytes !== undefined) return bytes;
  return archive.kind === 'stream' ? archive.open(signal) : undefined;
}

/** Opened when it is read: a run may end before. */
async function* readPath(path: string, signal: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
  yield* createReadStream(path, { signal }) satisfies Bytes;
}

/** A database as `--dbname` takes it: a name with = in it, given alone, would be read as a connection string. */
export function databaseArgument(database: string): string {
  return `--dbname=dbname='${database.replaceAll(/[\\']/g, String.raw`\$&`)}'`;
}

/** A word that nobody can guess; letters and digits. */
export function newKey(tools: Pick<LoadTools, 'random'>): string {
  return Buffer.from(tools.random.bytes(24)).toString('hex');
}

/** Of arguments that are given twice the last counts: those of `args` do. */
export function startRestore(run: RestoreRun, args: readonly string[]): Command {
  const { tools, chosen, about, source, signal, settings } = run;
  const path = programPath(chosen.programs, 'pg_restore');
  const all = [...run.args, ...args, ...(run.path === undefined ? [] : [run.path])];
  return runCommand(
    {
      ...(tools.stdbuf === undefined
        ? { program: path, args: all }
        : { program: tools.stdbuf, args: ['--output=1M', path, ...all] }),
      env: withSettings(tools.environment, settings),
      ...(source === undefined ? {} : { stdin: source.bytes }),
      clock: tools.clock,
      classify: (end) => classifyLoadEnd(end, about),
    },
    signal,
  );
}

/** Where sessions may start with settings at all, which poolers refuse, there are some already. */
function withSettings(
  environment: LoadTools['environment'],
  settings: Readonly<Record<string, string>>,
): LoadTools['environment'] {
  const { PGOPTIONS } = environment;
  if (PGOPTIONS === undefined) return environment;
  const more = Object.entries(settings).map(([name, value]) => ` -c ${name}=${value}`);
  return { ...environment, PGOPTIONS: `${PGOPTIONS}${more.join('')}` };
}

/** pg_restore writes a script, and we run it; `beforeEnd` is awaited before its transaction ends, and the hook after it. */
export async function runAsScript(
  run: RestoreRun,
  database: string,
  transaction: StatementOptions['transaction'],
  args: readonly string[] = [],
  beforeEnd: () => Promise<void> = async () => {},
  { afterBegin, beforeLoad, beforeCommit, onRefused }: LoadHooks = {},
): Promise<void> {
  const { tools, chosen, about, signal, settings } = run;
  const isOne = transaction !== 'none';
  const session = await openLoadSession(tools.server, database, signal);
  // Started where its reading begins: of a process that has ended before, Node throws the output away.
  async function* write(): AsyncGenerator<Uint8Array, void, void> {
    yield* startRestore(run, ['--file=-', ...(isOne ? ['--single-transaction'] : []), ...args]).stdout;
  }
  const output = write();
  try {
    const script = readSqlScript(output, { part: 'whole', oneTransaction: isOne, ofOurOwn: true });
    const without = unknownSettings(chosen.programs.major, tools.serverMajor);
    await loadStatements(session, script, {
      transaction,
      settings,
      without,
      keepPublic: true,
      about,
      searchPath: run.searchPath,
      onRefused,
      afterBegin,
      beforeScript: async (within) => {
        if (isOne) await beforeLoad?.(openTransaction(session, tools.server, database, within));
      },
      beforeEnd: async (within) => {
        await beforeEnd();
        if (isOne) await beforeCommit?.(openTransaction(session, tools.server, database, within));
      },
    });
  } finally {
    // Ends pg_restore, and waits until it is gone.
    await output.return();
    await session.close();
  }
}

/** Those that all programs have; the list leaves out the rest, and what is said about large objects is in no list of ours. */
const leavingFlags: Readonly<Partial<Record<LeavableKind, string>>> = {
  tablespaces: '--no-tablespaces',
  comments: '--no-comments',
  securityLabels: '--no-security-labels',
};

function flags(options: LoadOptions): readonly string[] {
  return [
    ...(options.clean ? ['--clean', '--if-exists'] : []),
    ...(options.noOwner ? ['--no-owner'] : []),
    ...(options.noPrivileges ? ['--no-privileges'] : []),
    ...(options.without ?? []).flatMap((kind) => leavingFlags[kind] ?? []),
    ...(options.role === undefined ? [] : [`--role=${options.role}`]),
    ...(options.selection.schemaOnly ? ['--schema-only'] : []),
    ...(options.selection.dataOnly ? ['--data-only'] : []),
  ];
}
