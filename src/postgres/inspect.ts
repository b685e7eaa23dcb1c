import { Failure } from '../api/failure.ts';
import type { Connection } from './connection.ts';

export interface ServerFacts {
  readonly major: number;
  /** As the server says it: `16.14 (Debian 16.14-1.pgdg12+1)`. */
  readonly version: string;
}

export interface ListedDatabase {
  readonly name: string;
  /** pg_database_size, for estimates; absent when we may not know it. */
  readonly sizeBytes?: number;
}

/** What an archive alone does not carry under another name. The manifest has the same shape. */
export interface DatabaseFacts {
  readonly owner: string;
  /** `UTF8` and the like. */
  readonly encoding: string;
  readonly localeProvider: 'libc' | 'icu' | 'builtin';
  readonly collate: string;
  readonly ctype: string;
  /** Locale of the providers icu and builtin. */
  readonly locale?: string;
  readonly icuRules?: string;
  readonly collationVersion?: string;
  readonly tablespace: string;
  /** -1 = no limit. */
  readonly connectionLimit: number;
  /** aclitems as PostgreSQL prints them; absent = the default rights. */
  readonly acl?: string[];
  readonly comment?: string;
  /** `name=value` of ALTER DATABASE … SET, with `role` of ALTER ROLE … IN DATABASE … SET. */
  readonly settings: { role?: string; setting: string }[];
  readonly extensions: { name: string; version: string; schema: string }[];
  /** Roles that own something in the database or are granted something there; sorted. */
  readonly roles: string[];
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

/** What restores make and drop again: never worth a backup. */
const restoresOwn = '^pgbackup_(restore|replaced)_[0-9a-f]{12}(_[0-9a-f]{8})?(_[0-9]+)?$';

/**
 * Every database that can be dumped: allows connections, is no template, no provider's own, not half dropped, not half restored.
 * By name.
 */
export async function listDatabases(connection: Connection): Promise<readonly ListedDatabase[]> {
  const rows = await connection.query<{ name: string; size: string | null }>(
    `SELECT datname AS name,
            CASE WHEN has_database_privilege(oid, 'CONNECT') OR pg_has_role('pg_read_all_stats', 'USAGE')
                 THEN pg_database_size(oid) END AS size
       FROM pg_database
      WHERE datallowconn AND NOT datistemplate AND datconnlimit <> -2 AND datname <> ALL ($1) AND datname !~ $2
      ORDER BY datname COLLATE "C"`,
    [providersOwn, restoresOwn],
  );
  return rows.map(({ name, size }) => ({ name, ...(size === null ? {} : { sizeBytes: Number(size) }) }));
}

interface DatabaseRow {
  readonly owner: string;
  readonly encoding: string;
  readonly provider: string;
  readonly collate: string;
  readonly ctype: string;
  readonly locale: string | null;
  readonly rules: string | null;
  readonly collation_version: string | null;
  readonly tablespace: string;
  readonly connection_limit: number;
  readonly acl: string[] | null;
  readonly comment: string | null;
}

/** The facts of the database that `connection` is connected to, on any server from 12. */
export async function inspectDatabase(connection: Connection, serverMajor: number): Promise<DatabaseFacts> {
  const [row] = await connection.query<DatabaseRow>(databaseQuery(serverMajor));
  if (row === undefined) throw new Failure('DatabaseMissing', 'the database has vanished from pg_database');
  const settings = await connection.query<{ role: string | null; setting: string }>(
    `SELECT r.rolname AS role, s.setting
       FROM pg_db_role_setting d
       CROSS JOIN LATERAL unnest(d.setconfig) WITH ORDINALITY AS s (setting, number)
       LEFT JOIN pg_roles r ON r.oid = d.setrole
      WHERE d.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND (d.setrole = 0 OR r.rolname IS NOT NULL)
      ORDER BY r.rolname COLLATE "C" NULLS FIRST, s.number`,
  );
  const extensions = await connection.query<{ name: string; version: string; schema: string }>(
    `SELECT e.extname AS name, e.extversion AS version, n.nspname AS schema
       FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
      ORDER BY e.extname COLLATE "C"`,
  );
  const roles = await connection.query<{ name: string }>(rolesQuery);
  return {
    owner: row.owner,
    encoding: row.encoding,
    localeProvider: providerName(row.provider),
    collate: row.collate,
    ctype: row.ctype,
    ...(row.locale === null ? {} : { locale: row.locale }),
    ...(row.rules === null ? {} : { icuRules: row.rules }),
    ...(row.collation_version === null ? {} : { collationVersion: row.collation_version }),
    tablespace: row.tablespace,
    connectionLimit: row.connection_limit,
    ...(row.acl === null ? {} : { acl: row.acl }),
    ...(row.comment === null ? {} : { comment: row.comment }),
    settings: settings.map(({ role, setting }) => ({ ...(role === null ? {} : { role }), setting })),
    extensions: extensions.map(({ name, version, schema }) => ({ name, version, schema })),
    roles: roles.map(({ name }) => name),
  };
}

/** Columns came and were renamed: provider and collation version with 15, ICU rules with 16, one locale column with 17. */
function databaseQuery(major: number): string {
  let locale = 'NULL::text';
  if (major >= 15) locale = 'd.daticulocale';
  if (major >= 17) locale = 'd.datlocale';
  return `SELECT pg_get_userbyid(d.datdba) AS owner,
       pg_encoding_to_char(d.encoding) AS encoding,
       ${major >= 15 ? 'd.datlocprovider::text' : "'c'"} AS provider,
       d.datcollate AS collate,
       d.datctype AS ctype,
       ${locale} AS locale,
       ${major >= 16 ? 'd.daticurules' : 'NULL::text'} AS rules,
       ${major >= 15 ? 'd.datcollversion' : 'NULL::text'} AS collation_version,
       t.spcname AS tablespace,
       d.datconnlimit AS connection_limit,
       d.datacl::text[] AS acl,
       shobj_description(d.oid, 'pg_database') AS comment
  FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace
 WHERE d.datname = current_database()`;
}

/** Owners and grantees are in pg_shdepend, but for the bootstrap superuser (pinned), who is seen only as an owner. */
const rolesQuery = `
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

function providerName(provider: string): 'libc' | 'icu' | 'builtin' {
  if (provider === 'i') return 'icu';
  if (provider === 'b') return 'builtin';
  return 'libc';
}
