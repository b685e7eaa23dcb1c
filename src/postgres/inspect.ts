import { Failure, toFailure } from '../api/failure.ts';
import type { Connection } from './connection.ts';
import { findKept } from './kept-database.ts';
import type { DatabaseSetting, DatabaseTraits } from './database-row.ts';

export interface ServerFacts {
  readonly major: number;
  /** As the server says it: `16.14 (Debian 16.14-1.pgdg12+1)`. */
  readonly version: string;
}

export interface ListedDatabase {
  readonly oid: string;
  readonly name: string;
  /** -1 = no limit. Superusers have none. */
  readonly connectionLimit: number;
  /** Why nobody can connect to it, if so. */
  readonly closed?: string;
  /** A restore replaced it, and left it there (`keepPrevious`). */
  readonly isKept?: boolean;
}

/** What an archive alone does not carry under another name. The manifest has the same shape. */
export interface DatabaseFacts extends DatabaseTraits {
  readonly collationVersion?: string;
  /** aclitems as PostgreSQL prints them; absent = the default rights. */
  readonly acl?: string[];
  readonly settings: DatabaseSetting[];
  readonly extensions: { name: string; version: string; schema: string }[];
  /** Roles that own something in the database or are granted something there; sorted. */
  readonly roles: string[];
  /** True: texts are bytes that are none in the database's encoding, one character for each byte. */
  readonly textsAreBytes?: boolean;
}

/** Databases that providers keep for themselves on their managed servers, and to which nobody else is let in. */
const providersOwn: readonly string[] = ['rdsadmin', 'cloudsqladmin', 'azure_maintenance', 'azure_sys'];

export async function inspectServer(connection: Connection): Promise<ServerFacts> {
  const [row] = await connection.query<{ version: string; number: string }>(
    `SELECT current_setting('server_version') AS version, current_setting('server_version_num') AS number`,
  );
  if (row === undefined) throw new Failure('Internal', 'the server tells no version');
  return { major: Math.floor(Number(row.number) / 10_000), version: row.version };
}

/** Of the database that `connection` is connected to: `UTF8` and the like. */
export async function readEncoding(connection: Connection): Promise<string> {
  const [row] = await connection.query<{ encoding: string }>(`SELECT current_setting('server_encoding') AS encoding`);
  return row?.encoding ?? 'UTF8';
}

/** What restores make and drop again: never worth a backup. */
export function isOfRestores(name: string): boolean {
  return new RegExp(restoresOwn).test(name);
}

const restoresOwn = '^pgbackup_(restore|replaced)_[0-9a-f]{12}(_[0-9a-f]{8})?(_[0-9]+)?$';

/** Every database that is no template, no provider's own, and nothing that a restore made for itself. By name. */
export async function listDatabases(connection: Connection): Promise<readonly ListedDatabase[]> {
  const rows = await connection.query<ListedRow>(
    `${listedColumns} WHERE NOT datistemplate AND datname <> ALL ($1) AND datname !~ $2 ORDER BY datname COLLATE "C"`,
    [providersOwn, restoresOwn],
  );
  return readAllListed(connection, rows);
}

/** What became of a database since it was listed, also under another name. Undefined: it is gone. */
export async function findDatabase(connection: Connection, oid: string): Promise<ListedDatabase | undefined> {
  const rows = await connection.query<ListedRow>(`${listedColumns} WHERE oid = $1`, [oid]);
  return (await readAllListed(connection, rows))[0];
}

/** What has a name now. Undefined: nothing. */
export async function findDatabaseNamed(connection: Connection, name: string): Promise<ListedDatabase | undefined> {
  const rows = await connection.query<ListedRow>(`${listedColumns} WHERE datname = $1`, [name]);
  return (await readAllListed(connection, rows))[0];
}

/**
 * Sizes by oid, as far as they can be had within the time: they are estimates. To tell one, the server looks at each file of a
 * database, which can take long, be forbidden, or fail for one that is being dropped.
 */
export async function readSizes(connection: Connection, limitMs: number): Promise<ReadonlyMap<string, number>> {
  try {
    await connection.query(`SET statement_timeout = ${limitMs}`);
    const rows = await connection.query<{ oid: string; size: string | null }>(
      `SELECT oid::text AS oid,
              CASE WHEN has_database_privilege(oid, 'CONNECT') OR pg_has_role('pg_read_all_stats', 'USAGE')
                   THEN pg_database_size(oid) END AS size
         FROM pg_database WHERE datallowconn AND NOT datistemplate`,
    );
    return new Map(rows.flatMap(({ oid, size }) => (size === null ? [] : [[oid, Number(size)] as const])));
  } catch (error) {
    if (toFailure(error).reason === 'Aborted') throw error;
    return new Map();
  }
}

interface ListedRow {
  readonly oid: string;
  readonly name: string;
  readonly open: boolean;
  readonly limit: number;
}

const listedColumns =
  'SELECT oid::text AS oid, datname AS name, datallowconn AS open, datconnlimit AS "limit" FROM pg_database';

async function readAllListed(connection: Connection, rows: readonly ListedRow[]): Promise<readonly ListedDatabase[]> {
  const kept = await findKept(
    connection,
    rows.map(({ name }) => name),
  );
  return rows.map((row) => ({ ...readListed(row), ...(kept.has(row.name) ? { isKept: true } : {}) }));
}

function readListed({ oid, name, open, limit }: ListedRow): ListedDatabase {
  const closed = whyClosed(open, limit);
  return { oid, name, connectionLimit: limit, ...(closed === undefined ? {} : { closed }) };
}

function whyClosed(open: boolean, limit: number): string | undefined {
  if (limit === -2) return 'a DROP DATABASE of it was interrupted, and the server lets nobody in any more';
  return open ? undefined : 'it lets nobody in (ALLOW_CONNECTIONS false)';
}

/** Owners and grantees are in pg_shdepend, but for the bootstrap superuser (pinned), who is seen only as an owner. */
export const rolesQuery = `
WITH here AS (SELECT oid, datdba FROM pg_database WHERE datname = current_database()),
referenced AS (
  SELECT s.refobjid AS role
    FROM pg_shdepend s, here
   WHERE s.refclassid = 'pg_authid'::regclass
     AND (s.dbid = here.oid OR (s.dbid = 0 AND s.classid = 'pg_database'::regclass AND s.objid = here.oid))
  UNION SELECT datdba FROM here
  UNION SELECT relowner FROM pg_class WHERE oid >= 16384
  UNION SELECT nspowner FROM pg_namespace WHERE oid >= 16384
  UNION SELECT proowner FROM pg_proc WHERE oid >= 16384
  UNION SELECT typowner FROM pg_type WHERE oid >= 16384
)
SELECT r.rolname AS name FROM referenced JOIN pg_roles r ON r.oid = referenced.role ORDER BY r.rolname COLLATE "C"`;
