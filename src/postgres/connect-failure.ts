import { Failure } from '../api/failure.ts';
import type { FailureReason } from '../api/reasons.ts';
import { reasonOfSqlstate, reasonOfText } from './server-errors.ts';
import { serverAddress, type Server } from './server.ts';

const unreachable = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EAI_FAIL',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ECONNRESET',
  'EPIPE',
  'ENOENT',
  'EADDRNOTAVAIL',
]);

/** A server or pooler that lets nobody in without encryption. */
const wantsTls =
  /(?:SSL|TLS) (?:connections? (?:is|are) )?required|requires? (?:an? )?(?:SSL|TLS)|connection is insecure/i;
/** PostgreSQL's way to say so: no line of its rules is for such a connection. */
const unencrypted = /no pg_hba\.conf entry [^\n]*(?:no encryption|SSL off)/;

/** Broken off in the middle of TLS by whoever was restarted or reset: no fault of keys and certificates. */
const tornTls = /unexpected eof|bad record mac|bad decrypt|disconnected before secure TLS/i;

/** What refuses a login now and may not later: a server or pooler that is full, starts, stops, or cannot reach what is behind it. */
const passing = new RegExp(
  [
    String.raw`connect(?:ion)? (?:failed|refused|timed? ?out)|tim(?:ed?|e)[ -]?out\b|_timeout\b|DNS lookup`,
    String.raw`(?:couldn.t|could not|can ?not|failed to|unable to) (?:get|open|create|check ?out|connect)`,
    String.raw`max[ _-]?client|too many (?:\w+ )?(?:clients|connections)|no more connections`,
    String.raw`shut(?:ting)? ?down|starting up|not yet accepting|in recovery|terminating|failover|unavailable`,
    String.raw`(?:servers?|nodes?) ?(?:is |are )?down|conn(?:ection)? crashed|connection to [^\n]*closed|read/write error`,
  ].join('|'),
  'i',
);

/**
 * A pooler's words that leave open whether its server is down or refuses its password: worth a moment, not all of the time that a
 * server is waited for.
 */
const ambiguous = /query_wait_timeout|try again later \(server_login_retry\)/;

export function mayHealSoon(failure: Failure): boolean {
  return failure.reason === 'AuthenticationFailed' && ambiguous.test(failure.message);
}

/** What it means that a login failed. */
export function connectFailure(error: unknown, server: Server, database: string): Failure {
  if (error instanceof Failure && error.reason !== 'Internal') {
    const { reason, message, hint } = error;
    const text = `connection to ${serverAddress(server)}, database "${database}": ${message}`;
    return new Failure(reason, text, { cause: error, ...(hint === undefined ? {} : { hint }) });
  }
  const { code, message } = describe(error);
  const reason = connectReason(code, message);
  const hint = hintOf(reason, message);
  return new Failure(reason, `connection to ${serverAddress(server)}, database "${database}" failed: ${message}`, {
    cause: error,
    ...(hint === undefined ? {} : { hint }),
  });
}

function connectReason(code: string, message: string): FailureReason {
  if (/does not support SSL/.test(message) || wantsTls.test(message)) return 'TlsFailed';
  // pg's own words: no password was given, or the server does not prove that it knows it either.
  if (message.startsWith('SASL: ')) return 'AuthenticationFailed';
  if (isSqlstate(code)) return refusalReason(code, message);
  if (unreachable.has(code) || tornTls.test(message)) return 'ServerUnreachable';
  if (
    /^(?:CERT_|ERR_TLS_|ERR_SSL_|ERR_OSSL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|EPROTO)/.test(code)
  ) {
    return 'TlsFailed';
  }
  if (/timeout|terminated/i.test(message)) return 'ServerUnreachable';
  const reason = reasonOfText(message) ?? 'ServerUnreachable';
  return reason === 'ConnectionLost' ? 'ServerUnreachable' : reason;
}

