import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Log } from './log.ts';

export interface HttpAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export interface HttpOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** By path; GET and HEAD only. */
  readonly routes: Readonly<Record<string, () => HttpAnswer | Promise<HttpAnswer>>>;
  readonly log: Log;
}

export interface HttpServer {
  readonly port: number;
  /** Takes no more requests, ends idle connections, and resolves when the last answer is sent. */
  close(): Promise<void>;
}

/** A tiny server for probes and metrics. Rejects when the address cannot be taken. */
export async function serveHttp({ host, port, routes, log }: HttpOptions): Promise<HttpServer> {
  const answer = async (method: string, url: string): Promise<HttpAnswer> => {
    const [path = ''] = url.split('?');
    const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
    if (route === undefined) return { status: 404, contentType: 'text/plain; charset=utf-8', body: 'not found\n' };
    if (method !== 'GET' && method !== 'HEAD') {
      return { status: 405, contentType: 'text/plain; charset=utf-8', body: 'method not allowed\n' };
    }
    try {
      return await route();
    } catch (error) {
      log.error('a request failed', { path, error: error instanceof Error ? error.message : String(error) });
      return { status: 500, contentType: 'text/plain; charset=utf-8', body: 'internal error\n' };
    }
  };
  const server = createServer((request, response) => {
    request.resume();
    void answer(request.method ?? 'GET', request.url ?? '/').then(({ status, contentType, body }) => {
      response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(body) });
      response.end(request.method === 'HEAD' ? undefined : body);
    });
  });
  // Slow clients must not hold the door open.
  server.requestTimeout = 10_000;
  server.headersTimeout = 5000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error === undefined ? resolve() : reject(error)));
        server.closeIdleConnections();
      }),
  };
}
