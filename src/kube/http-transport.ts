import { isDeepStrictEqual } from 'node:util';
import * as http from 'node:http';
import * as https from 'node:https';
import type { Clock } from '../support/clock.ts';
import { KubeError } from './client.ts';
import { errorOfAnswer, parseKubeStatus } from './kube-answer.ts';
import type { ServerTime } from './server-clock.ts';

/** Options of a request that say who asks; the headers are always a record. */
export type Authorization = Omit<https.RequestOptions, 'headers'> & { readonly headers: Record<string, string> };

/** Where the server is and who we are; asked before each request, because tokens and certificates rotate. */
export interface ConnectionSource {
  /** Base URL of the API server; a path prefix is kept. */
  readonly server: string;
  /** TLS and authorization for one request; `agent` only where a proxy needs one of its own. */
  authorize(): Promise<Authorization>;
  /** Forgets cached credentials after a 401. */
  renew(): Promise<void>;
}

export interface TransportOptions {
  readonly source: ConnectionSource;
  readonly clock: Clock;
  readonly userAgent: string;
  /** A larger answer is an error, not an out-of-memory. */
  readonly maxAnswerBytes: number;
  /** Told of each answer below 300 that bears a date: what stands between us and the server answers errors of its own. */
  readonly onServerTime?: ((time: ServerTime) => void) | undefined;
}

export interface TransportRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Without the server's prefix. */
  readonly path: string;
  readonly query?: URLSearchParams;
  readonly body?: unknown;
}

/** An answer below 400; the caller consumes `message` or destroys it. */
export interface TransportAnswer {
  readonly status: number;
  readonly message: http.IncomingMessage;
}

/** Requests to one API server over kept-alive connections. */
export interface Transport {
  /** Rejects with KubeError for an answer of 400 and more, with `Unreachable` for none, with the signal's reason on abort. */
  send(request: TransportRequest, signal: AbortSignal): Promise<TransportAnswer>;
  /** The whole body as text. Ends short silently never: a cut connection is `Unreachable`. */
  readText(answer: TransportAnswer, signal: AbortSignal): Promise<string>;
  /** Closes idle connections; requests in flight are not touched. */
  close(): void;
}

const tlsMembers = ['ca', 'cert', 'key', 'pfx', 'passphrase', 'servername', 'rejectUnauthorized'] as const;