/** Somebody is there and refuses. Whoever answers can be reached: waiting helps only against what passes by itself. */
function refusalReason(code: string, message: string): FailureReason {
  if (/conflict with recovery/.test(message)) return 'RecoveryConflict';
  // "is not currently accepting connections", "cannot connect to invalid database".
  if (code === '55000') return 'DatabaseClosed';
  // Poolers have few codes for everything (08P01, XX000, 58000): there, the words count.
  if (!/^(?:08|XX|58)/.test(code)) {
    const reason = reasonOfSqlstate(code) ?? 'AuthenticationFailed';
    return reason === 'ConnectionLost' ? 'ServerUnreachable' : reason;
  }
  if (/no such database|database "[^\n]*" does not exist/.test(message)) return 'DatabaseMissing';
  if (/authentication|password|no such user|(?:user|tenant|role)\b[^\n]* not found/i.test(message))
    return 'AuthenticationFailed';
  if (
    /database does not allow connections|is not currently accepting connections|database "[^\n]*" is disabled/.test(
      message,
    )
  )
    return 'DatabaseClosed';
  if (ambiguous.test(message)) return 'AuthenticationFailed';
  if (passing.test(message) || /^08(?!P01)/.test(code)) return 'ServerUnreachable';
  return 'AuthenticationFailed';
}

function hintOf(reason: FailureReason, message: string): string | undefined {
  if (/does not support SSL/.test(message)) {
    return 'Set tls.mode to disable (in a uri: sslmode=disable) if the network may be trusted, or turn TLS on at the server.';
  }
  if (wantsTls.test(message) || unencrypted.test(message)) {
    return 'Set tls.mode to verify-full or require (in a uri: sslmode): the server takes encrypted connections only.';
  }
  if (/pg_hba\.conf/.test(message)) {
    const encrypted = /no encryption|SSL off/.test(message)
      ? ' If it takes encrypted connections only: set tls.mode.'
      : '';
    return `Add a line for this user and database to pg_hba.conf, or leave the database out (source.postgres.databases.exclude).${encrypted}`;
  }
  if (reason === 'PermissionDenied' && /CONNECT privilege|permission denied for database/.test(message)) {
    return 'GRANT CONNECT ON DATABASE … TO the user, or leave the database out (source.postgres.databases.exclude).';
  }
  return hints[reason];
}

const hints: Partial<Record<FailureReason, string>> = {
  TlsFailed:
    'Give the authority of the server’s certificate as tls.ca, or connect by a name that the certificate holds.',
  DatabaseClosed:
    'Open it (ALTER DATABASE … WITH ALLOW_CONNECTIONS true), drop it if its DROP DATABASE was interrupted, or leave it out; to look from another database, set maintenanceDatabase.',
};

/** Whether somebody at the other end said so himself, rather than nobody answering. */
export function wasAnswered({ cause }: Failure): boolean {
  return isSqlstate(describe(cause).code);
}

/** What it means that a statement failed. `broken`: what the connection itself said, if it broke. */
export function queryFailure(error: unknown, broken: Error | undefined, server: Server, database: string): Failure {
  const { code, message } = describe(broken ?? error);
  return new Failure(
    queryReason(code, message),
    `query on ${serverAddress(server)}, database "${database}" failed: ${message}`,
    {
      cause: error,
    },
  );
}

function queryReason(code: string, message: string): FailureReason {
  if (isSqlstate(code)) {
    // 57014 and 40001 have many causes; the words tell which.
    if (/conflict with recovery/.test(message)) return 'RecoveryConflict';
    // PgBouncer's word for a server that broke away behind it, and for a pool that is full.
    if (code.startsWith('08') || /^(?:server conn crashed|query_wait_timeout)/.test(message)) return 'ConnectionLost';
    if (code === '57014' && /user request/.test(message)) return 'ConnectionLost';
    return reasonOfSqlstate(code) ?? 'Internal';
  }
  // Node's codes are words; pg's own words have none. What is left is no word of a connection: a bug.
  const ofConnection = /terminated|ended|closed|not queryable|read timeout|socket/i.test(message);
  return code !== '' || ofConnection ? 'ConnectionLost' : 'Internal';
}

/** Five characters, digits and capitals; Node's codes are longer words, but for EPIPE. */
function isSqlstate(code: string): boolean {
  return /^[0-9A-Z]{5}$/.test(code) && code !== 'EPIPE';
}

function describe(error: unknown): { readonly code: string; readonly message: string } {
  if (!(error instanceof Error)) return { code: '', message: String(error) };
  // Several addresses of one name were tried: the first tells enough.
  if (error instanceof AggregateError && error.errors.length > 0) return describe(error.errors[0]);
  const { code } = error as { code?: unknown };
  return { code: typeof code === 'string' ? code : '', message: error.message };
}
