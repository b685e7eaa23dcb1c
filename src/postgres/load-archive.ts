import { unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure, toFailure } from '../api/failure.ts';
import { aborted } from '../pipeline/aborted.ts';
import { runCommand, type Command } from '../pipeline/command.ts';
import { classifyLoadEnd, mayBeDamage, type LoadSubject } from './classify-load-end.ts';
import type { Archive, ArchiveEntry, LoadHooks, LoadOptions, LoadResult, LoadTools } from './load-types.ts';
import { programPath, type Programs } from './programs.ts';
import { checkPsql, databaseArgument, newKey, runPsql } from './psql.ts';
import { readContents } from './read-contents.ts';
import { chooseRestorePrograms, unknownSettings } from './restore-programs.ts';
import { checkProof, frameScript } from './restore-script.ts';
import { selectEntries } from './select-entries.ts';
import { readWhole, type WholeSource } from './whole-source.ts';

/**
 * Loads an archive into a database that exists. Resolves only after every byte of `open()` was read, so that the source has proved
 * itself, and every statement ran. With `singleTransaction` nothing is committed before both is so.
 * @throws Failure what `open` throws before all else; SelectionMissing, ProgramMissing, RoleMissing, ExtensionMissing,
 * ObjectConflict, VersionUnsupported, DiskFull, PermissionDenied, ConnectionLost, LockTimeout, TargetBusy, FileDamaged or
 * BackupDamaged, RestoreFailed …
 */
export async function loadArchive(
  tools: LoadTools,
  archive: Archive,
  options: LoadOptions,
  signal: AbortSignal,
  hooks: LoadHooks = {},
): Promise<LoadResult> {
  const contents = options.contents ?? (await readContents(tools, archive, signal));
  const { entries, notes: selected } = selectEntries(contents, options.selection, options);
  const { programs, mode } = chooseRestorePrograms(tools.available, {
    serverMajor: tools.serverMajor,
    archiveVersion: contents.archiveVersion,
  });
  // All or nothing needs psql: pg_restore would commit before the last bytes of the source were seen to be right.
  const asScript = mode === 'filtered' || options.singleTransaction;
  const notes = [...selected];
  const jobs = possibleJobs(archive, options, asScript, notes);
  const about: LoadSubject = {
    subject: `pg_restore into database "${options.database}"`,
    damaged: tools.damaged ?? 'FileDamaged',
    fromNewer: contents.serverMajor > tools.serverMajor,
  };
  const list = entries === undefined ? undefined : await writeList(tools, entries);
  const source = archive.kind === 'stream' ? readWhole(archive.open(signal), hooks.onBytes) : undefined;
  const args = [
    ...loadFlags(options),
    ...(list === undefined ? [] : [`--use-list=${list}`]),
    ...archiveArguments(archive),
  ];
  const run: Run = { tools, programs, args, about, source, signal };
  try {
    if (asScript) await loadAsScript(run, options);
    else await loadDirectly(run, options, jobs);
    await source?.drain();
    return { notes };
  } catch (error) {
    if (signal.aborted) throw aborted(signal);
    const failure = toFailure(error);
    if (mayBeDamage(failure)) await source?.drain();
    throw failure;
  } finally {
    source?.leave();
    if (list !== undefined) await unlink(list);
  }
}

interface Run {
  readonly tools: LoadTools;
  readonly programs: Programs;
  readonly args: readonly string[];
  readonly about: LoadSubject;
  readonly source: WholeSource | undefined;
  readonly signal: AbortSignal;
}

async function loadDirectly(run: Run, options: LoadOptions, jobs: number): Promise<void> {
  const command = startRestore(run, [
    databaseArgument(options.database),
    '--exit-on-error',
    ...(jobs > 1 ? [`--jobs=${jobs}`] : []),
  ]);
  for await (const _chunk of command.stdout);
}

async function loadAsScript(run: Run, options: LoadOptions): Promise<void> {
  const { tools, programs, about, source, signal } = run;
  await checkPsql(tools, programs, signal);
  const command = startRestore(run, ['--file=-', ...(options.singleTransaction ? ['--single-transaction'] : [])]);
  try {
    const proof = newKey(tools);
    const script = frameScript(command.stdout, {
      without: unknownSettings(programs.major, tools.serverMajor),
      key: newKey(tools),
      proof,
      beforeEnd: async () => source?.drain(),
    });
    const output = await runPsql(tools, programs, options.database, script, about, signal);
    checkProof(
      output,
      proof,
      () => new Failure('RestoreFailed', `${about.subject} ended well, but the script did not run to its end`),
    );
  } finally {
    await command.stop();
  }
}

function startRestore(run: Run, args: readonly string[]): Command {
  const { tools, programs, about, source, signal } = run;
  const path = programPath(programs, 'pg_restore');
  const all = ['--no-password', ...args, ...run.args];
  return runCommand(
    {
      ...(tools.stdbuf === undefined
        ? { program: path, args: all }
        : { program: tools.stdbuf, args: ['--output=1M', path, ...all] }),
      env: tools.environment,
      ...(source === undefined ? {} : { stdin: source.bytes }),
      clock: tools.clock,
      classify: (end) => classifyLoadEnd(end, about),
    },
    signal,
  );
}

/** What both a load and a trial of its definitions say to pg_restore. */
export function loadFlags(options: LoadOptions): readonly string[] {
  return [
    ...(options.clean ? ['--clean', '--if-exists'] : []),
    ...(options.noOwner ? ['--no-owner'] : []),
    ...(options.noPrivileges ? ['--no-privileges'] : []),
    ...(options.role === undefined ? [] : [`--role=${options.role}`]),
    ...(options.selection.schemaOnly ? ['--schema-only'] : []),
    ...(options.selection.dataOnly ? ['--data-only'] : []),
  ];
}

export function archiveArguments(archive: Archive): readonly string[] {
  return [`--format=${archive.format}`, ...(archive.kind === 'path' ? [archive.path] : [])];
}

/** Writes the entries as pg_restore --use-list takes them; the caller removes the file. */
export async function writeList(tools: LoadTools, entries: readonly ArchiveEntry[]): Promise<string> {
  const path = join(tools.folder, `list-${newKey(tools)}`);
  await writeFile(path, entries.map(({ dumpId }) => `${dumpId};\n`).join(''), { mode: 0o600, flag: 'wx' });
  return path;
}

function possibleJobs(archive: Archive, options: LoadOptions, asScript: boolean, notes: string[]): number {
  if (options.jobs <= 1) return 1;
  const why = whyOneJob(archive, options, asScript);
  if (why === undefined) return options.jobs;
  notes.push(`loaded by one connection instead of ${options.jobs}: ${why}`);
  return 1;
}

function whyOneJob(archive: Archive, options: LoadOptions, asScript: boolean): string | undefined {
  if (options.singleTransaction) return 'it is one transaction';
  if (asScript) return 'the archive needs a newer pg_restore than the server’s, which is run as a script';
  if (archive.kind === 'stream') return 'the archive is streamed';
  return archive.format === 'tar' ? 'tar archives can only be read in order' : undefined;
}
