import type { ArchiveEntry } from './load-types.ts';
import { quoteName, quoteText } from './quote.ts';
import type { AskLoad } from './load-claim.ts';

const mostNames = 20;

/**
 * Triggers of the target that run for rows that are loaded into tables that are there. One that is to run always says so itself (ENABLE
 * ALWAYS). Asked within the load's transaction, where no setting changes what its operators mean.
 * @returns in words, such as `audit of public.orders`; undefined: there are none
 */
export async function findFiring(ask: AskLoad, entries: readonly ArchiveEntry[]): Promise<string | undefined> {
  const tables = entries
    .filter(({ type }) => type === 'TABLE DATA')
    .map(({ schema = '', name }) => `pg_catalog.to_regclass(${quoteText(`${quoteName(schema)}.${quoteName(name)}`)})`);
  if (tables.length === 0) return undefined;
  return ask(
    `SELECT pg_catalog.string_agg(firing.trigger, ', ') FROM (
       SELECT pg_catalog.format('%s of %s.%s', t.tgname, n.nspname, c.relname) AS trigger
         FROM pg_catalog.pg_trigger t
         JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) t.tgrelid
         JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
        WHERE t.tgrelid OPERATOR(pg_catalog.=) ANY (ARRAY[${tables.join(', ')}]::pg_catalog.oid[])
          AND NOT t.tgisinternal AND t.tgenabled OPERATOR(pg_catalog.=) 'O'
          AND (t.tgtype OPERATOR(pg_catalog.&) '4'::pg_catalog.int2) OPERATOR(pg_catalog.<>) '0'::pg_catalog.int2
        ORDER BY 1 LIMIT ${mostNames}) AS firing`,
  );
}
