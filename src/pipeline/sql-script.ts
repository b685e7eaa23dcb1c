import { Failure } from '../api/failure.ts';
import type { Bytes } from './bytes.ts';
import { countLines } from './sql-bytes.ts';
import type { SqlScriptOptions } from './sql-script-options.ts';
import { trackSections } from './sql-sections.ts';
import { countLeftOut } from './sql-left-out.ts';
import { openSqlLexer } from './sql-lexer.ts';
import {
  mayBeAboutTransaction,
  refuseSetting,
  endsTransactionHint,
  ruleOnTransaction,
  ruleOnWords,
  type LeftOut,
  type Ruling,
} from './sql-rules.ts';
import type { SqlEvents } from './sql-statement.ts';
import { withoutByteOrderMark } from './byte-order-mark.ts';

export interface SqlStatement {
  /** As it stands in the script, with its semicolon if it has one; never empty. */
  readonly text: readonly Uint8Array[];
  readonly bytes: number;
  /** Where it begins in the script. */
  readonly line: number;
  /** Its first words, in lower case; `"` stands for a quoted name. At least three, if it has them. */
  readonly words: readonly string[];
  /** What pg_dump says of it: the last `-- Name:` before it. */
  readonly entry: string | undefined;
  /** COPY … FROM stdin: what follows it, to be read to its end before the next statement. */
  readonly rows: Bytes | undefined;
}

export interface SqlScript {
  /**
   * The next statement of what is wanted, without commands of psql and without what is left out; undefined at the end. To be asked
   * when the one before has run: its settings decide how this one is read. `conforming`: standard_conforming_strings, as it is now.
   * @throws Failure SqlRefused, FileDamaged (cut short), and those of the source
   */
  next(conforming?: boolean): Promise<SqlStatement | undefined>;
  /** Reads over what was not read of the last statement's rows: the server did not take it. */
  skipRows(): Promise<void>;
  /** What was left out, for people. */
  notes(): readonly string[];
  /** Databases that the script connects to, so far. */
  databases(): readonly string[];
  /** A failure of the script itself, at a line of it. */
  refuse(line: number, what: string, hint?: string): Failure;
}

/** A statement is held whole, for its length goes before it. PostgreSQL itself takes 1 GiB. */
export const longestStatement = 256 * 1024 * 1024;
/** SETs that are only read over. */
const longestJudged = 1024;
const mostWords = 64;

