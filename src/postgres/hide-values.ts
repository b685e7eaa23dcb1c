/** A longer line has a value in it. */
const longest = 2000;

/** NOT NULL and CHECK. */
const rowCodes: ReadonlySet<string> = new Set(['23502', '23514']);

/**
 * What the server says, without the values of rows that it quotes: for status, events and verdicts, which more people read than may read
 * the rows. Names (of types, columns, relations, encodings) stay, in English. The texts are those of 15 to 18; the log has them whole.
 */
export function hideValues(message: string): string {
  const [line = ''] = message.split(/[\r\n]/, 1);
  if (line.length > longest) return `${line.slice(0, longest).replace(/"[^\0]*$/, '')}…`;
  if (isTranslated(line)) return line.replace(/["«»„“”「『][^\0]*["«»„“”」』]/, '…');
  return (
    line
      // `invalid input syntax for type integer: "…"`, `malformed array literal: "…"`: the value is the end, and may have quotes itself.
      .replace(/: "[^\0]*$/, ': "…"')
      .replace(/\bout of range: (?!"…")[^\0]*$/, 'out of range: …')
      .replace(/\bvalue "(?:[^\0]*"(?= is out of range\b)|[^\0]*$)/, 'value "…"')
      .replace(/((?:ERROR|FATAL): {1,2}|^)"[^\0]*" (is (?:out of range|not a valid)\b)/, '$1"…" $2')
      .replace(/\b(time zone|invalid symbol|invalid hexadecimal digit) "[^\0]*"/, '$1 "…"')
      // What stands there may be a row that was taken for a statement, or the rest of one.
      .replace(/\b((?:unterminated|trailing junk)[^"]*) at or near "[^\0]*$/, '$1 at or near "…"')
      .replace(/\bat or near "['\d][^\0]*$/, 'at or near "…"')
  );
}

/**
 * Who is no superuser cannot have messages in English (steady-session.ts). What stands in quotes is then hidden from the first to the last,
 * names too: nobody knows which of it is a value.
 */
function isTranslated(line: string): boolean {
  return /[^\0-\x7f]/.test(line.replaceAll(/"[^"]*"/g, '').replace(/"[^\0]*$/, ''));
}

/**
 * The first line of what the server adds to a message. Of keys and rows only the columns stay; what it adds to bad input (class 22) is
 * about the input: nothing stays.
 */
export function hideDetail(detail: string, sqlstate: string): string {
  if (sqlstate.startsWith('22')) return '';
  const [line = ''] = detail.split(/[\r\n]/, 1);
  // A whole row, in whatever language that is said.
  if (rowCodes.has(sqlstate)) return line.replace(/\([^\0]*$/, '(…).');
  return line.replaceAll(/ ?= ?\([^\0]*\)/g, '=(…)');
}
