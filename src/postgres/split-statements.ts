/** A piece of SQL. `word` is not quoted (a keyword, or a name that needs no quotes), `name` was in double quotes, `text` is a literal. */
export interface Token {
  readonly kind: 'word' | 'name' | 'text' | 'number' | 'mark';
  /** What it means: without quotes, escapes resolved. */
  readonly value: string;
}

const space = /[ \t\r\n\f\v]+/y;
const comment = /--[^\n]*/y;
const backslash = /\\[^\n]*/y;
const name = /"((?:[^"]|"")*)"/y;
const text = /'((?:[^']|'')*)'/y;
const escapedText = /[eE]'((?:[^'\\]|''|\\[\s\S])*)'/y;
const word = /[A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*/y;
const number = /[+-]?[0-9]+(?:\.[0-9]+)?/y;

/**
 * Cuts a script of pg_dumpall's globals into statements, with standard_conforming_strings on. Comments, and lines with commands
 * of psql, are left out. What it cannot read becomes a mark, so that no statement with it is known; never throws.
 */
export function splitStatements(script: string): readonly (readonly Token[])[] {
  const statements: Token[][] = [];
  let tokens: Token[] = [];
  let offset = 0;
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = offset;
    const found = pattern.exec(script);
    if (found === null) return undefined;
    offset = pattern.lastIndex;
    return found[1] ?? found[0];
  };
  while (offset < script.length) {
    if (match(space) !== undefined || match(comment) !== undefined) continue;
    if (tokens.length === 0 && match(backslash) !== undefined) continue;
    if (script[offset] === ';') {
      offset++;
      if (tokens.length > 0) statements.push(tokens);
      tokens = [];
      continue;
    }
    tokens.push(readToken(match) ?? { kind: 'mark', value: script[offset++] ?? '' });
  }
  // A statement without its end was cut off.
  if (tokens.length > 0) statements.push([...tokens, { kind: 'mark', value: '' }]);
  return statements;
}

function readToken(match: (pattern: RegExp) => string | undefined): Token | undefined {
  const escaped = match(escapedText);
  if (escaped !== undefined) return readEscaped(escaped);
  const literal = match(text);
  if (literal !== undefined) return { kind: 'text', value: literal.replaceAll("''", "'") };
  const quoted = match(name);
  if (quoted !== undefined) return { kind: 'name', value: quoted.replaceAll('""', '"') };
  const plain = match(word);
  if (plain !== undefined) return { kind: 'word', value: plain };
  const digits = match(number);
  return digits === undefined ? undefined : { kind: 'number', value: digits };
}

/** pg_dumpall doubles backslashes in E'…' and writes no other escapes. */
function readEscaped(body: string): Token {
  const value = body.replaceAll(/''|\\'|\\\\/g, (pair) => pair.slice(1));
  const others = body.replaceAll(/''|\\'|\\\\/g, '');
  return others.includes('\\') ? { kind: 'mark', value: '\\' } : { kind: 'text', value };
}
