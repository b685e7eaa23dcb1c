import type { Socket } from 'node:net';
import { checkServerIdentity, type ConnectionOptions, type PeerCertificate } from 'node:tls';
import { Client, type QueryResult } from 'pg';
import { aborted } from '../pipeline/aborted.ts';
import { refuseCleartext } from './cleartext-password.ts';
import { connectFailure, queryFailure } from './connect-failure.ts';
import { judgePooling, type Look } from './pooling.ts';
import { applicationName, isSocket, refusesCleartext, type Server } from './server.ts';
import { steadyStatements } from './steady-session.ts';

export interface ConnectOptions {
  /** For reaching the server and logging in. */
  readonly timeoutMs: number;
  /** How long a statement may take, at the server and until its answer is here. Without it statements have no limit. */
  readonly queryLimitMs?: number;
  /**
   * How long the answer may take to a statement that reads, or says where a transaction stands. Not to one that changes
   * something: a CREATE, DROP or ALTER DATABASE waits for a checkpoint, or copies files, and rightly takes as long as that does.
   */
  readonly readLimitMs?: number;
}

/**
 * A connection to one database, with a session of the server that is ours alone and that no setting of role, database or server
 * disturbs (steady-session.ts). Its search_path is empty: names outside of pg_catalog are to be qualified.
 */
export interface Connection {
  /** True: the server itself is at the other end. False: a pooler, with a session for us. */
  readonly direct: boolean;
  /** Rows of one statement; values as `pg` gives them. Throws a Failure. */
  query<Row extends object>(text: string, values?: readonly unknown[]): Promise<readonly Row[]>;
  /** The same, with values as the server prints them, in the order of the columns. */
  texts(text: string): Promise<readonly (readonly (string | null)[])[]>;
  /** Idempotent; never throws. */
  close(): Promise<void>;
}

/** A second session is wanted only to look whether the first is shared; a full pool would keep us waiting. */
const secondLoginMs = 2_000;
/** The server cancels a statement itself; if it cannot even do that, we do not wait for it much longer. */
const answerGraceMs = 5_000;
/** A role may have a timeout of a millisecond, and a busy server may need more for the statement that lifts it. */
const steadyTries = 10;

/**
 * Connects, logs in, and steadies the session. Throws ServerUnreachable, AuthenticationFailed, DatabaseMissing, DatabaseClosed,
 * PermissionDenied, TlsFailed, TransactionPooling or Aborted. An abort also ends what runs later on the connection.
 */
export async function connectClient(
  server: Server,
  database: string,
  options: ConnectOptions,
  signal: AbortSignal,
): Promise<Connection> {
  if (signal.aborted) throw aborted(signal);
  const { timeoutMs, queryLimitMs, readLimitMs } = options;
  const client = newClient(server, database, timeoutMs);
  const stream = streamOf(client);
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
    await leave(client);
  };
  const onAbort = (): void => {
    stream().destroy();
  };
  signal.addEventListener('abort', onAbort, { once: true });

  let direct: boolean;
  try {
    await client.connect();
    ({ direct } = await judgePooling(lookThrough(client, timeoutMs), () => logInAgain(server, database, timeoutMs)));
    await steady(client, queryLimitMs ?? 0, timeoutMs);
  } catch (error) {
    await close();
    if (signal.aborted) throw aborted(signal);
    throw connectFailure(error, server, database);
  }

  const limitOf = (text: string): { readonly query_timeout?: number } => {
    if (queryLimitMs !== undefined) return { query_timeout: queryLimitMs + answerGraceMs };
    return readLimitMs !== undefined && reads.test(text) ? { query_timeout: readLimitMs } : {};
  };
  const run = async <T>(statement: () => Promise<T>): Promise<T> => {
    try {
      return await statement();
    } catch (error) {
      if (signal.aborted) throw aborted(signal);
      // Nothing more is asked of a server that does not answer.
      if (isSilence(error)) stream().destroy();
      throw queryFailure(error, broken, server, database);
    }
  };
  return {
    direct,
    query: async <Row extends object>(text: string, values: readonly unknown[] = []) => {
      const statement = { text, values: [...values], ...limitOf(text) };
      return (await run(() => client.query<Row>(statement))).rows;
    },
    texts: async (text: string) => {
      const statement = { text, rowMode: 'array' as const, types: asText, ...limitOf(text) };
      return (await run(() => client.query<(string | null)[]>(statement))).rows;
    },
    close,
  };
}

/** Not yet connected. */
export function newClient(server: Server, database: string, timeoutMs: number): Client {
  const client = new Client({
    host: server.host,
    port: server.port,
    user: server.user,
    // Not undefined: then pg would look into the environment and into ~/.pgpass.
    password: server.password ?? '',
    database,
    ssl: tlsOptions(server),
    connectionTimeoutMillis: timeoutMs,
    application_name: server.sessionName ?? applicationName,
    keepAlive: true,
    keepAliveInitialDelayMillis: 30_000,
    ...(server.startupOptions === undefined ? {} : { options: server.startupOptions }),
  });
  if (refusesCleartext(server)) refuseCleartext(client);
  return client;
}

async function leave(client: Client): Promise<void> {
  const ended = client.end().catch(() => {});
  // The goodbye is sent, its answer not waited for: a server that hangs, or a network that is gone, would never give it.
  streamOf(client)().destroySoon();
  await ended;
}

function lookThrough(client: Client, timeoutMs: number): Look {
  const { processID } = client as unknown as { readonly processID: number | null };
  return {
    toldPid: processID ?? undefined,
    rows: async (text) => {
      const statement = { text, query_timeout: timeoutMs };
      return tryWhileCancelled(async () => {
        const answer: QueryResult | QueryResult[] = await client.query(statement);
        // Several statements, several answers: what was asked for is the only one with rows.
        return Array.isArray(answer) ? answer.flatMap(({ rows }) => rows) : answer.rows;
      });
    },
  };
}

async function logInAgain(
  server: Server,
  database: string,
  timeoutMs: number,
): Promise<(Look & { close(): Promise<void> }) | undefined> {
  const withinMs = Math.min(secondLoginMs, timeoutMs);
  const client = newClient(server, database, withinMs);
  client.on('error', () => {});
  try {
    await client.connect();
  } catch {
    await leave(client);
    return undefined;
  }
  return { ...lookThrough(client, withinMs), close: () => leave(client) };
}

async function steady(client: Client, statementTimeoutMs: number, timeoutMs: number): Promise<void> {
  const statement = { text: steadyStatements(statementTimeoutMs), query_timeout: timeoutMs };
  await tryWhileCancelled(() => client.query(statement));
}

/** Again when a timeout of the role was faster than what lifts it. */
async function tryWhileCancelled<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      const { code } = error as { code?: unknown };
      if (code !== '57014' || tries >= steadyTries) throw error;
    }
  }
}

function isSilence(error: unknown): boolean {
  return error instanceof Error && error.message === 'Query read timeout';
}

/** Of our own statements: none of these does more than read a catalog, call one function at once, or mark where a transaction stands. */
const reads = /^\s*(?:SELECT|SHOW|SET|BEGIN|SAVEPOINT|RELEASE|ROLLBACK)\b/i;

/** No value is read as anything but its text. */
const asText = { getTypeParser: () => (text: string | Buffer) => text.toString() };

/** As it is now: with TLS it becomes another one. */
function streamOf(client: Client): () => Socket {
  return () => (client as unknown as { readonly connection: { readonly stream: Socket } }).connection.stream;
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
