/** A command of psql that a dump may have. */
export type PsqlCommand =
  | { readonly kind: 'restrict'; readonly token: string }
  | { readonly kind: 'unrestrict'; readonly token: string }
  | { readonly kind: 'connect'; readonly database: string }
  | { readonly kind: 'encoding' };

const restriction = /^\\(restrict|unrestrict) ([A-Za-z0-9]+)[ \t]*\r?$/;
const connection = /^\\(?:connect|c) (.+?)[ \t]*\r?$/;
const plainName = /^[^\s"'\\|=-][^\s"'\\|=]*$/;
const connectionText = /^-reuse-previous=on "dbname='((?:[^'\\"]|\\['\\]|"")*)'"$/;

/** Understands what pg_dump and pg_dumpall write, letter for letter; anything else is undefined. */
export function parsePsqlCommand(line: string): PsqlCommand | undefined {
  const restricted = restriction.exec(line);
  if (restricted !== null) {
    return { kind: restricted[1] === 'restrict' ? 'restrict' : 'unrestrict', token: restricted[2] ?? '' };
  }
  // Written before a \connect whose name is not plain.
  if (/^\\encoding SQL_ASCII\r?$/.test(line)) return { kind: 'encoding' };
  const connected = connection.exec(line)?.[1];
  const database = connected === undefined ? undefined : parseDatabase(connected);
  return database === undefined ? undefined : { kind: 'connect', database };
}

function parseDatabase(text: string): string | undefined {
  if (plainName.test(text)) return text;
  const quoted = /^"((?:[^"]|"")+)"$/.exec(text)?.[1];
  if (quoted !== undefined && !quoted.includes('=')) return quoted.replaceAll('""', '"');
  const inside = connectionText.exec(text)?.[1];
  return inside?.replaceAll('""', '"').replaceAll(/\\(['\\])/g, '$1');
}

/** The command's name, for people. */
export function psqlCommandName(line: string): string {
  return /^\\[A-Za-z_?!;:.]+/.exec(line)?.[0].slice(0, 40) ?? line.slice(0, 2);
}
