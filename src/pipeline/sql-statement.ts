import { trackSqlWords } from './sql-words.ts';

/**
 * What the lexer tells, in the order of the script. Offsets are those of the buffer that is being fed.
 * A statement is what is sent at once, as by psql: up to a semicolon that is not in parentheses or in a routine's BEGIN … END.
 */
export interface SqlEvents {
  /** The first byte of a statement. */
  begin(offset: number): void;
  /** A word of it outside of parentheses: in lower case, or `"` for a quoted name. True: tell the next one too. */
  word(word: string): boolean;
  /** Behind its semicolon, or at the end of the script where it has none. `copies`: rows follow. */
  end(offset: number, copies: boolean): void;
  /** A command of psql: the line from its backslash on, without the line's end. */
  command(offset: number, end: number, text: string, insideStatement: boolean): void;
  /** A line comment between statements: its first bytes, with the dashes. */
  comment(offset: number, text: string): void;
}

/** The statement that is being read. */
export interface SqlStatement {
  isOpen(): boolean;
  /** Opens one at `at`, unless one is open. */
  begin(at: number): void;
  /** The same at something that is no word. */
  part(at: number): void;
  /** An unquoted name in [start, end) of the buffer. */
  word(buffer: Buffer, start: number, end: number): void;
  quotedName(at: number): void;
  parenthesis(at: number, opens: boolean): void;
  /** `behind` the semicolon. Tells whether it ended the statement, and whether COPY's rows follow. */
  semicolon(behind: number): 'inside' | 'ended' | 'rows';
  /** Whether rows will have to follow, as far as it is read. */
  copies(): boolean;
  /** Ends it without a semicolon. */
  cutOff(at: number): void;
}

const longestWord = 63;

export function trackSqlStatement(events: SqlEvents): SqlStatement {
  const words = trackSqlWords();
  let isOpen = false;
  let asking = false;
  let parentheses = 0;

  /** The word before, which often comes again: making strings is what costs here. */
  let sameBytes: Buffer = Buffer.alloc(0);
  let sameWord = '';

  const readWord = (buffer: Buffer, start: number, end: number): string => {
    if (end - start > longestWord) return '-';
    if (isSame(buffer, start, end, sameBytes)) return sameWord;
    sameBytes = Buffer.from(buffer.subarray(start, end));
    sameWord = sameBytes.toString('latin1').toLowerCase();
    return sameWord;
  };
  const begin = (at: number): void => {
    if (isOpen) return;
    isOpen = true;
    asking = true;
    parentheses = 0;
    words.start();
    events.begin(at);
  };
  const part = (at: number): void => {
    begin(at);
    words.part();
  };
  const tell = (word: string): void => {
    if (asking && parentheses === 0) asking = events.word(word);
  };
  const end = (at: number, copies: boolean): void => {
    isOpen = false;
    events.end(at, copies);
  };

  return {
    isOpen: () => isOpen,
    begin,
    part,
    word(buffer, start, to) {
      begin(start);
      if (!asking && !words.matters()) return;
      const word = readWord(buffer, start, to);
      words.take(word, parentheses > 0);
      tell(word);
    },
    quotedName(at) {
      part(at);
      tell('"');
    },
    parenthesis(at, opens) {
      part(at);
      if (opens) parentheses += 1;
      else if (parentheses > 0) parentheses -= 1;
    },
    semicolon(behind) {
      part(behind - 1);
      if (parentheses > 0 || words.insideBlock()) return 'inside';
      const copies = words.copiesFromStdin();
      end(behind, copies);
      return copies ? 'rows' : 'ended';
    },
    copies: () => words.copiesFromStdin(),
    cutOff: (at) => end(at, false),
  };
}

function isSame(buffer: Buffer, start: number, end: number, bytes: Buffer): boolean {
  if (end - start !== bytes.length) return false;
  for (let at = 0; at < bytes.length; at += 1) if (buffer[start + at] !== bytes[at]) return false;
  return true;
}
