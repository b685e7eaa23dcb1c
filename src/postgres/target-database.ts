import type { Connection } from './connection.ts';
import { databaseQuery, readSettings, readTraits } from './database-row.ts';
import type { DatabaseRow, DatabaseSetting, DatabaseTraits } from './database-row.ts';

/** A database as pg_database and its neighbours have it; seen from any other database of the server. */
export interface TargetDatabase extends DatabaseTraits {
  readonly oid: string;
  readonly name: string;
  readonly allowConnections: boolean;
  readonly isTemplate: boolean;
  /** Grants; undefined = the default rights. */
  readonly grants?: readonly DatabaseGrant[];
  readonly settings: readonly DatabaseSetting[];
}

export interface DatabaseGrant {
  readonly grantor: string;
  /** Undefined = PUBLIC. */
  readonly grantee?: string;
  readonly privilege: string;
  readonly grantable: boolean;
}

/** The databases of these names that exist, on any server from 13. */
export async function findDatabases(
  connection: Connection,
  serverMajor: number,
  names: readonly string[],
): Promise<ReadonlyMap<string, TargetDatabase>> {
  const rows = await connection.query<DatabaseRow>(databaseQuery(serverMajor, 'd.datname = ANY ($1)'), [names]);
  const found = new Map<string, TargetDatabase>();
  for (const row of rows) found.set(row.name, await describe(connection, row));
  return found;
}

/** Names of databases that match a POSIX pattern. */
export async function listMatching(connection: Connection, pattern: string): Promise<readonly string[]> {
  const rows = await connection.query<{ name: string }>(
    'SELECT datname AS name FROM pg_database WHERE datname ~ $1 ORDER BY datname COLLATE "C"',
    [pattern],
  );
  return rows.map(({ name }) => name);
}

async function describe(connection: Connection, row: DatabaseRow): Promise<TargetDatabase> {
  const grants = await connection.query<{
    grantor: string;
    grantee: string | null;
    privilege: string;
    grantable: boolean;
  }>(
    `SELECT pg_get_userbyid(a.grantor) AS grantor,
            CASE WHEN a.grantee = 0 THEN NULL ELSE pg_get_userbyid(a.grantee) END AS grantee,
            a.privilege_type AS privilege, a.is_grantable AS grantable
       FROM pg_database d CROSS JOIN LATERAL aclexplode(d.datacl) a
      WHERE d.oid = $1`,
    [row.oid],
  );
  return {
    ...readTraits(row),
    oid: row.oid,
    name: row.name,
    allowConnections: row.allow_connections,
    isTemplate: row.is_template,
    ...(row.acl !== null
      ? {
          grants: grants.map(({ grantor, grantee, privilege, grantable }) => ({
            grantor,
            ...(grantee === null ? {} : { grantee }),
            privilege,
            grantable,
          })),
        }
      : {}),
    settings: await readSettings(connection, row.oid),
  };
}
