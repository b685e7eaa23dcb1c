import { quoteText } from './quote.ts';
import type { Server } from './server.ts';

/**
 * The one place that steadies sessions: what an administrator set for the role, the database or the server reaches neither our own
 * sessions nor those of pg_dump and pg_restore, nor those that load scripts. `role` stays as it is: whom a login acts as is a matter of rights.
 */
const everywhere: Readonly<Record<string, string>> = {
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  // A restore writes, whatever the role's sessions do else.
  default_transaction_read_only: 'off',
  // Serializable is refused by a hot standby, at the first statement.
  default_transaction_isolation: 'read committed',
  default_transaction_deferrable: 'off',
  client_min_messages: 'warning',
  // What cannot be read costs a fact, not the session.
  exit_on_error: 'off',
  // What texts look like, and what is read from them.
  standard_conforming_strings: 'on',
  quote_all_identifiers: 'off',
  bytea_output: 'hex',
  array_nulls: 'on',
  transform_null_equals: 'off',
};

/** By the major that brought them: an older server refuses what it does not know. */
const since: readonly (readonly [number, string])[] = [
  [14, 'idle_session_timeout'],
  [17, 'transaction_timeout'],
];

/**
 * Superusers may set them, and (since 15) who was granted it. The refusals of the programs are read by their words, so these are wanted
 * in English; pages that are damaged must fail a dump instead of being taken for empty ones.
 */
const privileged: Readonly<Record<string, string>> = {
  lc_messages: 'C',
  zero_damaged_pages: 'off',
  ignore_checksum_failure: 'off',
};

/** The same, of sessions that only read: since 17 a login can run what a user of the database wrote. */
const privilegedOfReaders: Readonly<Record<string, string>> = { event_triggers: 'off' };

export const privilegedNames: readonly string[] = Object.keys({ ...privileged, ...privilegedOfReaders });

/** Only of our own sessions. The programs have theirs; a script that is loaded has its own, too. */
const ours: Readonly<Record<string, string>> = {
  // As pg_dump does: whoever owns the database could have set a search_path on which their own functions come first.
  search_path: '',
  row_security: 'on',
  client_encoding: 'UTF8',
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  extra_float_digits: '1',
  xmlbinary: 'base64',
  // How the server notices that we are gone.
  tcp_keepalives_idle: '60',
  tcp_keepalives_interval: '10',
  tcp_keepalives_count: '6',
};

/** What is at the other end, as the first session found it. */
export interface OtherEnd {
  /** The server itself, not a pooler. */
  readonly direct: boolean;
  readonly major: number;
  /** Which privileged settings the user may change; see read-settable.ts. */
  readonly settable?: readonly string[];
  /** Nothing is written there. */
  readonly onlyReads?: boolean;
}

/**
 * As `options` of a startup packet (PGOPTIONS): holds from the first statement on, before a timeout of a millisecond can strike, and
 * before an event trigger for logins runs. Not for poolers, which refuse a login with options.
 */
export function startupOptions({ major, settable = [], onlyReads = false }: Omit<OtherEnd, 'direct'>): string {
  const newer = since.filter(([from]) => major >= from).map(([, name]) => [name, '0'] as const);
  const allowed = Object.entries({ ...privileged, ...(onlyReads ? privilegedOfReaders : {}) }).filter(([name]) =>
    settable.includes(name),
  );
  return [...Object.entries(everywhere), ...newer, ...allowed]
    .map(([name, value]) => `-c ${name}=${value.replaceAll(' ', String.raw`\ `)}`)
    .join(' ');
}

/** The server as later sessions log in there, once one has told what is at the other end. */
export function steadied(server: Server, end: OtherEnd): Server {
  return end.direct ? { ...server, startupOptions: startupOptions(end) } : server;
}

/**
 * Statements that steady the session they run in. Timeouts go first and alone: the rest may then take its time. A setting that the
 * server does not know is passed over.
 */
export function steadyStatements(statementTimeoutMs: number): string {
  const settings = { ...everywhere, ...Object.fromEntries(since.map(([, name]) => [name, '0'])), ...ours };
  const rows = Object.entries({ ...settings, statement_timeout: String(statementTimeoutMs) });
  const values = rows.map(([name, value]) => `(${quoteText(name)}, ${quoteText(value)})`).join(', ');
  return `SET statement_timeout = 0;
SELECT pg_catalog.set_config(s.name, s.value, false) FROM (VALUES ${values}) AS s (name, value)
 WHERE pg_catalog.current_setting(s.name, true) IS NOT NULL`;
}

/** The same for a session that loads a script, where startup options are refused. What texts mean there, the script says itself. */
export function loadSettings(): readonly string[] {
  const settings = { ...everywhere, ...Object.fromEntries(since.map(([, name]) => [name, '0'])) };
  const values = Object.entries(settings).map(([name, value]) => `(${quoteText(name)}, ${quoteText(value)})`);
  return [
    'SET statement_timeout = 0',
    `SELECT pg_catalog.set_config(s.name, s.value, false) FROM (VALUES ${values.join(', ')}) AS s (name, value)
 WHERE pg_catalog.current_setting(s.name, true) IS NOT NULL`,
  ];
}
