import type { SqlStatement } from '../pipeline/sql-script.ts';

const longest = 512;
/** As pg_dump writes it, or people do. A name without quotes is in lower case to the server. */
const sets =
  /^SET\s+(?:SESSION\s+)?default_tablespace\s*(?:=|\s+TO\s+)\s*(?:"((?:[^"]|"")+)"|'((?:[^'\\]|'')+)'|([a-z_][a-z0-9_$]*))\s*;?$/i;

/** Which tablespace a statement makes the default for what follows: the bytes of its name. Undefined: it does no such thing. */
export function readDefaultTablespace({ text, bytes, words }: SqlStatement): Buffer | undefined {
  if (words[0] !== 'set' || bytes > longest) return undefined;
  const found = sets.exec(Buffer.concat(text).toString('latin1').trim());
  if (found === null) return undefined;
  const [, quoted, literal, plain] = found;
  if (plain !== undefined) return plain.toLowerCase() === 'default' ? undefined : Buffer.from(plain.toLowerCase());
  const name = quoted?.replaceAll('""', '"') ?? literal?.replaceAll("''", "'") ?? '';
  return Buffer.from(name, 'latin1');
}

/** Asks how many tablespaces are called so, in digits and names that no setting of a script changes the meaning of. */
export function askTablespace(name: Buffer, encoding: string): string {
  // The server tells the encoding itself; nothing else is let through.
  const from = /^[A-Z0-9_]+$/i.test(encoding) ? encoding : 'UTF8';
  return `SELECT pg_catalog.count(*) FROM pg_catalog.pg_tablespace WHERE spcname OPERATOR(pg_catalog.=)
  CAST(pg_catalog.convert_from(pg_catalog.decode('${name.toString('hex')}', 'hex'), '${from}') AS pg_catalog.name)`;
}

/** For people; line breaks would break messages. */
export function showTablespace(name: Buffer): string {
  return name.toString('utf8').replaceAll(/\s/g, ' ');
}
