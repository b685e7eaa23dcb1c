import { Failure } from '../api/failure.ts';
import {
  byteKind,
  byteKinds,
  countLines,
  endOfBlanks,
  endOfDigits,
  endOfName,
  endOfNumber,
  endOfTag,
  findLineEnd,
  isNumber,
} from './sql-bytes.ts';
import { cutCopyRows, type CopyPiece } from './sql-copy.ts';
import { trackBlockComment, trackEscapeString } from './sql-literals.ts';
import { type SqlEvents, trackSqlStatement } from './sql-statement.ts';

export interface SqlLexer {
  /**
   * Takes what can be understood without what follows, at most up to the end of a statement or to where rows begin; returns how many
   * bytes that were. The rest is to come again in front of the next buffer. With `last` all is taken, piece by piece: when nothing is
   * left, an empty buffer is the end. @throws Failure SqlRefused, FileDamaged, and what the events throw
   */
  feed(buffer: Buffer, last: boolean): number;
  /** Rows of COPY come next: they are read by `feedRows` until it is done. */
  inRows(): boolean;
  /** The same, or as soon as the line with the COPY is read to its end. */
  expectsRows(): boolean;
  feedRows(buffer: Buffer, last: boolean): CopyPiece;
  /** standard_conforming_strings, as the server has it: whether a backslash is a letter in '…'. */
  setConforming(conforming: boolean): void;
  /** Number of the line in which `offset` of the buffer that is being fed lies. */
  lineAt(offset: number): number;
}

type Place = 'sql' | 'quote' | 'escape-quote' | 'name' | 'block' | 'line' | 'dollar' | 'behind-copy' | 'copy';

const whereItEnds: Readonly<Partial<Record<Place, string>>> = {
  quote: 'a string',
  'escape-quote': 'a string',
  name: 'a quoted name',
  block: 'a comment',
  dollar: 'a dollar-quoted string',
  'behind-copy': 'a COPY',
  copy: 'the rows of a COPY',
};

const longestWord = 64 * 1024;
const [shownLine, shownComment] = [4096, 300];

/**
 * Cuts a script: what is a literal, where a statement ends, where COPY's rows begin and end, and where a backslash is a command of
 * psql. Each statement goes to the server alone, which reads it again: what is cut wrongly here is an error there, and nothing else.
 */
