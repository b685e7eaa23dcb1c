import { Failure } from '../api/failure.ts';
import type { SqlStatement } from '../pipeline/sql-script.ts';
import { isRefusal, type Refusal } from './refusal.ts';

export interface PassingOptions {
  /** Runs a statement. @throws as `loadStatements` */
  readonly run: (statement: SqlStatement) => Promise<void>;
  /** Runs one of ours. */
  readonly own: (text: string) => Promise<unknown>;
  /** Reads over the rows of the last statement. */
  readonly skipRows: () => Promise<void>;
  /** All is one transaction. */
  readonly isOne: boolean;
  readonly onRefused: (refusal: Refusal) => void;
}

const savepoint = 'pgbackup_statement';
/** A savepoint of ours around one of the script's would end it, or be ended by it. */
const aboutSavepoints: ReadonlySet<string | undefined> = new Set(['savepoint', 'release', 'rollback']);

const rowsOf = /^(?:TABLE DATA|MATERIALIZED VIEW DATA|SEQUENCE SET) ([^\0]+)$/;
const holdsRows = /^(?:FOREIGN TABLE|TABLE|MATERIALIZED VIEW|SEQUENCE) ([^\0]+)$/;

/**
 * Runs statements of which each may be refused: the load goes on behind it. Of an entry whose first statement is refused nothing more is
 * tried, and no rows come into a table that was not made: one that was there before would get them besides its own.
 * @throws Failure what is no refusal; ObjectConflict of a table that is there, when nothing tells which rows are its own
 */
export function passRefusals(options: PassingOptions): (statement: SqlStatement) => Promise<void> {
  const { run, own, skipRows, isOne, onRefused } = options;
  const refusedTables = new Map<string, Failure>();
  let entry: string | undefined;
  let isMade = false;
  let lost = false;

  const attempt = async (statement: SqlStatement): Promise<Failure | undefined> => {
    const isGuarded = isOne && !aboutSavepoints.has(statement.words[0]);
    if (isGuarded) await own(`SAVEPOINT ${savepoint}`);
    let refused: Failure | undefined;
    try {
      await run(statement);
    } catch (error) {
      if (!isRefusal(error) || (isOne && !isGuarded) || isAmbiguous(statement, error.cause.code)) throw error;
      refused = error;
      if (isGuarded) await own(`ROLLBACK TO SAVEPOINT ${savepoint}`);
    }
    if (isGuarded) await own(`RELEASE SAVEPOINT ${savepoint}`);
    return refused;
  };

  return async (statement) => {
    if (statement.entry !== entry) [entry, isMade, lost] = [statement.entry, false, false];
    // What pg_dump sets for the next entry stands before its name.
    const isSetting = statement.words[0] === 'set';
    const table = rowsOf.exec(entry ?? '')?.[1];
    const because = table === undefined ? undefined : refusedTables.get(table);
    if (because !== undefined && !lost && !isSetting) {
      lost = true;
      const failure = new Failure(because.reason, `not loaded, because ${table} was refused`);
      onRefused({ entry, line: statement.line, failure });
    }
    if (lost && !isSetting) return skipRows();
    const failure = await attempt(statement);
    if (failure === undefined) {
      isMade ||= !isSetting;
      return;
    }
    await skipRows();
    onRefused({ entry, line: statement.line, failure });
    if (entry === undefined || isSetting || isMade || table !== undefined) return;
    lost = true;
    const made = holdsRows.exec(entry)?.[1];
    if (made !== undefined) refusedTables.set(made, failure);
  };
}

/** A table that is there already, in a script that does not say whose the rows are that follow. */
function isAmbiguous({ entry, words }: SqlStatement, code: string): boolean {
  return entry === undefined && words[0] === 'create' && code === '42P07';
}