/** Reads a script of pg_dump, pg_dumpall or anybody, and hands on what is meant for one database, statement by statement. */
export function readSqlScript(source: Bytes, options: SqlScriptOptions): SqlScript {
  const { oneTransaction, ofOurOwn = false, takesAll = ofOurOwn } = options;
  const counts = countLeftOut();
  const chunks = withoutByteOrderMark(source)[Symbol.asyncIterator]();
  const refuse = (line: number, what: string, hint?: string): Failure =>
    new Failure('SqlRefused', `line ${line}: ${what}`, hint === undefined ? {} : { hint });
  const sections = trackSections(options.part, refuse);

  let buffer: Buffer = Buffer.alloc(0);
  let final = false;
  let isOpen = false;
  let words: string[] = [];
  let decided = false;
  let leaving: LeftOut | undefined;
  let line = 0;
  /** Of the open statement, up to `heldFrom` of the buffer; as long as it is wanted, or may have to be judged. */
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  let heldFrom = 0;
  let isHeld = false;
  let ready: Omit<SqlStatement, 'rows'> | undefined;
  /** A COPY that was handed out, and whose rows are not read to their end. */
  let owing = false;

  const keep = (to: number): void => {
    if (!isHeld || to <= heldFrom) return;
    held.push(buffer.subarray(heldFrom, to));
    heldBytes += to - heldFrom;
    heldFrom = to;
    if (heldBytes > longestStatement) {
      const size = longestStatement / 1024 / 1024;
      throw refuse(
        line,
        `a statement of more than ${size} MiB`,
        'make the dump without --inserts, or as an archive (-Fc)',
      );
    }
    if (!sections.isWanted() && heldBytes > longestJudged) drop();
  };
  const drop = (): void => {
    isHeld = false;
    held = [];
    heldBytes = 0;
  };
  /** What pg_dumpall --globals-only would say; it never drops. */
  const isGlobal = (kind: LeftOut): boolean => options.part === 'globals' && kind !== 'database' && words[0] !== 'drop';
  const leaveOut = (kind: LeftOut): void => {
    if (sections.countsHere()) counts.add(kind);
    leaving = kind;
    drop();
  };
  const apply = (ruling: Ruling): void => {
    if (ruling === 'more' && words.length < mostWords) return;
    decided = true;
    if (ruling !== 'pass' && ruling !== 'more' && !takesAll && !isGlobal(ruling.leaveOut)) leaveOut(ruling.leaveOut);
  };
  const judgeWhole = (at: number): void => {
    if (!sections.isWanted() && words[0] === 'set' && isHeld) {
      keep(at);
      const refused = refuseSetting(Buffer.concat(held).toString('latin1'));
      if (refused !== undefined) throw refuse(lexer.lineAt(at), refused.what, refused.hint);
    }
    if (!oneTransaction) return;
    const ruling = ruleOnTransaction(words);
    if (ruling === 'refuse') {
      const statement = words.join(' ').slice(0, 60);
      throw refuse(lexer.lineAt(at), `${statement} would end the restore’s transaction`, endsTransactionHint);
    }
    if (ruling === 'leave out') leaveOut('transaction');
  };

  const events: SqlEvents = {
    begin(offset) {
      sections.beginStatement(() => lexer.lineAt(offset));
      isOpen = true;
      words = [];
      decided = false;
      leaving = undefined;
      held = [];
      heldBytes = 0;
      heldFrom = offset;
      isHeld = true;
      line = lexer.lineAt(offset);
    },
    word(word) {
      words.push(word);
      if (!decided) apply(ruleOnWords(words));
      const wantsAll = oneTransaction && mayBeAboutTransaction(words[0] ?? '') && words.length < mostWords;
      return !decided || wantsAll || words.length < 3;
    },
    end(offset, copies) {
      isOpen = false;
      if (leaving === undefined) judgeWhole(offset);
      const isEmpty = words.length === 0 && heldBytes === 0 && offset === heldFrom + 1 && buffer[heldFrom] === 0x3b;
      if (leaving === undefined && !isEmpty) {
        if (isContent(words)) sections.passStatement();
        if (sections.isWanted()) {
          keep(offset);
          ready = { text: held, bytes: heldBytes, line, words, entry: sections.entry() };
        }
      }
      skipping = copies && ready === undefined;
      drop();
    },
    command(offset, _end, text, insideStatement) {
      sections.command(lexer.lineAt(offset), text, insideStatement);
    },
    comment(_offset, text) {
      sections.comment(text.trimEnd());
    },
  };
  let skipping = false;
  const lexer = openSqlLexer(events);

  const more = async (): Promise<void> => {
    const next = await chunks.next();
    if (next.done === true) {
      final = true;
      return;
    }
    const chunk = asBuffer(next.value);
    const zero = chunk.indexOf(0);
    if (zero !== -1) {
      const at = lexer.lineAt(0) + countLines(buffer, 0, buffer.length) + countLines(chunk, 0, zero);
      throw new Failure('FileDamaged', `line ${at}: a zero byte, which no SQL text has`);
    }
    buffer = buffer.length === 0 ? chunk : Buffer.concat([buffer, chunk]);
  };
  async function* readRows(): AsyncGenerator<Uint8Array, void, void> {
    for (;;) {
      const { rows, taken, done } = lexer.feedRows(buffer, final);
      const piece = buffer.subarray(0, rows);
      buffer = buffer.subarray(taken);
      if (done) owing = false;
      if (piece.length > 0) yield piece;
      if (done) return;
      await more();
    }
  }
  const handOut = (statement: Omit<SqlStatement, 'rows'>): SqlStatement => {
    ready = undefined;
    owing = lexer.inRows();
    return { ...statement, rows: owing ? readRows() : undefined };
  };

  return {
    refuse,
    async next(conforming = true) {
      if (owing) throw new Failure('Internal', 'the rows of a COPY were not read to their end');
      lexer.setConforming(conforming);
      for (;;) {
        if (lexer.inRows() && skipping) for await (const _row of readRows());
        heldFrom = 0;
        const atEnd = final && buffer.length === 0;
        const taken = lexer.feed(buffer, final);
        if (isOpen) keep(taken);
        buffer = buffer.subarray(taken);
        if (ready !== undefined && (lexer.inRows() || !lexer.expectsRows())) return handOut(ready);
        if (options.part === 'globals' && sections.isConnected()) {
          await chunks.return?.();
          return undefined;
        }
        if (atEnd && !lexer.inRows()) {
          sections.end(ofOurOwn);
          return undefined;
        }
        if ((taken === 0 || buffer.length === 0) && !final) await more();
      }
    },
    async skipRows() {
      if (owing) for await (const _row of readRows());
    },
    notes: () => counts.notes(),
    databases: () => sections.databases(),
  };
}

/** What a script hands on, as a text again. */
export async function* textOf(script: SqlScript): AsyncGenerator<Uint8Array, void, void> {
  for (;;) {
    const statement = await script.next();
    if (statement === undefined) return;
    yield* statement.text;
    yield Buffer.from('\n');
    if (statement.rows !== undefined) {
      yield* statement.rows;
      yield Buffer.from('\\.\n');
    }
  }
}

/** Settings and the like come before a \connect, too. */
function isContent([first = '', second, third]: readonly string[]): boolean {
  if (first === 'set' || mayBeAboutTransaction(first)) return false;
  return first !== 'select' || second !== 'pg_catalog' || third !== 'set_config';
}

function asBuffer(chunk: Uint8Array): Buffer {
  return Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}
