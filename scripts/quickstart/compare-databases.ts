import type { Postgres } from '../../test/servers/postgres.ts';

export interface TableDigest {
  readonly name: string;
  readonly rows: number;
  /** Over every value of every row, whatever their order. */
  readonly checksum: string;
}

/** Row counts and checksums of all tables of a database; views are read too, so that they work. */
export async function digestDatabase(postgres: Postgres, database: string): Promise<readonly TableDigest[]> {
  const relations = await postgres.sql<{ name: string }>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'v') AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1`,
    database,
  );
  return Promise.all(
    relations.map(async ({ name }) => {
      const [digest] = await postgres.sql<{ rows: string; checksum: string }>(
        // Settings of a database (its time zone here) are no part of an archive.
        `SET timezone = 'UTC'; SELECT count(*) AS rows, to_hex((sum(hashtextextended(t::text, 0)) % 281474976710656 + 281474976710656)::bigint % 281474976710656) AS checksum
         FROM ${name} t`,
        database,
      );
      return { name, rows: Number(digest?.rows), checksum: (digest?.checksum ?? '').padStart(12, '0') };
    }),
  );
}

/** Names of tables that differ, are missing or are too many. */
export function findDifferences(source: readonly TableDigest[], restored: readonly TableDigest[]): readonly string[] {
  const key = ({ name, rows, checksum }: TableDigest): string => `${name} ${rows} ${checksum}`;
  const there = new Set(restored.map(key));
  const wanted = new Set(source.map(key));
  return [
    ...source.filter((one) => !there.has(key(one))).map(({ name }) => name),
    ...restored.filter((one) => !wanted.has(key(one))).map(({ name }) => name),
  ];
}
