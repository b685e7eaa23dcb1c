import type { Connection } from './connection.ts';

/** A database as pg_database and its neighbours have it; seen from any other database of the server. */
export interface TargetDatabase {
  readonly oid: string;
  readonly name: string;
  readonly owner: string;
  readonly encoding: string;
  readonly localeProvider: 'libc' | 'icu' | 'builtin';
  readonly collate: string;
  readonly ctype: string;
  /** Locale of the providers icu and builtin. */
  readonly locale?: string;
  readonly icuRules?: string;
  readonly tablespace: string;
  /** -1 = no limit; -2 = a DROP DATABASE was interrupted. */
  readonly connectionLimit: number;
  readonly allowConnections: boolean;
  readonly isTemplate: boolean;
  /** Grants; undefined = the default rights. */
  readonly grants?: readonly DatabaseGrant[];
  readonly comment?: string;
  /** `name=value` of ALTER DATABASE … SET, with `role` of ALTER ROLE … IN DATABASE … SET. */
  readonly settings: readonly DatabaseSetting[];
}

export interface DatabaseGrant {
  readonly grantor: string;
  /** Undefined = PUBLIC. */
  readonly grantee?: string;
  readonly privilege: string;
  readonly grantable: boolean;
}

export interface DatabaseSetting {
  readonly role?: string;
  readonly setting: string;
}

interface Row {
  readonly oid: string;
  readonly name: string;
  readonly owner: string;
  readonly encoding: string;
  readonly provider: string;
  readonly collate: string;
  readonly ctype: string;
  readonly locale: string | null;
  readonly rules: string | null;
  readonly tablespace: string;
  readonly connection_limit: number;
  readonly allow_connections: boolean;
  readonly is_template: boolean;
  readonly has_acl: boolean;
  readonly comment: string | null;
}

/** The databases of these names that exist, on any server from 13. */
export async function findDatabases(
  connection: Connection,
  serverMajor: number,
  names: readonly string[],
): Promise<ReadonlyMap<string, TargetDatabase>> {
  const rows = await connection.query<Row>(databaseQuery(serverMajor), [names]);
  const found = new Map<string, TargetDatabase>();
  for (const row of rows) found.set(row.name, await describe(connection, row));
  return found;
}

/** Names of databases that match a POSIX pattern. */
export async function listMatching(
  connection: Connection,
  pattern: string,
): Promise<readonly { readonly name: string; readonly comment?: string }[]> {
  const rows = await connection.query<{ name: string; comment: string | null }>(
    `SELECT datname AS name, shobj_description(oid, 'pg_database') AS comment
       FROM pg_database WHERE datname ~ $1 ORDER BY datname COLLATE "C"`,
    [pattern],
  );
  return rows.map(({ name, comment }) => ({ name, ...(comment === null ? {} : { comment }) }));
}

async function describe(connection: Connection, row: Row): Promise<TargetDatabase> {
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
  const settings = await connection.query<{ role: string | null; setting: string }>(
    `SELECT r.rolname AS role, s.setting
       FROM pg_db_role_setting d
       CROSS JOIN LATERAL unnest(d.setconfig) WITH ORDINALITY AS s (setting, number)
       LEFT JOIN pg_roles r ON r.oid = d.setrole
      WHERE d.setdatabase = $1 AND (d.setrole = 0 OR r.rolname IS NOT NULL)
      ORDER BY r.rolname COLLATE "C" NULLS FIRST, s.number`,
    [row.oid],
  );
  return {
    oid: row.oid,
    name: row.name,
    owner: row.owner,
    encoding: row.encoding,
    localeProvider: providerName(row.provider),
    collate: row.collate,
    ctype: row.ctype,
    ...(row.locale === null ? {} : { locale: row.locale }),
    ...(row.rules === null ? {} : { icuRules: row.rules }),
    tablespace: row.tablespace,
    connectionLimit: row.connection_limit,
    allowConnections: row.allow_connections,
    isTemplate: row.is_template,
    ...(row.has_acl
      ? {
          grants: grants.map(({ grantor, grantee, privilege, grantable }) => ({
            grantor,
            ...(grantee === null ? {} : { grantee }),
            privilege,
            grantable,
          })),
        }
      : {}),
    ...(row.comment === null ? {} : { comment: row.comment }),
    settings: settings.map(({ role, setting }) => ({ ...(role === null ? {} : { role }), setting })),
  };
}

/** Columns came and were renamed: provider with 15, ICU rules with 16, one locale column with 17. */
function databaseQuery(major: number): string {
  let locale = 'NULL::text';
  if (major >= 15) locale = 'd.daticulocale';
  if (major >= 17) locale = 'd.datlocale';
  return `SELECT d.oid::text AS oid, d.datname AS name,
       pg_get_userbyid(d.datdba) AS owner,
       pg_encoding_to_char(d.encoding) AS encoding,
       ${major >= 15 ? 'd.datlocprovider::text' : "'c'"} AS provider,
       d.datcollate AS collate,
       d.datctype AS ctype,
       ${locale} AS locale,
       ${major >= 16 ? 'd.daticurules' : 'NULL::text'} AS rules,
       t.spcname AS tablespace,
       d.datconnlimit AS connection_limit,
       d.datallowconn AS allow_connections,
       d.datistemplate AS is_template,
       d.datacl IS NOT NULL AS has_acl,
       shobj_description(d.oid, 'pg_database') AS comment
  FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace
 WHERE d.datname = ANY ($1)`;
}

function providerName(provider: string): 'libc' | 'icu' | 'builtin' {
  if (provider === 'i') return 'icu';
  if (provider === 'b') return 'builtin';
  return 'libc';
}