export function createTransport(options: TransportOptions): Transport {
  const { source, clock, userAgent, maxAnswerBytes, onServerTime } = options;
  const base = new URL(source.server);
  const prefix = base.pathname.replace(/\/+$/, '');
  const library = base.protocol === 'http:' ? http : https;
  let agent: { readonly tls: https.RequestOptions; readonly agent: http.Agent } | undefined;

  /** One agent per set of TLS material, so that a rotated certificate is used for new connections. */
  const agentFor = (options: https.RequestOptions): http.Agent => {
    if (base.protocol === 'http:') {
      agent ??= { tls: {}, agent: new http.Agent({ keepAlive: true }) };
      return agent.agent;
    }
    const tls = Object.fromEntries(tlsMembers.map((name) => [name, options[name]]).filter(([, v]) => v !== undefined));
    const known = agent?.tls;
    if (agent === undefined || tlsMembers.some((name) => !isSameMaterial(known?.[name], options[name]))) {
      if (agent) closeIdle(agent.agent);
      agent = { tls, agent: new https.Agent({ ...tls, keepAlive: true, keepAliveMsecs: 15_000, scheduling: 'lifo' }) };
    }
    return agent.agent;
  };

  const attempt = async (request: TransportRequest, signal: AbortSignal): Promise<TransportAnswer> => {
    const authorized = await authorize(source);
    signal.throwIfAborted();
    const body = request.body === undefined ? undefined : Buffer.from(JSON.stringify(request.body));
    const query = request.query?.toString() ?? '';
    const asked: https.RequestOptions = {
      host: base.hostname.replace(/^\[(.*)\]$/, '$1'),
      port: base.port === '' ? undefined : base.port,
      method: request.method,
      path: `${prefix}${request.path}${query === '' ? '' : `?${query}`}`,
      headers: {
        ...authorized.headers,
        accept: 'application/json',
        'user-agent': userAgent,
        ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': body.length }),
      },
      ...(typeof authorized.auth === 'string' ? { auth: authorized.auth } : {}),
      agent: authorized.agent ?? agentFor(authorized),
      signal,
    };
    const sentMs = clock.monotonicMs();
    return new Promise((resolve, reject) => {
      const outgoing = library.request(asked, (message) => {
        const status = message.statusCode ?? 0;
        const dateMs = Date.parse(message.headers.date ?? '');
        if (status >= 200 && status < 300 && !Number.isNaN(dateMs)) {
          onServerTime?.({ dateMs, tookMs: clock.monotonicMs() - sentMs });
        }
        resolve({ status, message });
      });
      outgoing.on('socket', (socket) => socket.setKeepAlive(true, 15_000));
      outgoing.on('error', (error) => {
        reject(error instanceof StaleSocket ? error : unreachable(error, outgoing.reusedSocket));
      });
      outgoing.end(body);
    });
  };

  const send = async (request: TransportRequest, signal: AbortSignal): Promise<TransportAnswer> => {
    let renewed = false;
    let repeated = false;
    for (;;) {
      signal.throwIfAborted();
      try {
        const answer = await attempt(request, signal);
        if (answer.status >= 200 && answer.status < 300) return answer;
        const error = await readError(answer, signal);
        if (error.code !== 'Unauthorized' || renewed) throw error;
        renewed = true;
        await source.renew();
      } catch (error) {
        signal.throwIfAborted();
        // The server closed an idle connection while we wrote to it: a read can be asked again at once.
        if (!(error instanceof StaleSocket) || request.method !== 'GET' || repeated) throw error;
        repeated = true;
      }
    }
  };

  const readError = async (answer: TransportAnswer, signal: AbortSignal): Promise<KubeError> => {
    const text = await readText(answer, signal);
    const retryAfter = answer.message.headers['retry-after'];
    return errorOfAnswer(answer.status, parseKubeStatus(text), text, retryAfter, clock.nowMs());
  };

  const readText = async (answer: TransportAnswer, signal: AbortSignal): Promise<string> => {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    try {
      for await (const chunk of answer.message as AsyncIterable<Uint8Array>) {
        bytes += chunk.length;
        chunks.push(chunk);
        if (bytes > maxAnswerBytes) throw new AnswerTooLarge(maxAnswerBytes, readHead(chunks));
      }
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof KubeError) throw error;
      throw unreachable(error, false);
    }
    return Buffer.concat(chunks).toString('utf8');
  };

  return { send, readText, close: () => agent && closeIdle(agent.agent) };
}

/** Read anew for each request, and nearly always the same. */
function isSameMaterial(a: unknown, b: unknown): boolean {
  return isDeepStrictEqual(a, b);
}

/** Enough for the metadata of an object: annotations have at most 256 KiB. */
const headBytes = 1 << 20;

function readHead(chunks: readonly Uint8Array[]): string {
  // Zeros where the answer is shorter say nothing.
  return Buffer.concat(chunks, headBytes).toString('utf8');
}

export class AnswerTooLarge extends KubeError {
  /** How the answer begins. */
  readonly head: string;

  constructor(maxBytes: number, head: string) {
    super('TooLarge', `an answer of more than ${maxBytes} bytes`);
    this.head = head;
  }
}

class StaleSocket extends KubeError {}

/** What Node says of a broken connection, as a KubeError. */
export function unreachable(error: unknown, reusedSocket: boolean): KubeError {
  const message = error instanceof Error && error.message !== '' ? error.message : 'the connection failed';
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const suffix = typeof code === 'string' && !message.includes(code) ? ` (${code})` : '';
  const text = `the API server cannot be reached: ${message}${suffix}`;
  const stale = reusedSocket && (code === 'ECONNRESET' || code === 'EPIPE');
  return stale
    ? new StaleSocket('Unreachable', text, { cause: error })
    : new KubeError('Unreachable', text, { cause: error });
}

async function authorize(source: ConnectionSource): Promise<Authorization> {
  let options: Authorization;
  try {
    options = await source.authorize();
  } catch (error) {
    throw new KubeError('Unauthorized', 'the credentials for the API server cannot be obtained', { cause: error });
  }
  const headers = { ...options.headers };
  // Token files tend to end with a line feed, which Node refuses in a header.
  if (headers['Authorization'] !== undefined) headers['Authorization'] = headers['Authorization'].trim();
  return { ...options, headers };
}

function closeIdle(agent: http.Agent): void {
  for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
}
