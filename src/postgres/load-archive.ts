import { unlink } from 'node:fs/promises';
import { splitByPass } from './choose-pass.ts';
import type { Archive, LoadHooks, LoadOptions, LoadResult, LoadTools } from './load-types.ts';
import { databaseArgument, newKey } from './psql.ts';
import { runAsScript, startRestore, withRestore, type RestoreRun } from './run-restore.ts';
import { writeList } from './write-list.ts';

/**
 * Loads an archive into a database that exists. Resolves only after every byte of `open()` was read, so that the source has proved
 * itself, and every statement ran. With `singleTransaction` nothing is committed before both is so: this goes through psql, since
 * pg_restore itself commits as soon as it has read what it needs.
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
  return withRestore(tools, archive, options, signal, hooks, async (run) => {
    const drain = async (): Promise<void> => run.source?.drain();
    const asScript = run.chosen.mode === 'filtered' || options.singleTransaction;
    const oneJob = options.jobs > 1 ? whyOneJob(archive, run, options, asScript) : undefined;
    if (asScript) {
      await runAsScript(run, options.database, options.singleTransaction ? 'commit' : 'plain', [], drain);
    } else {
      if (options.jobs === 1 || oneJob !== undefined) await runDirectly(run, options);
      else await runInPasses(run, options);
      await drain();
    }
    return {
      notes: [
        ...run.notes,
        ...(oneJob === undefined ? [] : [`loaded by one connection instead of ${options.jobs}: ${oneJob}`]),
      ],
    };
  });
}

/** pg_restore loads into the database itself. */
async function runDirectly(run: RestoreRun, { database }: LoadOptions, args: readonly string[] = []): Promise<void> {
  const command = startRestore(run, [databaseArgument(database), '--exit-on-error', ...args]);
  for await (const _nothing of command.stdout);
}

/** With several connections: each pass is a pg_restore of its own, because only its end tells that all of it is done. */
async function runInPasses(run: RestoreRun, options: LoadOptions): Promise<void> {
  for (const ids of splitByPass(run.contents, run.entries)) {
    const list = await writeList(run.tools.folder, ids, newKey(run.tools));
    try {
      await runDirectly(run, options, [`--use-list=${list}`, `--jobs=${options.jobs}`]);
    } finally {
      await unlink(list);
    }
  }
}

function whyOneJob(
  archive: Archive,
  { source }: RestoreRun,
  options: LoadOptions,
  asScript: boolean,
): string | undefined {
  if (options.singleTransaction) return 'it is one transaction';
  // Each pass would drop what it creates only, in the wrong order.
  if (options.clean) return 'what is there is dropped first';
  if (asScript) return 'the archive needs a newer pg_restore than the server’s, which writes a script';
  if (archive.kind === 'stream') return 'the archive is streamed';
  if (archive.format === 'tar') return 'tar archives can only be read in order';
  return source === undefined ? undefined : 'column options that only some servers know are left out on the way';
}
