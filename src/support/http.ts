import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Answer {
  readonly status: number;
  readonly contentType?: string;
  readonly body: string;
}

export interface HttpServer {
  readonly port: number;
  /** Stops listening, ends idle connections, resolves when the last one is gone. */
  close(): Promise<void>;
}

/**
 * A server for probes and scrapes: GET and HEAD of fixed paths, nothing else. An error in a route answers 500 and goes to `onError`.
 * @throws the listening error (EADDRINUSE, EACCES).
 */
export async function serveHttp(options: {
  readonly host?: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly routes: Readonly<Record<string, () => Answer | Promise<Answer>>>;
  readonly onError: (error: unknown) => void;
}): Promise<HttpServer> {
  const answer = async (path: string, response: ServerResponse): Promise<void> => {
    const route = Object.hasOwn(options.routes, path) ? options.routes[path] : undefined;
    let result: Answer = { status: 404, body: 'not found\n' };
    try {
      if (route !== undefined) result = await route();
    } catch (error) {
      options.onError(error);
      result = { status: 500, body: 'internal error\n' };
    }
    response.writeHead(result.status, { 'content-type': result.contentType ?? 'text/plain; charset=utf-8' });
    response.end(result.body);
  };
  const server = createServer((request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET, HEAD' }).end();
      return;
    }
    answer((request.url ?? '/').split('?')[0] ?? '/', response).catch(options.onError);
  });
  server.requestTimeout = 10_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  server.on('error', options.onError);
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      }),
  };
}
