import { Failure, toFailure } from '../api/failure.ts';
import type { FailureReason } from '../api/reasons.ts';
import type { Connection } from './connection.ts';
import { databaseQuery, readTraits, settingsQuery, type DatabaseRow, type DatabaseSetting } from './database-row.ts';
import { rolesQuery, type DatabaseFacts } from './inspect.ts';
import { quoteText } from './quote.ts';
import { rowsAsBytes } from './rows-as-bytes.ts';

export interface FactsRead {
  readonly facts: DatabaseFacts;
  /** What could not be read, and why. Its place in the facts is empty. */
  readonly missing: readonly string[];
}

/** Reasons for which the dump cannot succeed either. Every other one costs a fact, not the dump. */
const fatal: ReadonlySet<FailureReason> = new Set([
  'Aborted',
  'DeadlineExceeded',
  'ConnectionLost',
  'ServerUnreachable',
  'AuthenticationFailed',
  'DatabaseMissing',
  'DatabaseClosed',
  'TransactionPooling',
  'TlsFailed',
]);

/** Whether a dump cannot succeed either, after this happened to a look at the database. */
export function costsTheDump(error: unknown): boolean {
  return fatal.has(toFailure(error).reason);
}

const extensionsQuery = `SELECT e.extname AS name, e.extversion AS version, n.nspname AS schema
  FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace ORDER BY e.extname COLLATE "C"`;

/** The facts of the database that `connection` is connected to, on any server from 12. A fact that cannot be read fails nothing. */
export async function readFacts(connection: Connection, serverMajor: number): Promise<FactsRead> {
  const missing: string[] = [];
  let areBytes = false;
  const attempt = async <Row extends object>(what: string, text: string): Promise<readonly Row[]> => {
    try {
      const rows = await connection.query<Row>(text);
      // A replacement character stands for bytes that are no UTF-8: SQL_ASCII lets everything pass.
      if (!JSON.stringify(rows).includes('\uFFFD')) return rows;
    } catch (error) {
      if (costsTheDump(error)) throw error;
    }
    try {
      const read = await rowsAsBytes<Row>(connection, text);
      areBytes ||= read.areBytes;
      return read.rows;
    } catch (error) {
      if (costsTheDump(error)) throw error;
      missing.push(`${what}: ${toFailure(error).message}`);
      return [];
    }
  };
  const ofHere = 'd.datname = current_database()';
  const [row] = await attempt<DatabaseRow>('its properties', databaseQuery(serverMajor, ofHere));
  const settings = await attempt<{ role: string | null; setting: string }>(
    'its settings',
    settingsQuery('(SELECT d.oid FROM pg_database d WHERE d.datname = current_database())'),
  );
  const extensions = await attempt<DatabaseFacts['extensions'][number]>('its extensions', extensionsQuery);
  const roles = await attempt<{ name: string }>('the roles that it refers to', rolesQuery);
  if (row === undefined && missing.length === 0) {
    throw new Failure('DatabaseMissing', 'the database has vanished from pg_database');
  }
  const facts: DatabaseFacts = {
    ...(row === undefined ? unknownTraits : readTraits(row)),
    ...(row === undefined || row.collation_version === null ? {} : { collationVersion: row.collation_version }),
    ...(row === undefined || row.acl === null ? {} : { acl: row.acl }),
    settings: settings.map(({ role, setting }): DatabaseSetting => ({ ...(role === null ? {} : { role }), setting })),
    extensions: extensions.map(({ name, version, schema }) => ({ name, version, schema })),
    roles: roles.map(({ name }) => name),
    ...(areBytes ? { textsAreBytes: true } : {}),
  };
  return { facts, missing };
}

/**
 * The facts of a database that speaks no encoding of ours (MULE_INTERNAL has no conversion to UTF-8), as another one sees them: what
 * lies in it is missing.
 */
export async function readFactsFrom(connection: Connection, database: string, serverMajor: number): Promise<FactsRead> {
  const where = `d.datname = ${quoteText(database)}`;
  const { rows, areBytes } = await rowsAsBytes<DatabaseRow>(connection, databaseQuery(serverMajor, where));
  const [row] = rows;
  if (row === undefined) throw new Failure('DatabaseMissing', 'the database has vanished from pg_database');
  const settings = await rowsAsBytes<DatabaseSetting>(
    connection,
    settingsQuery(`(SELECT d.oid FROM pg_database d WHERE ${where})`),
  );
  return {
    facts: {
      ...readTraits(row),
      ...(row.acl === null ? {} : { acl: row.acl }),
      settings: settings.rows.map(({ role, setting }) => ({ ...(role == null ? {} : { role }), setting })),
      extensions: [],
      roles: [row.owner],
      ...(areBytes || settings.areBytes ? { textsAreBytes: true } : {}),
    },
    missing: [`its extensions and roles: there is no conversion between ${row.encoding} and UTF8`],
  };
}

/** Whether a connection failed only because the server cannot convert the database's encoding to UTF-8. */
export function isUnspoken(error: unknown): boolean {
  return error instanceof Failure && /conversion between \S+ and \S+ is not supported/.test(error.message);
}

/** What a restore takes for nothing known. */
const unknownTraits = {
  owner: '',
  encoding: 'UTF8',
  localeProvider: 'libc',
  collate: '',
  ctype: '',
  tablespace: 'pg_default',
  connectionLimit: -1,
} as const;
