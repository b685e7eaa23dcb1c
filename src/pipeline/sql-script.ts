import { Failure } from '../api/failure.ts';
import type { Bytes } from './bytes.ts';
import { parsePsqlCommand, psqlCommandName, type PsqlCommand } from './psql-command.ts';
import { countLeftOut } from './sql-left-out.ts';
import { openSqlLexer } from './sql-lexer.ts';
import { collectSqlPieces } from './sql-pieces.ts';
import { refuseSetting, ruleOnTransaction, ruleOnWords, type LeftOut, type Ruling } from './sql-rules.ts';
import type { SqlEvents } from './sql-statement.ts';

export interface SqlScriptOptions {
  /** whole: a script for one database. Of one of pg_dumpall: what stands before the first database, one database, or nothing. */
  readonly part: 'whole' | 'globals' | 'nothing' | { readonly database: string };
  /** All of it will run in one transaction of ours: those of the script are left out. */
  readonly oneTransaction: boolean;
}

export interface SqlScript {
  /**
   * The script without commands of psql and without statements about roles, databases and tablespaces; lines keep their numbers in a
   * whole script. To be read once. Throws instead of ending when the script is cut short.
   * @throws Failure SqlRefused, FileDamaged, and those of the source
   */
  readonly bytes: Bytes;
  /** What was left out, for people. */
  notes(): readonly string[];
  /** Databases that the script connects to, so far. */
  databases(): readonly string[];
}

const dumpHeader = '-- PostgreSQL database dump';
const clusterHeader = '-- PostgreSQL database cluster dump';
const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf]);

