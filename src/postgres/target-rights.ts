import type { Connection } from './connection.ts';

export interface TargetRights {
  readonly user: string;
  readonly superuser: boolean;
  readonly createDatabases: boolean;
  readonly inRecovery: boolean;
}

export async function readRights(connection: Connection): Promise<TargetRights> {
  const [row] = await connection.query<{ user: string; super: boolean; createdb: boolean; recovery: boolean }>(
    `SELECT current_user::text AS user, rolsuper AS super, rolcreatedb AS createdb, pg_is_in_recovery() AS recovery
       FROM pg_roles WHERE rolname = current_user`,
  );
  return {
    user: row?.user ?? '',
    superuser: row?.super ?? false,
    createDatabases: row?.createdb ?? false,
    inRecovery: row?.recovery ?? false,
  };
}

/** Those of these roles whose rights the user has, and to whom he may give what he makes. A superuser has all. */
export async function findOwnable(
  connection: Connection,
  serverMajor: number,
  roles: readonly string[],
): Promise<readonly string[]> {
  const settable = serverMajor >= 16 ? `AND pg_has_role(oid, 'SET')` : '';
  const rows = await connection.query<{ name: string }>(
    `SELECT rolname::text AS name FROM pg_roles WHERE rolname = ANY ($1) AND pg_has_role(oid, 'USAGE') ${settable}`,
    [roles],
  );
  return rows.map(({ name }) => name);
}

/** Those of these roles that do not exist. */
export async function findMissingRoles(connection: Connection, roles: readonly string[]): Promise<readonly string[]> {
  const rows = await connection.query<{ name: string }>(
    'SELECT name FROM unnest($1::text[]) AS name WHERE name NOT IN (SELECT rolname FROM pg_roles) ORDER BY name COLLATE "C"',
    [roles],
  );
  return rows.map(({ name }) => name);
}

export async function findMissingTablespaces(
  connection: Connection,
  tablespaces: readonly string[],
): Promise<readonly string[]> {
  const rows = await connection.query<{ name: string }>(
    'SELECT name FROM unnest($1::text[]) AS name WHERE name NOT IN (SELECT spcname FROM pg_tablespace)',
    [tablespaces],
  );
  return rows.map(({ name }) => name);
}

/** Those of these extensions that could not be created. */
export async function findMissingExtensions(
  connection: Connection,
  extensions: readonly string[],
): Promise<readonly string[]> {
  const rows = await connection.query<{ name: string }>(
    'SELECT name FROM unnest($1::text[]) AS name WHERE name NOT IN (SELECT name FROM pg_available_extensions) ORDER BY name COLLATE "C"',
    [extensions],
  );
  return rows.map(({ name }) => name);
}

/** What would keep a database from being renamed and dropped, although nobody is connected to it. */
export async function findHolds(connection: Connection, oid: string): Promise<readonly string[]> {
  const rows = await connection.query<{ hold: string }>(
    `SELECT format('logical replication slot %I', slot_name) AS hold FROM pg_replication_slots
      WHERE database = (SELECT datname FROM pg_database WHERE oid = $1::oid)
     UNION ALL
     SELECT format('subscription %I', subname) FROM pg_subscription WHERE subdbid = $1::oid
     UNION ALL
     SELECT format('prepared transaction %L', gid) FROM pg_prepared_xacts
      WHERE database = (SELECT datname FROM pg_database WHERE oid = $1::oid)`,
    [oid],
  );
  return rows.map(({ hold }) => hold);
}
