import type { SqlStatement } from '../pipeline/sql-script.ts';
import type { TocEntry } from './archive-toc.ts';

/** Asks whether there is a schema public. */
export const askPublic = "SELECT pg_catalog.to_regnamespace('public')";

const creates = /^CREATE\s+SCHEMA\s+(?:public|"public")\s*;?\s*$/i;
const drops = /^DROP\s+SCHEMA\s+(?:IF\s+EXISTS\s+)?(?:public|"public")\s*;?\s*$/i;
const longest = 80;

/**
 * A dump that is narrowed to the schema public creates it, and every new database has one: only that statement is left out then, as pg_dump does
 * itself in whole dumps. Owner, grants and comment follow; the grants are written as changes to what a new database has.
 */
export function createsPublic({ type, name, definition }: Pick<TocEntry, 'type' | 'name' | 'definition'>): boolean {
  if (type !== 'SCHEMA' || definition === undefined || definition.length > longest) return false;
  return name.toString('latin1') === 'public' && creates.test(definition.toString('latin1'));
}

/** What stands instead of it: a comment of the same length, by which pg_restore knows, too, that there is nothing to create. */
export function withoutPublic(definition: string): string {
  return '--'.padEnd(definition.length);
}

/** The same of a script's statements. */
export function isAboutPublic(what: 'create' | 'drop', { text, bytes, words }: SqlStatement): boolean {
  if (words[0] !== what || words[1] !== 'schema' || bytes > longest) return false;
  return (what === 'create' ? creates : drops).test(Buffer.concat(text).toString('latin1'));
}
