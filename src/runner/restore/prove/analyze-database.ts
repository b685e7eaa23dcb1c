import type { Connection } from '../../../postgres/connection.ts';
import { shorten, sqlFailure } from './run-checks.ts';

/** Tables of a database, quoted, by what ANALYZE does with them. */
export interface AnalyzedTables {
  readonly own: readonly string[];
  /** Parents of foreign tables: to analyze them is to read from other servers. */
  readonly aboveForeign: readonly string[];
}

const mostNotes = 5;
const mostNames = 10;

/** To be asked on a session with an empty search_path. */
export async function findAnalyzed(connection: Pick<Connection, 'query'>): Promise<AnalyzedTables> {
  const rows = await connection.query<{ name: string; above: boolean }>(
    `WITH RECURSIVE above (oid) AS (
       SELECT i.inhparent FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid WHERE c.relkind = 'f'
        UNION SELECT i.inhparent FROM pg_catalog.pg_inherits i JOIN above ON i.inhrelid = above.oid)
     SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name, EXISTS (SELECT FROM above WHERE above.oid = c.oid) AS above
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'm', 'p') AND c.relpersistence <> 't' ORDER BY c.oid`,
  );
  return {
    own: rows.filter(({ above }) => !above).map(({ name }) => name),
    aboveForeign: rows.filter(({ above }) => above).map(({ name }) => name),
  };
}

/**
 * ANALYZE. The rows are there and proved: what cannot be analyzed is a note, the rest is. Nothing is read from other servers, which may
 * be gone, hang, or be none of a restore's business.
 * @returns notes
 * @throws Failure ConnectionLost, Aborted, DiskFull …: what is not the fault of one table
 */
export async function analyzeDatabase(
  connection: Pick<Connection, 'query'>,
  { own, aboveForeign }: AnalyzedTables,
): Promise<readonly string[]> {
  if (aboveForeign.length === 0 && (await tryAnalyze(connection, 'ANALYZE')) === undefined) return [];
  const failed: string[] = [];
  for (const table of own) {
    const error = await tryAnalyze(connection, `ANALYZE ${table}`);
    if (error !== undefined) failed.push(`not analyzed: ${shorten(table)}: ${error}`);
  }
  const shown = aboveForeign.slice(0, mostNames).map(shorten).join(', ');
  const more = aboveForeign.length > mostNames ? ` and ${aboveForeign.length - mostNames} more` : '';
  return [
    ...(aboveForeign.length === 0 ? [] : [`not analyzed: ${shown}${more}, which have foreign tables below them`]),
    ...failed.slice(0, mostNotes),
    ...(failed.length > mostNotes ? [`not analyzed: ${failed.length - mostNotes} more tables`] : []),
  ];
}

/** @returns what the server has against it */
async function tryAnalyze(connection: Pick<Connection, 'query'>, statement: string): Promise<string | undefined> {
  try {
    await connection.query(statement);
    return undefined;
  } catch (error) {
    const failure = sqlFailure('ANALYZE', error);
    if (failure.reason !== 'SqlFailed') throw failure;
    return shorten(failure.message.split('\n', 1)[0] ?? '');
  }
}
