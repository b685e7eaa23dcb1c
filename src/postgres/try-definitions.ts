import { Failure } from '../api/failure.ts';
import type { Archive, LoadOptions, LoadResult, LoadTools } from './load-types.ts';
import { readContents } from './read-contents.ts';
import { explainRefusal, showRefused, type Refusal } from './refusal.ts';
import { runAsScript, withRestore } from './run-restore.ts';

/** The first of them may have all the others in its train. */
const mostTold = 10;

/**
 * Creates everything but rows, indexes and constraints included, in one transaction that is rolled back: when the archive comes
 * from a newer PostgreSQL than the server's, what the server does not know shows before hours of loading. Reads only the archive's
 * head. Else, and for rows alone, it does nothing. The database should be the new, empty one.
 * @throws Failure VersionUnsupported with what the server refuses (of the first one its own reason, if that is a better-known one)
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
    const refused: Refusal[] = [];
    let count = 0;
    const onRefused = (refusal: Refusal): void => {
      count += 1;
      if (refused.length < mostTold) refused.push(refusal);
    };
    try {
      await runAsScript(run, options.database, 'rollback', [], undefined, { onRefused });
    } catch (error) {
      // A transaction of our own making needs more locks than the load itself: that proves nothing.
      if (error instanceof Failure && /out of shared memory/.test(error.message)) {
        return { notes: ['the definitions could not be tried before: there are too many for one transaction'] };
      }
      throw error;
    }
    const [first, ...others] = refused;
    if (first === undefined) return { notes: [] };
    throw tellRefused(first, others, count - 1, `PostgreSQL ${contents.serverMajor} to ${tools.serverMajor}`);
  });
}

/** In its order, so that what failed because of another comes behind it. */
function tellRefused({ failure }: Refusal, others: readonly Refusal[], more: number, from: string): Failure {
  const { reason, message, hint } = failure;
  const told = others.map((refusal) => `${showRefused(refusal)}: ${explainRefusal(refusal)}`);
  const rest = more > others.length ? `; and ${more - others.length} more` : '';
  const also = more === 0 ? '' : `; refused too: ${told.join('; ')}${rest}`;
  return new Failure(reason === 'RestoreFailed' ? 'VersionUnsupported' : reason, `from ${from}: ${message}${also}`, {
    cause: failure,
    ...(hint === undefined ? {} : { hint }),
  });
}
