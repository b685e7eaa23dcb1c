import { Failure, toFailure } from '../api/failure.ts';
import type { Connection } from './connection.ts';
import { quoteName, quoteText } from './quote.ts';

/** What a new database is like; what is absent is as the server has it. */
export interface DatabaseTraits {
  readonly owner?: string;
  readonly encoding?: string;
  readonly localeProvider?: 'libc' | 'icu' | 'builtin';
  readonly collate?: string;
  readonly ctype?: string;
  readonly locale?: string;
  readonly icuRules?: string;
  readonly tablespace?: string;
}

/**
 * Creates an empty database from template0.
 * @throws Failure PermissionDenied, DiskFull, ObjectConflict when the name is taken, VersionUnsupported when the server does not
 *   know the locale or the encoding
 */
export async function createDatabase(
  connection: Connection,
  serverMajor: number,
  name: string,
  traits: DatabaseTraits,
): Promise<void> {
  try {
    await connection.query(createStatement(serverMajor, name, traits));
  } catch (error) {
    throw explain(error, name);
  }
}

export function createStatement(serverMajor: number, name: string, traits: DatabaseTraits): string {
  const { owner, encoding, localeProvider, collate, ctype, locale, icuRules, tablespace } = traits;
  if (localeProvider !== undefined && localeProvider !== 'libc' && serverMajor < (localeProvider === 'icu' ? 15 : 17)) {
    throw new Failure(
      'VersionUnsupported',
      `PostgreSQL ${serverMajor} has no databases with the locale provider ${localeProvider}`,
      { hint: 'create an empty database with a locale that this server has, and restore with mode Replace' },
    );
  }
  const options = [
    ['OWNER', owner === undefined ? undefined : quoteName(owner)],
    ['TEMPLATE', 'template0'],
    ['ENCODING', encoding === undefined ? undefined : quoteText(encoding)],
    ['LOCALE_PROVIDER', serverMajor >= 15 ? localeProvider : undefined],
    ['LC_COLLATE', collate === undefined ? undefined : quoteText(collate)],
    ['LC_CTYPE', ctype === undefined ? undefined : quoteText(ctype)],
    [
      localeProvider === 'builtin' ? 'BUILTIN_LOCALE' : 'ICU_LOCALE',
      locale === undefined ? undefined : quoteText(locale),
    ],
    ['ICU_RULES', icuRules === undefined || serverMajor < 16 ? undefined : quoteText(icuRules)],
    // The default is template0's; to name it would need a right of its own.
    ['TABLESPACE', tablespace === undefined || tablespace === 'pg_default' ? undefined : quoteName(tablespace)],
  ] as const;
  const said = options.flatMap(([word, value]) => (value === undefined ? [] : [`${word} ${value}`]));
  return `CREATE DATABASE ${quoteName(name)} ${said.join(' ')}`;
}

function explain(error: unknown, name: string): Failure {
  const failure = toFailure(error);
  const code = sqlstateOf(failure);
  const because = { cause: error };
  if (code === '42P04') {
    return new Failure('ObjectConflict', `the database "${name}" exists already`, because);
  }
  // Invalid parameter value, wrong object type (unknown locale), undefined object.
  if (code === '22023' || code === '42809' || code === '42704' || code === '0A000') {
    return new Failure('VersionUnsupported', `the database cannot be created on this server: ${failure.message}`, {
      ...because,
      hint: 'create an empty database with a locale, encoding and tablespace that this server has, and restore with mode Replace',
    });
  }
  return failure;
}

/** SQLSTATE of a failed statement, if it got as far as the server. */
export function sqlstateOf(failure: Failure): string | undefined {
  const { cause } = failure;
  if (typeof cause !== 'object' || cause === null || !('code' in cause)) return undefined;
  return typeof cause.code === 'string' ? cause.code : undefined;
}
