import type { Connection } from './connection.ts';
import { isNoSeal } from './database-seal.ts';

/** What a database is besides its content and its grants: a backup notes it, a restore makes another one alike. */
export interface DatabaseTraits {
  readonly owner: string;
  /** `UTF8` and the like. */
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
  readonly comment?: string;
}

/** `name=value` of ALTER DATABASE … SET, with `role` of ALTER ROLE … IN DATABASE … SET. */
export interface DatabaseSetting {
  readonly role?: string;
  readonly setting: string;
}

/** A row of `databaseQuery`. */
export interface DatabaseRow {
  readonly oid: string;
  readonly name: string;
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
  readonly allow_connections: boolean;
  readonly is_template: boolean;
  readonly acl: string[] | null;
  readonly comment: string | null;
}

/**
 * Databases as pg_database and its neighbours have them; `where` is a condition over pg_database `d`. Columns came and were renamed:
 * provider and collation version with 15, ICU rules with 16, one locale column with 17.
 */
export function databaseQuery(major: number, where: string): string {
  let locale = 'NULL::text';
  if (major >= 15) locale = 'd.daticulocale';
  if (major >= 17) locale = 'd.datlocale';
  return `SELECT d.oid::text AS oid,
       d.datname AS name,
       pg_get_userbyid(d.datdba) AS owner,
       pg_encoding_to_char(d.encoding) AS encoding,
       ${major >= 15 ? 'd.datlocprovider::text' : "'c'"} AS provider,
       d.datcollate AS collate,
       d.datctype AS ctype,
       ${locale} AS locale,
       ${major >= 16 ? 'd.daticurules' : 'NULL::text'} AS rules,
       ${major >= 15 ? 'd.datcollversion' : 'NULL::text'} AS collation_version,
       t.spcname AS tablespace,
       d.datconnlimit AS connection_limit,
       d.datallowconn AS allow_connections,
       d.datistemplate AS is_template,
       d.datacl::text[] AS acl,
       shobj_description(d.oid, 'pg_database') AS comment
  FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace
 WHERE ${where}`;
}

export function readTraits(row: DatabaseRow): DatabaseTraits {
  return {
    owner: row.owner,
    encoding: row.encoding,
    localeProvider: providerName(row.provider),
    collate: row.collate,
    ctype: row.ctype,
    ...(row.locale === null ? {} : { locale: row.locale }),
    ...(row.rules === null ? {} : { icuRules: row.rules }),
    tablespace: row.tablespace,
    connectionLimit: row.connection_limit,
    ...(row.comment === null ? {} : { comment: row.comment }),
  };
}

/** Settings of the database itself first, then those of roles in it; not what a restore left there. `oid` is an expression. */
export function settingsQuery(oid: string): string {
  return `SELECT r.rolname AS role, s.setting
       FROM pg_db_role_setting d
       CROSS JOIN LATERAL unnest(d.setconfig) WITH ORDINALITY AS s (setting, number)
       LEFT JOIN pg_roles r ON r.oid = d.setrole
      WHERE d.setdatabase = ${oid} AND (d.setrole = 0 OR r.rolname IS NOT NULL)
        AND ${isNoSeal('s.setting')}
      ORDER BY r.rolname COLLATE "C" NULLS FIRST, s.number`;
}

export async function readSettings(connection: Connection, oid: string): Promise<DatabaseSetting[]> {
  const rows = await connection.query<{ role: string | null; setting: string }>(settingsQuery('$1'), [oid]);
  return rows.map(({ role, setting }) => ({ ...(role === null ? {} : { role }), setting }));
}

function providerName(provider: string): 'libc' | 'icu' | 'builtin' {
  if (provider === 'i') return 'icu';
  if (provider === 'b') return 'builtin';
  return 'libc';
}
