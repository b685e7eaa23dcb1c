/** What a buffer holds of the rows of a COPY. */
export interface CopyPiece {
  /** So many of its first bytes are rows. */
  readonly rows: number;
  /** So many are understood; the others are to come again in front of the next buffer. */
  readonly taken: number;
  /** The line `\.` was found: it ends the rows, and belongs to what is taken. */
  readonly done: boolean;
  /** Whether what follows is the beginning of a line. */
  readonly atLineStart: boolean;
}

const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const backslash = 0x5c;
const dot = 0x2e;
const endMark = Buffer.from('\n\\.');

/** Finds the end of COPY's rows as psql does: a line of just `\.`, whatever the format. At the very end its line feed may be missing. */
export function cutCopyRows(buffer: Buffer, atLineStart: boolean, last: boolean): CopyPiece {
  const end = buffer.length;
  let mark = atLineStart && buffer[0] === backslash ? 0 : findMark(buffer, 0);
  while (mark !== -1) {
    const found = readMark(buffer, mark, last);
    if (found === 'wait') return { rows: mark, taken: mark, done: false, atLineStart: true };
    if (found !== 'none') return { rows: mark, taken: found, done: true, atLineStart: true };
    mark = findMark(buffer, mark);
  }
  // Its second byte may be the first one of what follows.
  const half = !last && buffer[end - 1] === backslash && buffer[end - 2] === lineFeed;
  const taken = half ? end - 1 : end;
  const startsLine = taken === 0 ? atLineStart : buffer[taken - 1] === lineFeed;
  return { rows: taken, taken, done: false, atLineStart: startsLine };
}

function findMark(buffer: Buffer, from: number): number {
  const found = buffer.indexOf(endMark, from);
  return found === -1 ? -1 : found + 1;
}

/** The offset behind the line `\.` at `mark`, if it is one. */
function readMark(buffer: Buffer, mark: number, last: boolean): number | 'wait' | 'none' {
  const missing = last ? buffer.length : 'wait';
  if (mark + 1 === buffer.length) return last ? 'none' : 'wait';
  if (buffer[mark + 1] !== dot) return 'none';
  if (mark + 2 === buffer.length) return missing;
  if (buffer[mark + 2] === lineFeed) return mark + 3;
  if (buffer[mark + 2] !== carriageReturn) return 'none';
  if (mark + 3 === buffer.length) return missing;
  return buffer[mark + 3] === lineFeed ? mark + 4 : 'none';
}
