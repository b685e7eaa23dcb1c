import { Failure } from '../api/failure.ts';
import type { Archive, LoadOptions, LoadResult, LoadTools } from './load-types.ts';
import { readContents } from './read-contents.ts';
import { runAsScript, withRestore } from './run-restore.ts';

/**
 * Creates everything but rows, indexes and constraints included, in one transaction that is rolled back: when the archive comes
 * from a newer PostgreSQL than the server's, what the server does not know shows before hours of loading. Reads only the archive's
 * head. Else, and for rows alone, it does nothing. The database should be the new, empty one.
 * @throws Failure VersionUnsupported with the first statement that the server refuses; RoleMissing, ExtensionMissing,
 * ObjectConflict … as loadArchive would later
 */
export async function tryDefinitions(
  tools: LoadTools,
  archive: Archive,
  options: LoadOptions,
  signal: AbortSignal,
): Promise<LoadResult> {
  const contents = options.contents ?? (await readContents(tools, archive, signal));
  if (contents.serverMajor <= tools.serverMajor || options.selection.dataOnly) return { notes: [] };
  const trial: LoadOptions = {
    ...options,
    contents,
    selection: { ...options.selection, schemaOnly: true },
    singleTransaction: true,
    jobs: 1,
  };
  return withRestore(tools, archive, trial, signal, {}, async (run) => {
    try {
      await runAsScript(run, options.database, 'rollback');
    } catch (error) {
      if (!(error instanceof Failure) || error.reason !== 'RestoreFailed') throw error;
      // A transaction of our own making needs more locks than the load itself: that proves nothing.
      if (/out of shared memory/.test(error.message)) {
        return { notes: ['the definitions could not be tried before: there are too many for one transaction'] };
      }
      const from = `PostgreSQL ${contents.serverMajor} to ${tools.serverMajor}`;
      throw new Failure('VersionUnsupported', `from ${from}: ${error.message}`, { cause: error });
    }
    return { notes: [] };
  });
}