/** Reads a script of pg_dump, pg_dumpall or anybody, and hands on what is meant for one database. */
export function readSqlScript(source: Bytes, options: SqlScriptOptions): SqlScript {
  const { part, oneTransaction } = options;
  const pieces = collectSqlPieces();
  const counts = countLeftOut();
  const databases: string[] = [];
  let words: string[] = [];
  let token: string | undefined;
  /** Nothing but comments since the script, or the connection, began. */
  let mayRestrict = true;
  let mustConnect = false;
  let database: string | undefined;
  /** A statement that says something about the database's content was there. */
  let hasContent = false;
  let open: readonly string[] = [];
  let over = false;
  /** The last statement is one without a semicolon: it gets one, so that what follows is another statement. */
  let wantsSemicolon = false;

  const isWanted = (): boolean => {
    if (part === 'whole') return true;
    if (part === 'nothing') return false;
    if (part === 'globals') return database === undefined;
    return database === part.database && !over;
  };
  const countsHere = (): boolean => isWanted() || (typeof part === 'object' && database === undefined);
  const refuse = (offset: number, what: string, hint?: string): Failure =>
    new Failure('SqlRefused', `line ${lexer.lineAt(offset)}: ${what}`, hint === undefined ? {} : { hint });
  const refuseCommand = (offset: number, line: string): Failure =>
    refuse(
      offset,
      `the command ${psqlCommandName(line)} of psql`,
      'make the dump with pg_dump, or take the command out',
    );

  const apply = (ruling: Ruling): boolean => {
    if (ruling === 'more' || ruling === 'check') return ruling === 'more';
    if (ruling !== 'pass' && !isGlobal(ruling.leaveOut)) leaveOut(ruling.leaveOut);
    else pass();
    return false;
  };
  /** What pg_dumpall --globals-only would say; it never drops. */
  const isGlobal = (kind: LeftOut): boolean => part === 'globals' && kind !== 'database' && words[0] !== 'drop';
  const pass = (): void => {
    hasContent = true;
    pieces.pass(isWanted());
  };
  const leaveOut = (kind: LeftOut): void => {
    if (countsHere()) counts.add(kind);
    pieces.leaveOut(isWanted());
  };
  /** Judges the whole statement in [held, at). */
  const judge = (at: number): void => {
    const text = pieces.heldText(at);
    const first = words[0];
    // psql 18 loses count of its answers when an empty statement follows COPY, and then takes statements for rows, without an error.
    if (text === ';') pieces.leaveOut(isWanted());
    if (first === 'set' || first === 'select') {
      const refused = refuseSetting(text);
      if (refused !== undefined) throw refuse(at, refused.what, refused.hint);
    } else if (oneTransaction && ruleOnWords(words) === 'check') {
      const ruling = ruleOnTransaction(text);
      if (ruling === 'refuse') throw refuse(at, `${text.slice(0, 60).trim()} would end the restore’s transaction`);
      if (ruling === 'leave out') leaveOut('transaction');
    }
  };

  const connect = (offset: number, line: string, name: string): void => {
    if (part === 'whole' && (hasContent || (database !== undefined && database !== name))) {
      throw refuseCommand(offset, line);
    }
    if (!databases.includes(name)) databases.push(name);
    database = name;
    over = false;
  };
  const obey = (offset: number, line: string, command: PsqlCommand): void => {
    if (mustConnect && command.kind !== 'connect') throw refuseCommand(offset, line);
    mustConnect = false;
    if (command.kind === 'restrict') {
      if (token !== undefined || !mayRestrict) throw refuseCommand(offset, line);
      token = command.token;
      return;
    }
    if (command.kind === 'unrestrict') {
      if (token !== command.token) throw refuseCommand(offset, line);
      token = undefined;
    } else {
      if (token !== undefined) throw refuseCommand(offset, line);
      if (command.kind === 'encoding') mustConnect = true;
      else connect(offset, line, command.database);
    }
    mayRestrict = true;
  };

  const events: SqlEvents = {
    begin(offset) {
      if (mustConnect) throw refuse(offset, 'a statement behind \\encoding');
      mayRestrict = false;
      words = [];
      pieces.hold(offset);
    },
    word(word) {
      words.push(word);
      return apply(ruleOnWords(words));
    },
    end(offset, hasSemicolon) {
      if (pieces.isHolding()) judge(offset);
      const isLeftOut = pieces.isLeavingOut();
      if (isLeftOut) pieces.drop(offset, isWanted());
      else if (pieces.isHolding()) pieces.pass(isWanted());
      if (!hasSemicolon && !isLeftOut) wantsSemicolon = isWanted();
    },
    command(offset, end, line, insideStatement) {
      const command = insideStatement ? undefined : parsePsqlCommand(line);
      if (command === undefined) throw refuseCommand(offset, line);
      pieces.cut(offset, isWanted());
      pieces.drop(end, false);
      obey(offset, line, command);
    },
    comment(offset, text) {
      const line = text.trimEnd();
      if (line === dumpHeader && open.includes(line)) throw cutShort(line);
      if (line === dumpHeader || line === clusterHeader) open = [...open, line];
      if (line !== `${dumpHeader} complete` && line !== `${clusterHeader} complete`) return;
      open = open.filter((header) => `${header} complete` !== line);
      if (database === undefined) return;
      pieces.cut(offset, isWanted());
      over = true;
    },
  };
  const lexer = openSqlLexer(events);

  const feed = (buffer: Buffer, last: boolean): number => {
    pieces.open(buffer);
    const taken = lexer.feed(buffer, last);
    const [unfinished] = open;
    if (last && unfinished !== undefined) throw cutShort(unfinished);
    if (!pieces.close(taken, isWanted())) return taken;
    // It has no words that decide, but a long literal.
    if (ruleOnWords(words) === 'check') throw refuse(taken, 'a statement that is too long to be judged');
    pass();
    return taken;
  };

  async function* read(): AsyncGenerator<Uint8Array, void, void> {
    let rest: Buffer = Buffer.alloc(0);
    let lastByte: number | undefined = 0x0a;
    for await (const chunk of withoutByteOrderMark(source)) {
      const buffer = rest.length === 0 ? asBuffer(chunk) : Buffer.concat([rest, chunk]);
      rest = buffer.subarray(feed(buffer, false));
      for (const piece of pieces.take()) {
        lastByte = piece.at(-1);
        yield piece;
      }
      if (part === 'globals' && database !== undefined) return;
    }
    feed(rest, true);
    for (const piece of pieces.take()) {
      lastByte = piece.at(-1);
      yield piece;
    }
    // `\.` counts only as a whole line.
    if (lastByte !== 0x0a) yield Buffer.from('\n');
    if (wantsSemicolon) yield Buffer.from(';\n');
  }

  return { bytes: read(), notes: () => counts.notes(), databases: () => databases };
}

function cutShort(header: string): Failure {
  return new Failure('FileDamaged', `the script is cut short: its line “${header} complete” is missing`, {
    hint: 'take a file that was uploaded as a whole, made by a pg_dump that ended well',
  });
}

async function* withoutByteOrderMark(source: Bytes): AsyncGenerator<Uint8Array, void, void> {
  let head: Buffer | undefined = Buffer.alloc(0);
  for await (const chunk of source) {
    if (head === undefined) {
      yield chunk;
      continue;
    }
    head = Buffer.concat([head, chunk]);
    if (head.length < byteOrderMark.length) continue;
    yield head.subarray(head.subarray(0, 3).equals(byteOrderMark) ? 3 : 0);
    head = undefined;
  }
  if (head !== undefined && head.length > 0) yield head;
}

function asBuffer(chunk: Uint8Array): Buffer {
  return Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}
