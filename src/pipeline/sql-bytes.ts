/** Classes of bytes outside of literals, as the server's scanner has them. */
export const byteKind = {
  other: 0,
  space: 1,
  lineFeed: 2,
  letter: 3,
  digit: 4,
  quote: 5,
  doubleQuote: 6,
  dash: 7,
  slash: 8,
  dollar: 9,
  open: 10,
  close: 11,
  semicolon: 12,
  backslash: 13,
  carriageReturn: 14,
} as const;

export const byteKinds: Uint8Array = classify();

function classify(): Uint8Array {
  const kinds = new Uint8Array(256);
  for (let code = 0; code < 256; code += 1) {
    const char = String.fromCharCode(code);
    // Every byte of a character that is not ASCII may be part of a name.
    if (/[A-Za-z_]/.test(char) || code >= 0x80) kinds[code] = byteKind.letter;
    else if (/[0-9]/.test(char)) kinds[code] = byteKind.digit;
  }
  for (const [char, kind] of [
    [' ', byteKind.space],
    ['\t', byteKind.space],
    ['\f', byteKind.space],
    ['\v', byteKind.space],
    ['\n', byteKind.lineFeed],
    ['\r', byteKind.carriageReturn],
    ["'", byteKind.quote],
    ['"', byteKind.doubleQuote],
    ['-', byteKind.dash],
    ['/', byteKind.slash],
    ['$', byteKind.dollar],
    ['(', byteKind.open],
    [')', byteKind.close],
    [';', byteKind.semicolon],
    ['\\', byteKind.backslash],
  ] as const) {
    kinds[char.charCodeAt(0)] = kind;
  }
  return kinds;
}

/** Where the bytes that may go on a name end; a dollar is one of them. */
export function endOfName(buffer: Uint8Array, start: number): number {
  let at = start;
  for (; at < buffer.length; at += 1) {
    const byte = buffer[at] ?? 0;
    const kind = byteKinds[byte];
    if (kind !== byteKind.letter && kind !== byteKind.digit && byte !== 0x24) break;
  }
  return at;
}

/** Letters and digits only: a dollar quote's tag. */
export function endOfTag(buffer: Uint8Array, start: number): number {
  let at = start;
  for (; at < buffer.length; at += 1) {
    const kind = byteKinds[buffer[at] ?? 0];
    if (kind !== byteKind.letter && kind !== byteKind.digit) break;
  }
  return at;
}

export function endOfDigits(buffer: Uint8Array, start: number): number {
  let at = start;
  while (at < buffer.length && byteKinds[buffer[at] ?? 0] === byteKind.digit) at += 1;
  return at;
}

/** Blanks but line feeds. */
export function endOfBlanks(buffer: Uint8Array, start: number): number {
  let at = start;
  for (; at < buffer.length; at += 1) {
    const kind = byteKinds[buffer[at] ?? 0];
    if (kind !== byteKind.space && kind !== byteKind.carriageReturn) break;
  }
  return at;
}

/** A number with all that runs into it, points too. */
export function endOfNumber(buffer: Uint8Array, start: number): number {
  let at = start;
  for (; at < buffer.length; at += 1) {
    const byte = buffer[at] ?? 0;
    const kind = byteKinds[byte];
    if (kind !== byteKind.digit && kind !== byteKind.letter && byte !== 0x2e) break;
  }
  return at;
}

const plainNumber = /^(?:[0-9][0-9_.]*(?:e[0-9_]+)?|0x[0-9a-f_]+|0o[0-7_]+|0b[01_]+)$/i;

/** Whether every server takes [start, end) for one number. */
export function isNumber(buffer: Buffer, start: number, end: number): boolean {
  if (endOfDigits(buffer, start) === end) return true;
  const text = buffer.toString('latin1', start, end);
  if (/^[0-9.]+$/.test(text)) return true;
  const next = buffer[end];
  // Before version 16 an underscore or a second letter began a name, which takes a dollar or a quote with it.
  if (next === 0x24 || next === 0x27 || next === 0x22) return false;
  return plainNumber.test(text) || (/^[0-9.]+e$/i.test(text) && (next === 0x2b || next === 0x2d));
}

/** The first line end of either kind, or -1: a line comment ends there. */
export function findLineEnd(buffer: Buffer, start: number): number {
  const feed = buffer.indexOf(0x0a, start);
  const found = buffer.subarray(start, feed === -1 ? buffer.length : feed).indexOf(0x0d);
  return found === -1 ? feed : start + found;
}

/** Line feeds in [start, end). Rows go through here: the native search is much faster than a loop. */
export function countLines(buffer: Buffer, start: number, end: number): number {
  const part = buffer.subarray(start, end);
  let lines = 0;
  for (let at = part.indexOf(0x0a); at !== -1; at = part.indexOf(0x0a, at + 1)) lines += 1;
  return lines;
}
