import type { Connection } from './connection.ts';
import type { ArchiveEntry } from './load-types.ts';

/** What hangs on a table and goes with it without a word, all of the server's own accord. */
const query = `
  WITH RECURSIVE dropped AS (
    SELECT c.oid FROM unnest($1::text[], $2::text[]) AS wanted (schema, name)
      JOIN pg_namespace n ON n.nspname = wanted.schema
      JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = wanted.name AND c.relkind IN ('r', 'p', 'f')
    UNION
    SELECT c.oid FROM dropped JOIN pg_inherits i ON i.inhparent = dropped.oid
      JOIN pg_class c ON c.oid = i.inhrelid AND c.relispartition
  )
  SELECT 'TABLE' AS type, n.nspname::text AS schema, c.relname::text AS name, p.relname::text AS of
    FROM dropped JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_inherits i ON i.inhrelid = c.oid JOIN pg_class p ON p.oid = i.inhparent
   WHERE c.relispartition
  UNION ALL
  SELECT 'SEQUENCE', n.nspname, c.relname, t.relname
    FROM dropped JOIN pg_class t USING (oid)
    JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.deptype IN ('a', 'i')
     AND d.classid = 'pg_class'::regclass
    JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S' JOIN pg_namespace n ON n.oid = c.relnamespace
  UNION ALL
  SELECT 'PUBLICATION TABLE', n.nspname, pub.pubname || ' ' || c.relname, c.relname
    FROM dropped JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_publication_rel r ON r.prrelid = c.oid JOIN pg_publication pub ON pub.oid = r.prpubid
   ORDER BY 1, 2, 3`;

type Row = Readonly<Record<'type' | 'schema' | 'name' | 'of', string>>;

/**
 * What would go with the tables that are dropped first (`clean`), and is not made again: partitions that were made since, with their
 * rows; sequences of columns; membership in publications. In words, such as `the partition b.p2 of t`.
 */
export async function findFallen(connection: Connection, entries: readonly ArchiveEntry[]): Promise<readonly string[]> {
  const keyOf = ({ type, schema, name }: Pick<ArchiveEntry, 'type' | 'schema' | 'name'>): string =>
    `${type === 'FOREIGN TABLE' ? 'TABLE' : type}\0${schema ?? ''}\0${name}`;
  const tables = entries.filter(({ type }) => type === 'TABLE' || type === 'FOREIGN TABLE');
  const made = new Set(entries.map(keyOf));
  const rows = await connection.query<Row>(query, [
    tables.map(({ schema }) => schema ?? ''),
    tables.map(({ name }) => name),
  ]);
  return rows.filter((row) => !made.has(keyOf(row))).map(describe);
}

function describe({ type, schema, name, of }: Row): string {
  if (type === 'TABLE') return `the partition ${schema}.${name} of ${of}`;
  if (type === 'SEQUENCE') return `the sequence ${schema}.${name} of ${of}`;
  return `the place of ${schema}.${of} in the publication ${name.slice(0, -of.length - 1)}`;
}