export function openSqlLexer(events: SqlEvents): SqlLexer {
  const statement = trackSqlStatement(events);
  const [escapeString, comment] = [trackEscapeString(), trackBlockComment()];
  let place: Place = 'sql';
  let buffer: Buffer = Buffer.alloc(0);
  let linesBefore = 0;
  let final = false;
  /** What begins at the place where a reading stopped is not whole. */
  let waiting = false;
  /** A statement has ended: its settings may change how the next one is read. */
  let stopped = false;
  let conforming = true;
  let atLineStart = true;
  let dollarTag: Buffer = Buffer.alloc(0);
  /** Behind E'…': directly, after blanks, or after a line's end, where a quote goes on with it. */
  let behindEscape: 'no' | 'directly' | 'blank' | 'line' = 'no';

  const lineAt = (offset: number): number => linesBefore + countLines(buffer, 0, offset) + 1;
  const refuse = (at: number, what: string): Failure => new Failure('SqlRefused', `line ${lineAt(at)}: ${what}`);
  const ambiguous = (at: number, what: string): Failure => refuse(at, `${what}, which not every server reads alike`);

  const waitAt = (at: number): number => {
    if (buffer.length - at > longestWord) throw refuse(at, 'a word of more than 64 KiB');
    waiting = true;
    return at;
  };
  const isWaiting = (): boolean => waiting || stopped;
  const inRows = (): boolean => place === 'copy';
  /** The beginning of something that is no word. */
  const beginPart = (at: number): void => {
    behindEscape = 'no';
    statement.part(at);
  };
  const enter = (next: Place, at: number): number => {
    place = next;
    return at;
  };
  const enterEscapeString = (at: number): number => {
    escapeString.start();
    return enter('escape-quote', at);
  };

  const readLetter = (at: number, byte: number): number => {
    const to = endOfName(buffer, at + 1);
    if (to === buffer.length && !final) return waitAt(at);
    if (to === at + 1 && (byte | 0x20) === 0x65 && buffer[to] === 0x27) {
      beginPart(at);
      return enterEscapeString(to + 1);
    }
    behindEscape = 'no';
    statement.word(buffer, at, to);
    return to;
  };
  const readDigit = (at: number): number => {
    const to = endOfNumber(buffer, at + 1);
    if (to === buffer.length && !final) return waitAt(at);
    if (!isNumber(buffer, at, to)) throw ambiguous(at, 'a number that runs into a word');
    beginPart(at);
    return to;
  };
  const readDollar = (at: number): number => {
    const digits = endOfDigits(buffer, at + 1);
    const to = digits > at + 1 ? digits : endOfTag(buffer, at + 1);
    if (to === buffer.length && !final) return waitAt(at);
    beginPart(at);
    if (digits > at + 1) {
      if (byteKinds[buffer[to] ?? 0] === byteKind.letter) throw ambiguous(at, 'a parameter that runs into a word');
      return to;
    }
    if (buffer[to] !== 0x24) return at + 1;
    dollarTag = Buffer.from(buffer.subarray(at, to + 1));
    return enter('dollar', to + 1);
  };
  const readComment = (at: number): number => {
    if (statement.isOpen()) return enter('line', at + 2);
    const end = findLineEnd(buffer, at);
    if (end === -1 && !final && buffer.length - at < shownComment) return waitAt(at);
    events.comment(at, buffer.toString('utf8', at, Math.min(end === -1 ? buffer.length : end, at + shownComment)));
    return enter('line', at + 2);
  };
  const readCommand = (at: number): number => {
    const feed = buffer.indexOf(0x0a, at);
    if (feed === -1 && !final && buffer.length - at < shownLine) return waitAt(at);
    const end = feed === -1 ? buffer.length : feed;
    events.command(at, end, buffer.toString('utf8', at, Math.min(end, at + shownLine)), statement.isOpen());
    behindEscape = 'no';
    return end;
  };
  const readQuote = (at: number): number => {
    if (behindEscape === 'directly' || behindEscape === 'line') return enterEscapeString(at + 1);
    beginPart(at);
    return conforming ? enter('quote', at + 1) : enterEscapeString(at + 1);
  };
  const readBlank = (at: number, kind: number): number => {
    if (kind !== byteKind.space) behindEscape = 'line';
    else if (behindEscape === 'directly') behindEscape = 'blank';
    return at + 1;
  };
  const readDashOrSlash = (at: number, kind: number): number => {
    if (at + 1 === buffer.length && !final) return waitAt(at);
    const next = buffer[at + 1];
    if (kind === byteKind.dash && next === 0x2d) {
      if (behindEscape === 'directly') behindEscape = 'blank';
      return readComment(at);
    }
    if (kind === byteKind.slash && next === 0x2a) {
      behindEscape = 'no';
      comment.start();
      return enter('block', at + 2);
    }
    beginPart(at);
    return at + 1;
  };
  /** Outside of literals, until the place changes or the next token is not whole. */
  const readSql = (start: number): number => {
    let at = start;
    while (at < buffer.length && place === 'sql' && !isWaiting()) {
      const byte = buffer[at] ?? 0;
      const kind = byteKinds[byte] ?? 0;
      switch (kind) {
        case byteKind.space:
        case byteKind.lineFeed:
        case byteKind.carriageReturn:
          at = behindEscape === 'no' ? at + 1 : readBlank(at, kind);
          break;
        case byteKind.letter:
          at = readLetter(at, byte);
          break;
        case byteKind.digit:
          at = readDigit(at);
          break;
        case byteKind.quote:
          at = readQuote(at);
          break;
        case byteKind.doubleQuote:
          behindEscape = 'no';
          statement.quotedName(at);
          at = enter('name', at + 1);
          break;
        case byteKind.dash:
        case byteKind.slash:
          at = readDashOrSlash(at, kind);
          break;
        case byteKind.dollar:
          at = readDollar(at);
          break;
        case byteKind.open:
        case byteKind.close:
          behindEscape = 'no';
          statement.parenthesis(at, kind === byteKind.open);
          at += 1;
          break;
        case byteKind.semicolon:
          behindEscape = 'no';
          at += 1;
          if (statement.semicolon(at) === 'rows') place = 'behind-copy';
          else stopped = !statement.isOpen();
          break;
        case byteKind.backslash:
          at = readCommand(at);
          break;
        default:
          beginPart(at);
          at += 1;
      }
    }
    return at;
  };

  const readUntil = (found: number, length: number): number =>
    found === -1 ? buffer.length : enter('sql', found + length);
  const readDollarQuote = (at: number): number => {
    const found = buffer.indexOf(dollarTag, at);
    if (found !== -1 || final) return readUntil(found, dollarTag.length);
    waiting = true;
    // Its first bytes may be the last ones here.
    return Math.max(at, buffer.length - dollarTag.length + 1);
  };
  const readBehindCopy = (start: number): number => {
    const at = endOfBlanks(buffer, start);
    if (at === buffer.length) return at;
    if (buffer[at] !== 0x0a) throw ambiguous(at, 'something behind COPY … FROM stdin on the same line');
    atLineStart = true;
    return enter('copy', at + 1);
  };

  const readOn = (at: number): number => {
    switch (place) {
      case 'sql':
        return readSql(at);
      case 'quote':
        return readUntil(buffer.indexOf(0x27, at), 1);
      case 'name':
        return readUntil(buffer.indexOf(0x22, at), 1);
      case 'escape-quote':
        // Counts only when the end is found.
        behindEscape = 'directly';
        return readUntil(escapeString.findEnd(buffer, at), 0);
      case 'line':
        return readUntil(findLineEnd(buffer, at), 0);
      case 'block':
        return readUntil(comment.findEnd(buffer, at), 0);
      case 'dollar':
        return readDollarQuote(at);
      default:
        return readBehindCopy(at);
    }
  };

  const finish = (): void => {
    const where = statement.isOpen() && statement.copies() ? 'a COPY' : whereItEnds[place];
    if (where !== undefined) {
      throw new Failure('FileDamaged', `the script ends inside of ${where} (line ${lineAt(buffer.length)})`);
    }
    if (statement.isOpen()) statement.cutOff(buffer.length);
  };

  return {
    lineAt,
    inRows,
    expectsRows: () => inRows() || place === 'behind-copy',
    setConforming(on) {
      conforming = on;
    },
    feed(given, last) {
      buffer = given;
      final = last;
      waiting = false;
      stopped = false;
      let at = 0;
      while (at < given.length && !inRows() && !isWaiting()) at = readOn(at);
      if (last && at === given.length && !isWaiting()) finish();
      linesBefore += countLines(given, 0, at);
      return at;
    },
    feedRows(given, last) {
      const piece = cutCopyRows(given, atLineStart, last);
      ({ atLineStart } = piece);
      linesBefore += countLines(given, 0, piece.taken);
      buffer = given.subarray(piece.taken);
      if (piece.done) place = 'sql';
      else if (last) finish();
      return piece;
    },
  };
}
