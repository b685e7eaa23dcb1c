import { Failure, toFailure } from '../api/failure.ts';
import { aborted } from '../pipeline/aborted.ts';
import type { Bytes } from '../pipeline/bytes.ts';
import { readSqlScript } from '../pipeline/sql-script.ts';
import type { SqlScriptOptions } from '../pipeline/sql-script-options.ts';
import { mayBeDamage, type LoadSubject } from './classify-load-end.ts';
import { CommitLost } from './commit-lost.ts';
import { openLoadSession } from './load-session.ts';
import { loadStatements } from './load-statements.ts';
import { leaveOutStatements } from './leave-out-statements.ts';
import { openTransaction } from './open-transaction.ts';
import type { LoadHooks, LoadOptions, LoadResult, LoadTools } from './load-types.ts';
import { settingsSince } from './restore-programs.ts';
import { readWhole } from './whole-source.ts';

export interface ScriptOptions extends Pick<
  LoadOptions,
  'database' | 'role' | 'searchPath' | 'singleTransaction' | 'without'
> {
  /** Of a script of pg_dumpall: which database. */
  readonly part: Extract<SqlScriptOptions['part'], 'whole' | object>;
}

/**
 * Runs a script of plain SQL, with the rows of its COPYs, statement by statement. Stops at the first error. With `singleTransaction`
 * nothing is committed before the source has ended well. Nothing of it is a command for anybody but the server.
 * @throws Failure what `open` throws before all else; SqlRefused, FileDamaged (it ends within a statement or within rows),
 * BackupMissing (it has no such database), LeftTransaction, ObjectConflict, RoleMissing, RestoreFailed …
 */
export async function loadScript(
  tools: Pick<LoadTools, 'server' | 'serverMajor' | 'damaged'>,
  open: (signal: AbortSignal) => Bytes,
  options: ScriptOptions,
  signal: AbortSignal,
  hooks: LoadHooks = {},
): Promise<LoadResult> {
  const { database, role, singleTransaction, part } = options;
  const about: LoadSubject = {
    subject: `the script for database "${database}"`,
    damaged: tools.damaged ?? 'FileDamaged',
  };
  const session = await openLoadSession(tools.server, database, signal);
  const source = readWhole(open(signal), hooks.onBytes);
  const script = readSqlScript(source.bytes, { part, oneTransaction: singleTransaction });
  const leaving = leaveOutStatements(options.without ?? []);
  try {
    const { settingsLeftOut, foundPublic, tablespacesLeftOut } = await loadStatements(session, script, {
      transaction: singleTransaction ? 'commit' : 'none',
      role,
      without: settingsSince(tools.serverMajor),
      withoutTablespaces: options.without?.includes('tablespaces') === true,
      leavesOut: leaving.judge,
      about,
      searchPath: options.searchPath,
      onRefused: hooks.onRefused,
      afterBegin: hooks.afterBegin,
      beforeScript: async (run) => {
        if (singleTransaction) await hooks.beforeLoad?.(openTransaction(session, tools.server, database, run));
      },
      beforeEnd: async (run) => {
        await source.drain();
        if (typeof part === 'object') requireDatabase(part.database, script.databases());
        if (singleTransaction) await hooks.beforeCommit?.(openTransaction(session, tools.server, database, run));
      },
    });
    return {
      notes: [
        ...script.notes(),
        ...leaving.notes(),
        ...settingsLeftOut.map((setting) => `the setting ${setting}, which this server does not know, left out`),
        ...noteTablespaces(tablespacesLeftOut),
        ...(foundPublic ? ['CREATE SCHEMA public left out: the database has it'] : []),
      ],
    };
  } catch (error) {
    if (signal.aborted && !(error instanceof CommitLost)) throw aborted(signal);
    const failure = toFailure(error);
    if (mayBeDamage(failure)) await source.drain();
    throw failure;
  } finally {
    source.leave();
    await session.close();
  }
}

function requireDatabase(database: string, found: readonly string[]): void {
  if (found.includes(database)) return;
  throw new Failure('BackupMissing', `the script has no database ${database}; it has ${found.join(', ')}`);
}

const mostNames = 10;

function noteTablespaces(names: readonly string[]): readonly string[] {
  if (names.length === 0) return [];
  const shown = names.slice(0, mostNames).map((name) => `"${name}"`);
  const more = names.length > mostNames ? ` and ${names.length - mostNames} more` : '';
  return [`in the default tablespace instead of ${shown.join(', ')}${more}`];
}
