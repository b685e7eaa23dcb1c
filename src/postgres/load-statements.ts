import type { Bytes } from '../pipeline/bytes.ts';
import { refuseEncoding } from '../pipeline/sql-rules.ts';
import type { SqlScript, SqlStatement } from '../pipeline/sql-script.ts';
import { Failure } from '../api/failure.ts';
import { afterCommit } from './commit-lost.ts';
import { classifyStatement, type StatementPlace } from './classify-statement.ts';
import type { LoadSubject } from './classify-load-end.ts';
import { LeftTransaction } from './left-transaction.ts';
import type { AskLoad } from './load-claim.ts';
import type { Answer, LoadSession } from './load-session.ts';
import { askPublic, isAboutPublic } from './public-schema.ts';
import { askTablespace, readDefaultTablespace, showTablespace } from './default-tablespace.ts';
import { passRefusals } from './pass-refusals.ts';
import { quoteName, quoteText } from './quote.ts';
import type { Refusal } from './refusal.ts';
import { isEmptyPath, setSearchPath } from './search-path.ts';
import { StatementError } from './statement-error.ts';

export interface StatementOptions {
  /** none: transactions are the script's own. commit: all is one. rollback: the same, and it is undone at the end. */
  readonly transaction: 'none' | 'commit' | 'rollback';
  /** SET ROLE before everything. */
  readonly role?: string | undefined;
  /** What the session sets for itself before; values are plain words. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Settings that the server does not know: a SET of them is left out. */
  readonly without: readonly string[];
  /** Everything goes into the default tablespace; else only what would go into one that the server does not have. */
  readonly withoutTablespaces?: boolean;
  /** Whether a statement of the script is left out. */
  readonly leavesOut?: (statement: SqlStatement) => boolean;
  /** DROP SCHEMA public is left out: what is in it is dropped by itself. */
  readonly keepPublic?: boolean;
  readonly about: LoadSubject;
  /** Called when the one transaction has begun, as whoever logged in. */
  readonly afterBegin?: ((ask: AskLoad) => Promise<void>) | undefined;
  /** Called before everything of the script, and behind `afterBegin`. */
  readonly beforeScript?: (run: RunWithin) => Promise<void>;
  /** Instead of the empty one that pg_dump sets. */
  readonly searchPath?: readonly string[] | undefined;
  /** Called when all has run, before the end of the transaction. */
  readonly beforeEnd?: (run: RunWithin) => Promise<void>;
  /** Called for what the server refuses of the script, which goes on. Absent: the first refusal is the end. */
  readonly onRefused?: ((refusal: Refusal) => void) | undefined;
}

/** Runs a script within the load's transaction. @throws as `loadStatements` */
export type RunWithin = (script: SqlScript, about: LoadSubject) => Promise<void>;

export interface StatementsLoaded {
  /** Of `without`, those that the script would have set. */
  readonly settingsLeftOut: readonly string[];
  /** The script would have created the schema public, which was there. */
  readonly foundPublic: boolean;
  /** Names of tablespaces that the script would have used. */
  readonly tablespacesLeftOut: readonly string[];
}

const askXid = 'SELECT pg_catalog.pg_current_xact_id_if_assigned()';

/**
 * Runs a script, statement by statement, and stops at the first error. The server decides what a statement is, whether it has rows, and
 * whether we are still in our transaction: what is read wrongly is an error, and cannot be anything else. Nothing is committed before
 * the script has ended well. Own statements are names of pg_catalog and numbers: no setting of a script changes what they mean.
 * @throws Failure what the script throws; LeftTransaction; CommitLost; ObjectConflict, RoleMissing, ExtensionMissing, RestoreFailed …
 */
