import type { SqlStatement } from '../pipeline/sql-script.ts';
import type { TocEntry } from './archive-toc.ts';
import { quoteName } from './quote.ts';

/** What pg_dump writes, so that names without a schema mean nothing but what is in pg_catalog. */
const emptyPath = /^SELECT pg_catalog\.set_config\('search_path', '', false\);?\s*$/;
const longest = 80;
/** What a table of contents may grow by with `setSearchPath` in it: 16 names of 63 bytes, each twice as long in quotes, in hexadecimal. */
export const longestSearchPath = 8192;

/** Sets it, with digits and names only: whatever the session's settings are, it means the same. */
export function setSearchPath(schemas: readonly string[]): string {
  const path = Buffer.from(schemas.map(quoteName).join(', ')).toString('hex');
  return `SELECT pg_catalog.set_config('search_path', pg_catalog.convert_from(pg_catalog.decode('${path}', 'hex'), 'UTF8'), false);`;
}

/** Of an archive. */
export function setsEmptyPath({ type, definition }: Pick<TocEntry, 'type' | 'definition'>): boolean {
  return type === 'SEARCHPATH' && definition !== undefined && emptyPath.test(definition.toString('latin1'));
}

/** Of a script. */
export function isEmptyPath({ words, text, bytes }: SqlStatement): boolean {
  if (words[0] !== 'select' || words[2] !== 'set_config' || bytes > longest) return false;
  return emptyPath.test(Buffer.concat(text).toString('latin1'));
}
