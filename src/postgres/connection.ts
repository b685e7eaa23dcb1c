import type { Socket } from 'node:net';
import { checkServerIdentity, type ConnectionOptions, type PeerCertificate } from 'node:tls';
import { Client } from 'pg';
import { Failure } from '../api/failure.ts';
import type { FailureReason } from '../api/reasons.ts';
import { aborted } from '../pipeline/aborted.ts';
import { reasonOfSqlstate, reasonOfText } from './server-errors.ts';
import { applicationName, isSocket, serverAddress, type Server } from './server.ts';

export interface ConnectOptions {
  /** For reaching the server and logging in. */
  readonly timeoutMs: number;
}

/** A connection to one database. Its search_path is empty: names outside of pg_catalog are to be qualified. */
export interface Connection {
  /** Rows of one statement; values as `pg` gives them. Throws a Failure. */
  query<Row extends object>(text: string, values?: readonly unknown[]): Promise<readonly Row[]>;
  /** The same, with values as the server prints them, in the order of the columns. */
  texts(text: string): Promise<readonly (readonly (string | null)[])[]>;
  /** Idempotent; never throws. */
  close(): Promise<void>;
}

/**
 * Connects and logs in. Throws ServerUnreachable, AuthenticationFailed, DatabaseMissing, PermissionDenied, TlsFailed or Aborted.
 * An abort also ends what runs later on the connection.
 */
export async function connectClient(
  server: Server,
  database: string,
  options: ConnectOptions,
  signal: AbortSignal,
): Promise<Connection> {
  if (signal.aborted) throw aborted(signal);
  const client = new Client({
    host: server.host,
    port: server.port,
    user: server.user,
    // Not undefined: then pg would look into the environment and into ~/.pgpass.
    password: server.password ?? '',
    database,
    ssl: tlsOptions(server),
    connectionTimeoutMillis: options.timeoutMs,
    application_name: applicationName,
    keepAlive: true,
    keepAliveInitialDelayMillis: 30_000,
  });
  let broken: Error | undefined;
  let closed = false;
  // A connection that breaks between two statements says so here; without a listener that would end the process.
  client.on('error', (error) => {
    broken ??= error;
  });
  const close = async (): Promise<void> => {
    if (closed) return;
    closed = true;
    signal.removeEventListener('abort', onAbort);
    const ended = client.end().catch(() => {});
    // The goodbye is sent, its answer not waited for: a server that hangs, or a network that is gone, would never give it.
    streamOf(client).destroySoon();
    await ended;
  };
  const onAbort = (): void => {
    streamOf(client).destroy();
  };
  signal.addEventListener('abort', onAbort, { once: true });

  try {
    await client.connect();
    // As pg_dump does: whoever owns the database could have set a search_path on which their own functions come first.
    await client.query(`SELECT pg_catalog.set_config('search_path', '', false)`);
  } catch (error) {
    await close();
    if (signal.aborted) throw aborted(signal);
    throw connectFailure(error, server, database);
  }

  return {
    async query<Row extends object>(text: string, values: readonly unknown[] = []) {
      try {
        const { rows } = await client.query<Row>(text, [...values]);
        return rows;
      } catch (error) {
        if (signal.aborted) throw aborted(signal);
        throw queryFailure(broken ?? error, error, server, database);
      }
    },
    async texts(text: string) {
      try {
        const { rows } = await client.query<(string | null)[]>({ text, rowMode: 'array', types: asText });
        return rows;
      } catch (error) {
        if (signal.aborted) throw aborted(signal);
        throw queryFailure(broken ?? error, error, server, database);
      }
    },
    close,
  };
}

/** No value is read as anything but its text. */
const asText = { getTypeParser: () => (text: string | Buffer) => text.toString() };

function streamOf(client: Client): Socket {
  return (client as unknown as { readonly connection: { readonly stream: Socket } }).connection.stream;
}

function tlsOptions(server: Server): false | ConnectionOptions {
  const { mode, ca, clientCertificate, clientKey } = server.tls;
  if (mode === 'disable' || isSocket(server)) return false;
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(clientCertificate === undefined ? {} : { cert: clientCertificate }),
    ...(clientKey === undefined ? {} : { key: clientKey }),
    rejectUnauthorized: mode !== 'require',
    // Said here and not left to pg, which forgets the host when it is an address.
    checkServerIdentity: (_host: string, certificate: PeerCertificate) =>
      mode === 'verify-full' ? checkServerIdentity(server.host, certificate) : undefined,
  };
}

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

function connectFailure(error: unknown, server: Server, database: string): Failure {
  const { code, message } = describe(error);
  const where = `connection to ${serverAddress(server)}, database "${database}"`;
  const reason = connectReason(code, message);
  const options = { cause: error, ...(hints[reason] === undefined ? {} : { hint: hints[reason] }) };
  return new Failure(reason, `${where} failed: ${message}`, options);
}

function connectReason(code: string, message: string): FailureReason {
  if (/does not support SSL/.test(message)) return 'TlsFailed';
  // pg's own words: no password was given, or the server does not prove that it knows it either.
  if (message.startsWith('SASL: ')) return 'AuthenticationFailed';
  // SQLSTATE: five characters, digits and capitals; Node's codes are words.
  if (/^[0-9A-Z]{5}$/.test(code)) {
    const reason = reasonOfSqlstate(code) ?? 'ServerUnreachable';
    return reason === 'ConnectionLost' ? 'ServerUnreachable' : reason;
  }
  if (unreachable.has(code)) return 'ServerUnreachable';
  if (
    /^(?:CERT_|ERR_TLS_|ERR_SSL_|ERR_OSSL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|EPROTO)/.test(code)
  ) {
    return 'TlsFailed';
  }
  if (/timeout|terminated/i.test(message)) return 'ServerUnreachable';
  const reason = reasonOfText(message) ?? 'ServerUnreachable';
  return reason === 'ConnectionLost' ? 'ServerUnreachable' : reason;
}

const hints: Partial<Record<FailureReason, string>> = {
  TlsFailed:
    'Give the authority of the server’s certificate as tls.ca, or connect by a name that the certificate holds.',
};

function queryFailure(first: unknown, error: unknown, server: Server, database: string): Failure {
  const { code, message } = describe(first);
  const reason =
    reasonOfSqlstate(code) ??
    (/terminated|ended|closed|not queryable/i.test(message) || unreachable.has(code) ? 'ConnectionLost' : 'Internal');
  return new Failure(reason, `query on ${serverAddress(server)}, database "${database}" failed: ${message}`, {
    cause: error,
  });
}

function describe(error: unknown): { readonly code: string; readonly message: string } {
  if (!(error instanceof Error)) return { code: '', message: String(error) };
  // Several addresses of one name were tried: the first tells enough.
  if (error instanceof AggregateError && error.errors.length > 0) return describe(error.errors[0]);
  const { code } = error as { code?: unknown };
  return { code: typeof code === 'string' ? code : '', message: error.message };
}