export async function loadStatements(
  session: LoadSession,
  script: SqlScript,
  options: StatementOptions,
): Promise<StatementsLoaded> {
  const { about, transaction } = options;
  const isOne = transaction !== 'none';
  const settingsLeftOut = new Set<string>();
  let foundPublic = false;
  const tablespacesLeftOut = new Set<string>();
  const own = async (text: string): Promise<Answer> =>
    runOne(session, [Buffer.from(text)], undefined, about, undefined);
  const askOwn = async (text: string): Promise<string | undefined> => {
    try {
      return await session.ask(text);
    } catch (error) {
      throw classifyStatement(error, about, undefined);
    }
  };

  const found = (): StatementsLoaded => ({
    settingsLeftOut: [...settingsLeftOut],
    foundPublic,
    tablespacesLeftOut: [...tablespacesLeftOut],
  });

  // As scripts are written: one that says nothing means this, and one that sets it is followed.
  await own('SET standard_conforming_strings = on');
  if (isOne) await own('BEGIN');
  if (isOne && options.afterBegin !== undefined) {
    const encoding = session.setting('client_encoding') ?? 'UTF8';
    await own(`SET client_encoding = 'UTF8'`);
    await options.afterBegin(askOwn);
    await own(`SET client_encoding = ${quoteText(encoding)}`);
  }
  const xid = isOne ? await askOwn('SELECT pg_catalog.pg_current_xact_id()') : undefined;

  let last: Answer | undefined;
  /** Whether a statement of the script is left out, or was done otherwise. */
  const doesNotFit = async (statement: SqlStatement): Promise<boolean> => {
    if (options.leavesOut?.(statement) === true) return true;
    if (options.keepPublic === true && isAboutPublic('drop', statement)) return true;
    if (isAboutPublic('create', statement) && (await askOwn(askPublic)) !== undefined) {
      foundPublic = true;
      return true;
    }
    if (options.searchPath !== undefined && isEmptyPath(statement)) {
      last = await own(setSearchPath(options.searchPath));
      return true;
    }
    const tablespace = readDefaultTablespace(statement);
    if (tablespace === undefined) return false;
    const encoding = session.setting('client_encoding') ?? 'UTF8';
    const isThere = options.withoutTablespaces !== true && (await askOwn(askTablespace(tablespace, encoding))) !== '0';
    if (isThere) return false;
    tablespacesLeftOut.add(showTablespace(tablespace));
    last = await own("SET default_tablespace = ''");
    return true;
  };
  const runTheirs = async (from: SqlScript, of: LoadSubject, statement: SqlStatement): Promise<void> => {
    last = await runOne(session, statement.text, statement.rows, of, statement);
    const refused = refuseEncoding(session.setting('client_encoding') ?? '');
    if (refused !== undefined) throw from.refuse(statement.line, refused.what, refused.hint);
    if (isOne) await checkTransaction(last, statement, async () => (await askOwn(askXid)) === xid);
  };
  const runFitting = async (statement: SqlStatement): Promise<void> => {
    if (!(await doesNotFit(statement))) await runTheirs(script, about, statement);
  };
  const { onRefused } = options;
  const skipRows = async (): Promise<void> => script.skipRows();
  const runOfScript =
    onRefused === undefined ? runFitting : passRefusals({ run: runFitting, own, skipRows, isOne, onRefused });
  const runAll = async (from: SqlScript, of: LoadSubject): Promise<void> => {
    for (;;) {
      const statement = await from.next(session.setting('standard_conforming_strings') !== 'off');
      if (statement === undefined) return;
      const unknown = unknownSetting(statement, options.without);
      if (unknown !== undefined) {
        settingsLeftOut.add(unknown);
        continue;
      }
      // What the request says itself is run as it is.
      if (from === script) await runOfScript(statement);
      else await runTheirs(from, of, statement);
    }
  };
  if (options.beforeScript !== undefined) {
    const encoding = session.setting('client_encoding') ?? 'UTF8';
    await options.beforeScript(runAll);
    await own(`SET client_encoding = ${quoteText(encoding)}`);
  }
  if (options.role !== undefined) await own(`SET ROLE ${quoteName(options.role)}`);
  for (const [name, value] of Object.entries(options.settings ?? {})) await own(`SET ${name} = '${value}'`);
  await runAll(script, about);
  await options.beforeEnd?.(runAll);
  if (!isOne) {
    if (last === undefined || last.status === 'none') return found();
    throw new Failure(about.damaged, `${about.subject} ends inside of a transaction that it began: it is undone`);
  }
  const wanted = transaction === 'commit' ? 'COMMIT' : 'ROLLBACK';
  const ended = await own(wanted).catch((error: unknown) => {
    throw transaction === 'commit' ? afterCommit(error, xid) : error;
  });
  if (ended.tag !== wanted || ended.status !== 'none') {
    throw new Failure(
      'RestoreFailed',
      `${about.subject}: the server answered ${ended.tag} to ${wanted}: nothing stays`,
    );
  }
  return found();
}

async function runOne(
  session: LoadSession,
  text: readonly Uint8Array[],
  rows: Bytes | undefined,
  about: LoadSubject,
  statement: SqlStatement | undefined,
): Promise<Answer> {
  const place = (error: StatementError): StatementPlace | undefined =>
    statement && {
      line: statement.line + linesBefore(text, error.position, session.setting('client_encoding') === 'UTF8'),
      entry: statement.entry,
      text,
    };
  try {
    return await session.run(text, rows);
  } catch (error) {
    if (error instanceof StatementError) throw classifyStatement(error, about, place(error));
    if (!(error instanceof Failure) || error.reason !== 'SqlRefused') throw error;
    const where = statement === undefined ? '' : `line ${statement.line}: `;
    throw new Failure('SqlRefused', `${where}${error.message}`, { cause: error });
  }
}

/** Whether we are still in our transaction. COMMIT AND CHAIN, and ROLLBACK AND CHAIN, leave another one behind. */
async function checkTransaction(
  { tag, status }: Answer,
  { line }: SqlStatement,
  isOurs: () => Promise<boolean>,
): Promise<void> {
  if (tag === 'PREPARE TRANSACTION') throw new LeftTransaction(line, 'prepared');
  if (status === 'open' && tag !== 'COMMIT') {
    // That of a savepoint is called the same.
    if (tag !== 'ROLLBACK' || (await isOurs())) return;
    throw new LeftTransaction(line, 'rolled back');
  }
  throw new LeftTransaction(line, tag === 'ROLLBACK' ? 'rolled back' : 'committed');
}

function unknownSetting({ words }: SqlStatement, without: readonly string[]): string | undefined {
  const [first, second] = words;
  return first === 'set' && second !== undefined && without.includes(second) ? second : undefined;
}

const lineFeed = 0x0a;

/** Line feeds before a character (from 1) of a statement. */
function linesBefore(text: readonly Uint8Array[], position: number, isUtf8: boolean): number {
  if (position === 0) return 0;
  let characters = 0;
  let lines = 0;
  for (const piece of text) {
    for (const byte of piece) {
      if (!isUtf8 || (byte & 0xc0) !== 0x80) characters += 1;
      if (characters >= position) return lines;
      if (byte === lineFeed) lines += 1;
    }
  }
  return lines;
}
