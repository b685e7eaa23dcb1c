import { rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { splitByPass } from './choose-pass.ts';
import { keepHead } from './keep-head.ts';
import type { Archive, ArchiveContents, LoadHooks, LoadOptions, LoadResult, LoadTools } from './load-types.ts';
import { databaseArgument, newKey, runAsScript, startRestore, withRestore, type RestoreRun } from './run-restore.ts';
import { loadStream, type RunPass } from './load-stream.ts';
import { longestSearchPath } from './search-path.ts';
import { writeList } from './write-list.ts';

/** What of a stream is kept for several connections at most: far more than tables of contents are, far less than archives. */
const mostHeadBytes = 256 * 1024 * 1024;

/**
 * Loads an archive into a database that exists. Resolves only after every byte of `open()` was read, so that the source has proved
 * itself, and every statement ran (or was refused, and `onRefused` told). With `singleTransaction` nothing is committed before both is so: its script goes through
 * our own session then, since pg_restore itself commits as soon as it has read what it needs.
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
  const head = join(tools.folder, `head-${newKey(tools)}`);
  const load = async (run: RestoreRun): Promise<LoadResult> => {
    const drain = async (): Promise<void> => run.source?.drain();
    const goesOn = hooks.onRefused !== undefined;
    const isPathOfTar = archive.format === 'tar' && options.searchPath !== undefined;
    const asScript = run.chosen.mode === 'filtered' || options.singleTransaction || goesOn || isPathOfTar;
    const oneJob = options.jobs > 1 ? whyOneJob(archive, run, options, asScript, goesOn) : undefined;
    if (asScript) {
      const transaction = options.singleTransaction ? 'commit' : 'none';
      await runAsScript(run, options.database, transaction, [], drain, hooks);
    } else if (options.jobs === 1 || oneJob !== undefined) {
      await runDirectly(run, options);
      await drain();
    } else if (run.source === undefined) {
      const { before, rows, after } = splitByPass(run.contents, run);
      for (const ids of [before, rows, after]) await runPass(run, options, ids, options.jobs);
    } else {
      const pass: RunPass = async (one, ids, jobs) => runPass(one, options, ids, jobs);
      await loadStream({ ...run, source: run.source }, head, options, pass);
    }
    const isTold = oneJob !== undefined && options.jobsByDefault !== true;
    const notes = !isTold ? [] : [`loaded by one connection instead of ${options.jobs}: ${oneJob}`];
    return { notes: [...run.notes, ...notes] };
  };
  try {
    return await withRestore(tools, archive, options, signal, hooks, load, (stream, contents) =>
      options.jobs > 1 && isHeadKept(archive, contents)
        ? keepHead(stream, head, contents.headBytes + longestSearchPath)
        : stream,
    );
  } finally {
    await rm(head, { force: true });
  }
}

/** pg_restore loads into the database itself. */
async function runDirectly(run: RestoreRun, { database }: LoadOptions, args: readonly string[] = []): Promise<void> {
  const command = startRestore(run, [databaseArgument(database), '--exit-on-error', ...args]);
  for await (const _nothing of command.stdout);
}

/** Each pass is a pg_restore of its own, because only its end tells that all of it is done. */
async function runPass(run: RestoreRun, options: LoadOptions, ids: readonly number[], jobs: number): Promise<void> {
  if (ids.length === 0) return;
  const list = await writeList(run.tools.folder, ids, newKey(run.tools));
  try {
    await runDirectly(run, options, [`--use-list=${list}`, ...(jobs === 1 ? [] : [`--jobs=${jobs}`])]);
  } finally {
    await unlink(list);
  }
}

function isHeadKept(archive: Archive, { headBytes }: ArchiveContents): boolean {
  return archive.kind === 'stream' && archive.format === 'custom' && headBytes <= mostHeadBytes;
}

function whyOneJob(
  archive: Archive,
  { source, contents }: RestoreRun,
  options: LoadOptions,
  asScript: boolean,
  goesOn: boolean,
): string | undefined {
  if (options.singleTransaction) return 'it is one transaction';
  if (goesOn) return 'what is refused is passed over';
  // Each pass would drop what it creates only, in the wrong order.
  if (options.clean) return 'what is there is dropped first';
  if (archive.format === 'tar') return 'tar archives can only be read in order';
  if (asScript) return 'the archive needs a newer pg_restore than the server’s, which writes a script';
  if (archive.kind === 'stream')
    return isHeadKept(archive, contents) ? undefined : 'its table of contents is too large to be kept';
  return source === undefined ? undefined : 'definitions that do not fit here are changed on the way';
}
