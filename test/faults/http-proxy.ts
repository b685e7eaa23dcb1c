import { once } from 'node:events';
import { createServer, request as send, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { type S3Verb, verbOf } from '../servers/s3-verb.ts';

/** A request to the real S3 server, as a script sees it. */
export interface S3Asked {
  readonly verb: S3Verb;
  /** Below the bucket. */
  readonly key: string;
  /** Of a `part`, from 1. */
  readonly part: number;
  /** How many requests of this verb came before under the same script. */
  readonly index: number;
}

/** What happens to a request; undefined = it is forwarded, and so is the answer. */
export type HttpFault =
  | undefined
  /** RST after the first bytes of the body. */
  | 'reset'
  /** The server does the work; the answer is lost. */
  | 'lose-answer'
  /** Nothing is forwarded or answered until the client goes. */
  | 'stall'
  | { readonly status: number; readonly code: string }
  /** Answered with 200 and this, not forwarded. */
  | { readonly body: string }
  /** One bit of the body is flipped on the way to the server. */
  | { readonly flipAt: number }
  /** The server does the work; then this is done, and then the answer comes. */
  | { readonly afterwards: () => void }
  /** Headers of the real answer are changed. */
  | { readonly headers: Readonly<Record<string, string>> }
  /** The real answer breaks off after so many bytes. */
  | { readonly cutAfter: number }
  | { readonly bytesPerSecond: number };

export type HttpScript = (asked: S3Asked) => HttpFault;

export interface HttpProxy {
  readonly endpoint: string;
  /** Requests whose key or prefix has this as a segment (the name of a policy, say) meet the script; undefined lifts it. */
  script(needle: string, script: HttpScript | undefined): void;
  /** How often a script answered with a fault. */
  faults(needle: string): number;
  stop(): Promise<void>;
}

/** A reverse proxy to a real S3 server: what it forwards is byte for byte the client's, Host and signature too. */
export async function startHttpProxy(target: string): Promise<HttpProxy> {
  const { hostname, port: targetPort } = new URL(target);
  const scripts = new Map<string, { readonly ask: HttpScript; readonly counts: Map<string, number>; faults: number }>();
  const server = createServer((incoming, response) => {
    incoming.on('error', () => undefined);
    response.on('error', () => undefined);
    serve(incoming, response).catch(() => incoming.socket.destroy());
  });

  function find(asked: Omit<S3Asked, 'index'>, prefix: string): HttpFault {
    for (const [needle, script] of scripts) {
      if (!`/${asked.key} /${prefix}`.includes(`/${needle}/`)) continue;
      const index = script.counts.get(asked.verb) ?? 0;
      script.counts.set(asked.verb, index + 1);
      const fault = script.ask({ ...asked, index });
      if (fault !== undefined) script.faults += 1;
      return fault;
    }
    return undefined;
  }

  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(incoming.url ?? '/', 'http://localhost');
    const key = decodeURIComponent(url.pathname.split('/').slice(2).join('/'));
    const verb = verbOf(incoming.method ?? '', url.searchParams, key);
    const part = Number(url.searchParams.get('partNumber') ?? 0);
    const fault = find({ verb, key, part }, url.searchParams.get('prefix') ?? '');
    if (fault === 'stall') return;
    if (fault === 'reset') {
      if (verb === 'put' || verb === 'part') await new Promise((resolve) => incoming.once('data', resolve));
      return void incoming.socket.resetAndDestroy();
    }
    if (typeof fault === 'object' && ('status' in fault || 'body' in fault)) {
      for await (const _ of incoming);
      const [status, text] = 'body' in fault ? [200, fault.body] : [fault.status, errorOf(fault.code)];
      response.writeHead(status, { 'content-type': 'application/xml', 'content-length': Buffer.byteLength(text) });
      return void response.end(incoming.method === 'HEAD' ? '' : text);
    }
    await forward(incoming, response, fault);
  }

  async function forward(incoming: IncomingMessage, response: ServerResponse, fault: HttpFault): Promise<void> {
    const onward = send({
      host: hostname,
      port: targetPort,
      method: incoming.method,
      path: incoming.url,
      headers: incoming.rawHeaders,
      agent: false,
    });
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      onward.once('response', resolve).on('error', reject);
    });
    answered.catch(() => undefined);
    incoming.once('close', () => {
      if (!incoming.complete) onward.destroy();
    });
    let passed = 0;
    for await (const piece of incoming) {
      const bytes = piece as Buffer;
      if (
        typeof fault === 'object' &&
        'flipAt' in fault &&
        fault.flipAt >= passed &&
        fault.flipAt < passed + bytes.length
      )
        bytes[fault.flipAt - passed] = (bytes[fault.flipAt - passed] ?? 0) ^ 1;
      if (typeof fault === 'object' && 'bytesPerSecond' in fault)
        await delay((bytes.length / fault.bytesPerSecond) * 1000);
      passed += bytes.length;
      if (!onward.write(bytes)) await Promise.race([new Promise((resolve) => onward.once('drain', resolve)), answered]);
    }
    onward.end();
    const answer = await answered;
    if (fault === 'lose-answer') {
      for await (const _ of answer);
      return void incoming.socket.resetAndDestroy();
    }
    const isDone = (answer.statusCode ?? 0) < 300;
    if (typeof fault === 'object' && 'afterwards' in fault && isDone) fault.afterwards();
    const headers: Record<string, string | string[]> = {};
    for (const [name, value] of Object.entries(answer.headers)) if (value !== undefined) headers[name] = value;
    if (typeof fault === 'object' && 'headers' in fault) Object.assign(headers, fault.headers);
    response.writeHead(answer.statusCode ?? 502, headers);
    let left = typeof fault === 'object' && 'cutAfter' in fault ? fault.cutAfter : Number.POSITIVE_INFINITY;
    for await (const piece of answer) {
      const bytes = (piece as Buffer).subarray(0, left);
      left -= bytes.length;
      if (!response.write(bytes)) {
        const drained = new AbortController();
        const { signal } = drained;
        await Promise.race([once(response, 'drain', { signal }), once(response, 'close', { signal })]);
        drained.abort();
      }
      if (left > 0) continue;
      await new Promise((resolve) => response.write('', resolve));
      incoming.socket.destroySoon();
      return;
    }
    response.end();
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    script: (needle, ask) => {
      if (ask === undefined) scripts.delete(needle);
      else scripts.set(needle, { ask, counts: new Map(), faults: 0 });
    },
    faults: (needle) => scripts.get(needle)?.faults ?? 0,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function errorOf(code: string): string {
  return `<?xml version="1.0"?><Error><Code>${code}</Code><Message>planted ${code}</Message></Error>`;
}
