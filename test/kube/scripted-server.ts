import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { KubeObject } from '../../src/kube/client.ts';

/** What the server does with one request. */
export type Step = (response: ServerResponse, request: IncomingMessage) => void;

export interface ScriptedServer {
  /** A kubeconfig for it, over plain HTTP. */
  readonly kubeconfig: string;
  /** `GET /path?query` of each request so far. */
  readonly requests: readonly string[];
  readonly headers: readonly IncomingMessage['headers'][];
  /** Requests whose connection is still open. */
  readonly open: () => number;
  stop(): Promise<void>;
}

/** An HTTP server that takes the next step of a script for each request, and is silent when there is none left. */
export async function startScriptedServer(...steps: readonly Step[]): Promise<ScriptedServer> {
  const left = [...steps];
  const requests: string[] = [];
  const headers: IncomingMessage['headers'][] = [];
  let open = 0;
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${decodeURIComponent(request.url ?? '')}`);
    headers.push(request.headers);
    open += 1;
    response.once('close', () => {
      open -= 1;
    });
    left.shift()?.(response, request);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const cluster = { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true };
  return {
    kubeconfig: JSON.stringify({
      'current-context': 'test',
      clusters: [{ name: 'test', cluster }],
      users: [{ name: 'test', user: { token: 'secret\n' } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    }),
    requests,
    headers,
    open: () => open,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export const answer = (status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Step => {
  return (response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
};

export const answerStatus = (code: number, reason: string, headers: Readonly<Record<string, string>> = {}): Step => {
  return answer(code, { kind: 'Status', code, reason, message: `this is ${reason}` }, headers);
};

export const answerList = (resourceVersion: string, items: readonly KubeObject[], token = ''): Step => {
  return answer(200, { kind: 'WidgetList', metadata: { resourceVersion, continue: token }, items });
};

export const cut: Step = (response) => {
  response.socket?.destroy();
};

/** Sends watch events, then ends the answer in good order, cuts the connection, or stays silent. */
export const watchEvents = (end: 'end' | 'cut' | 'silent', ...lines: readonly unknown[]): Step => {
  return (response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    const text = lines.map((line) => (typeof line === 'string' ? line : `${JSON.stringify(line)}\n`)).join('');
    const after = (): void => {
      if (end === 'cut') response.socket?.destroy();
      if (end === 'end') response.end();
    };
    if (text === '') after();
    else response.write(text, after);
  };
};
