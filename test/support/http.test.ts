import { afterEach, describe, expect, it } from 'vitest';
import { serveHttp, type HttpServer } from '../../src/support/http.ts';
import { silentLog } from '../../src/support/log.ts';

const open: HttpServer[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});

const text = { status: 200, contentType: 'text/plain; charset=utf-8', body: 'ok\n' };

async function serve(): Promise<string> {
  const routes = {
    '/healthz': () => text,
    '/broken': () => {
      throw new Error('secret detail');
    },
  };
  const server = await serveHttp({ host: '127.0.0.1', port: 0, routes, log: silentLog });
  open.push(server);
  return `http://127.0.0.1:${server.port}`;
}

describe('The HTTP server', () => {
  it('answers what it knows, and nothing else', async () => {
    const at = await serve();
    const good = await fetch(`${at}/healthz?verbose`);
    expect([good.status, good.headers.get('content-type'), await good.text()]).toEqual([200, text.contentType, 'ok\n']);
    expect((await fetch(`${at}/healthz`, { method: 'HEAD' })).status).toBe(200);
    expect((await fetch(`${at}/healthz`, { method: 'POST', body: 'x' })).status).toBe(405);
    for (const path of ['/', '/nothing', '/constructor', '/__proto__']) {
      expect((await fetch(`${at}${path}`)).status).toBe(404);
    }
  });

  it('survives a route that fails, and keeps its detail to itself', async () => {
    const at = await serve();
    const answer = await fetch(`${at}/broken`);
    expect([answer.status, await answer.text()]).toEqual([500, 'internal error\n']);
    expect((await fetch(`${at}/healthz`)).status).toBe(200);
  });

  it('says when its port is taken', async () => {
    const port = Number(new URL(await serve()).port);
    const second = serveHttp({ host: '127.0.0.1', port, routes: {}, log: silentLog });
    await expect(second).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  it('takes no more requests once it is closed', async () => {
    const at = await serve();
    await fetch(`${at}/healthz`);
    await open.splice(0)[0]?.close();
    await expect(fetch(`${at}/healthz`)).rejects.toThrow();
  });
});
