import type { DatabaseSetting } from './database-row.ts';
import { quoteName, quoteText } from './quote.ts';
import type { DatabaseGrant } from './target-database.ts';

/** What a database has besides its content; it comes from the database that is replaced, or from the manifest. */
export interface DatabaseProperties {
  /** Undefined = the default rights. */
  readonly grants?: readonly DatabaseGrant[];
  readonly connectionLimit: number;
  readonly settings: readonly DatabaseSetting[];
  readonly allowConnections: boolean;
  readonly isTemplate: boolean;
}

/** Statements that give these properties to a database that has none; to be run by its owner or a superuser, in a transaction. */
export function propertyStatements(name: string, owner: string, properties: DatabaseProperties): readonly string[] {
  const { grants, connectionLimit, settings, allowConnections, isTemplate } = properties;
  const database = quoteName(name);
  return [
    ...grantStatements(database, owner, grants),
    ...(connectionLimit === -1 ? [] : [`ALTER DATABASE ${database} CONNECTION LIMIT ${connectionLimit}`]),
    ...(isTemplate ? [`ALTER DATABASE ${database} IS_TEMPLATE true`] : []),
    ...(allowConnections ? [] : [`ALTER DATABASE ${database} ALLOW_CONNECTIONS false`]),
    ...settings.map((setting) => settingStatement(database, setting)),
  ];
}

/** Gives a database its comment; undefined: none. */
export function commentStatement(name: string, comment: string | undefined): string {
  return `COMMENT ON DATABASE ${quoteName(name)} IS ${comment === undefined ? 'NULL' : quoteText(comment)}`;
}

/** Nobody but the owner (and superusers) gets in. */
export function closeStatement(name: string): string {
  return `REVOKE ALL ON DATABASE ${quoteName(name)} FROM PUBLIC`;
}

const privileges: ReadonlySet<string> = new Set(['CREATE', 'CONNECT', 'TEMPORARY']);

function grantStatements(database: string, owner: string, grants: readonly DatabaseGrant[] | undefined): string[] {
  if (grants === undefined) return [`GRANT CONNECT, TEMPORARY ON DATABASE ${database} TO PUBLIC`];
  // Rights that somebody passed on come after the owner's, who gave them.
  const ordered = [...grants].sort((a, b) => Number(a.grantor !== owner) - Number(b.grantor !== owner));
  return [
    `REVOKE ALL ON DATABASE ${database} FROM PUBLIC`,
    `REVOKE ALL ON DATABASE ${database} FROM ${quoteName(owner)}`,
    ...ordered
      .filter(({ privilege }) => privileges.has(privilege))
      .flatMap(({ grantor, grantee, privilege, grantable }) => {
        const option = grantable && grantee !== undefined ? ' WITH GRANT OPTION' : '';
        const grant = `GRANT ${privilege} ON DATABASE ${database} TO ${grantee === undefined ? 'PUBLIC' : quoteName(grantee)}${option}`;
        if (grantor === owner) return [grant];
        return [`SET LOCAL ROLE ${quoteName(grantor)}; ${grant}; RESET ROLE`];
      }),
  ];
}

function settingStatement(database: string, { role, setting }: DatabaseSetting): string {
  const equals = setting.indexOf('=');
  const name = setting.slice(0, equals);
  const value = settingValue(name, setting.slice(equals + 1));
  const whose =
    role === undefined ? `ALTER DATABASE ${database}` : `ALTER ROLE ${quoteName(role)} IN DATABASE ${database}`;
  return `${whose} SET ${quoteSetting(name)} TO ${value}`;
}

/** Names with a dot in them (extensions' settings) are quoted part by part. */
function quoteSetting(name: string): string {
  return name.split('.').map(quoteName).join('.');
}

/** Settings that are lists of names: one quoted text would be one name. The same list as in pg_dump. */
const nameLists: ReadonlySet<string> = new Set([
  'local_preload_libraries',
  'search_path',
  'session_preload_libraries',
  'shared_preload_libraries',
  'temp_tablespaces',
  'unix_socket_directories',
]);

/** The value of a setting, as it is stored, as it stands behind SET … TO. */
export function settingValue(name: string, stored: string): string {
  if (!nameLists.has(name.toLowerCase())) return quoteText(stored);
  const names = splitNames(stored);
  return names.length === 0 ? "''" : names.map(quoteText).join(', ');
}

/** Splits `"$user", public, "a, ""b"` at its commas. */
function splitNames(list: string): readonly string[] {
  const names: string[] = [];
  for (const match of list.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^,"]+?))\s*(?:,|$)/g)) {
    const [, quoted, plain] = match;
    if (quoted !== undefined) names.push(quoted.replaceAll('""', '"'));
    else if (plain !== undefined) names.push(plain);
  }
  return names;
}
