import type { ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import type { KubeObject, WatchEvent } from '../../src/kube/client.ts';
import { openKubeClient, type HttpClientOptions } from '../../src/kube/http-client.ts';
import { listPages } from '../../src/kube/list-pages.ts';
import { buildWidget, widgetType } from '../suites/widget.ts';
import { ManualClock } from './manual-clock.ts';
import {
  answer,
  answerList,
  answerStatus,
  cut,
  startScriptedServer,
  watchEvents,
  type Step,
} from './scripted-server.ts';

const { signal } = new AbortController();
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function open(steps: readonly Step[], more: Partial<HttpClientOptions> = {}) {
  const server = await startScriptedServer(...steps);
  const clock = new ManualClock();
  const source = { kind: 'text', text: server.kubeconfig } as const;
  const client = await openKubeClient({ source, clock, userAgent: 'tester/1', ...more });
  closing.push(async () => {
    client.close();
    await server.stop();
  });
  return { server, clock, client };
}

const widget = { ...buildWidget('ns', 'a'), metadata: { namespace: 'ns', name: 'a', resourceVersion: '7', uid: 'u' } };
const { resourceVersion: _, uid: _1, ...unsaved } = widget.metadata;
const newWidget = { ...widget, metadata: unsaved };
const options = { namespace: 'ns', resourceVersion: '7', timeoutSeconds: 60 };

it('says who asks, and is strict about fields but for those of a status', async () => {
  const { server, client } = await open([answer(201, widget), answer(200, widget), answer(200, widget)]);
  await client.create(widgetType, newWidget, signal);
  await client.put(widgetType, widget, signal);
  await client.putStatus(widgetType, widget, signal);
  const path = '/apis/test.pgbackup.dev/v1/namespaces/ns/widgets';
  expect(server.requests).toEqual([
    `POST ${path}?fieldValidation=Strict`,
    `PUT ${path}/a?fieldValidation=Strict`,
    `PUT ${path}/a/status?fieldValidation=Ignore`,
  ]);
  expect(server.headers[0]).toMatchObject({ authorization: 'Bearer secret', 'user-agent': 'tester/1' });
});

it.each<[string, Step, object]>([
  ['too many requests', answerStatus(429, 'TooManyRequests', { 'retry-after': '3' }), { retryAfterSeconds: 3 }],
  [
    'a date to come again',
    answerStatus(503, 'x', { 'retry-after': 'Thu, 01 Jan 2026 00:00:09 GMT' }),
    { retryAfterSeconds: 9 },
  ],
  ['an internal error', answerStatus(500, 'InternalError'), { code: 'ServerError', status: 500 }],
  ['a page of a proxy', answer(504, '<html>late</html>'), { code: 'ServerError', message: '<html>late</html>' }],
  ['a redirection', answer(302, '', { location: '/elsewhere' }), { code: 'BadRequest', status: 302 }],
  ['an answer that is no JSON', answer(200, 'hello'), { code: 'ServerError' }],
  ['an answer that is no object', answer(200, 'null'), { code: 'ServerError' }],
  ['an object without metadata', answer(200, '{}'), { code: 'ServerError' }],
  ['a cut connection', cut, { code: 'Unreachable', status: 0 }],
  [
    'a body that is cut',
    (response) => {
      response.writeHead(200, { 'content-length': '1000' });
      response.write('{"metadata":', () => response.socket?.destroy());
    },
    { code: 'Unreachable', status: 0 },
  ],
])('fails for %s', async (_name, step, expected) => {
  const { client } = await open([step]);
  await expect(client.get(widgetType, 'ns', 'a', signal)).rejects.toMatchObject(expected);
});

it('takes a 404 of a proxy for an error, not for an absent object', async () => {
  const { client } = await open([answer(404, '<html>no such page</html>'), answer(404, 'nothing here')]);
  await expect(client.get(widgetType, 'ns', 'a', signal)).rejects.toMatchObject({ code: 'NotFound' });
  await expect(client.delete(widgetType, 'ns', 'a', {}, signal)).rejects.toMatchObject({ code: 'NotFound' });
});

it('gives up on a request that is not answered in time, also in the middle of a body', async () => {
  const halfBody: Step = (response) => {
    response.writeHead(200, { 'content-length': '1000' });
    response.write('{');
  };
  const { server, clock, client } = await open([() => undefined, halfBody], { requestTimeoutMs: 5000 });
  for (const count of [1, 2]) {
    const asked = client.get(widgetType, 'ns', 'a', signal);
    const outcome = expect(asked).rejects.toMatchObject({
      code: 'Unreachable',
      message: expect.stringContaining('5 s'),
    });
    await expect.poll(() => server.requests.length).toBe(count);
    await clock.advance(5000);
    await outcome;
    await expect.poll(() => server.open()).toBe(0);
  }
  expect(clock.sleeps).toEqual([]);
});

it('closes the connection of a request that is aborted', async () => {
  const { server, client } = await open([() => undefined]);
  const stop = new AbortController();
  const reason = new Error('enough');
  const outcome = expect(client.get(widgetType, 'ns', 'a', stop.signal)).rejects.toBe(reason);
  await expect.poll(() => server.open()).toBe(1);
  stop.abort(reason);
  await outcome;
  await expect.poll(() => server.open()).toBe(0);
});

it('closes the connection of a watch that is aborted, and of one that nobody reads any more', async () => {
  const event = { type: 'ADDED', object: widget };
  const { server, clock, client } = await open([watchEvents('silent', event), watchEvents('silent', event)]);
  const stop = new AbortController();
  const reason = new Error('enough');
  const follow = async (): Promise<void> => {
    for await (const { type } of client.watch(widgetType, options, stop.signal)) expect(type).toBe('ADDED');
  };
  const outcome = expect(follow()).rejects.toBe(reason);
  await expect.poll(() => server.open()).toBe(1);
  stop.abort(reason);
  await outcome;
  await expect.poll(() => server.open()).toBe(0);
  const events: WatchEvent[] = [];
  for await (const event of client.watch(widgetType, options, signal)) {
    events.push(event);
    break;
  }
  expect(events).toEqual([event]);
  await expect.poll(() => server.open()).toBe(0);
  expect(clock.sleeps).toEqual([]);
});

it('gives up on a watch that is silent for longer than it should last', async () => {
  const { server, clock, client } = await open([watchEvents('silent')]);
  const next = client.watch(widgetType, options, signal)[Symbol.asyncIterator]().next();
  const outcome = expect(next).rejects.toMatchObject({ code: 'Unreachable', message: 'the watch was silent for 90 s' });
  await expect.poll(() => clock.sleeps).toEqual([90_000]);
  await clock.advance(89_999);
  expect(server.open()).toBe(1);
  await clock.advance(1);
  await outcome;
  await expect.poll(() => server.open()).toBe(0);
});

it('counts the silence of a watch from its last byte', async () => {
  const event = { type: 'ADDED', object: widget };
  let answering: ServerResponse | undefined;
  const step: Step = (response) => {
    answering = response;
    response.write(`${JSON.stringify(event)}\n`);
  };
  const { clock, client } = await open([step], { watchIdleMs: 10_000 });
  const watch = client.watch(widgetType, options, signal)[Symbol.asyncIterator]();
  expect(await watch.next()).toEqual({ done: false, value: event });
  await clock.advance(6000);
  answering?.write(`${JSON.stringify(event)}\n`);
  expect(await watch.next()).toEqual({ done: false, value: event });
  const outcome = expect(watch.next()).rejects.toMatchObject({ code: 'Unreachable' });
  await clock.advance(4000);
  expect(clock.sleeps).toEqual([6000]);
  await clock.advance(6000);
  await outcome;
});

it('reads events that arrive in pieces, characters cut in two included', async () => {
  const object = { ...widget, spec: { note: 'größer' } };
  const line = Buffer.from(`${JSON.stringify({ type: 'ADDED', object })}\n`);
  const pieces = Array.from(line, (byte) => Buffer.from([byte]));
  const { client } = await open([
    async (response) => {
      response.writeHead(200);
      for (const piece of pieces) {
        response.write(piece);
        await delay(0);
      }
      response.end();
    },
  ]);
  const events: WatchEvent[] = [];
  for await (const event of client.watch(widgetType, options, signal)) events.push(event);
  expect(events).toEqual([{ type: 'ADDED', object }]);
});

it('asks again at once when the server had closed the idle connection, but never repeats a write', async () => {
  const { server, client } = await open([answerList('1', []), cut, answerList('2', []), cut, answer(201, widget)]);
  await client.list(widgetType, {}, signal);
  expect((await client.list(widgetType, {}, signal)).resourceVersion).toBe('2');
  await expect(client.create(widgetType, newWidget, signal)).rejects.toMatchObject({ code: 'Unreachable' });
  expect(server.requests.map((line) => line.split(' ')[0])).toEqual(['GET', 'GET', 'GET', 'POST']);
});

it('renews its credentials once when they are refused', async () => {
  const refused = answerStatus(401, 'Unauthorized');
  const { server, client } = await open([refused, answerList('1', []), refused, refused]);
  await client.list(widgetType, {}, signal);
  await expect(client.list(widgetType, {}, signal)).rejects.toMatchObject({ code: 'Unauthorized' });
  expect(server.requests).toHaveLength(4);
});

it('refuses an answer that is larger than memory allows', async () => {
  const { server, client } = await open([answer(200, 'x'.repeat(200_000))], { maxAnswerBytes: 100_000 });
  await expect(client.readLog('ns', 'p', { container: 'c' }, signal)).rejects.toThrow(/more than 100000 bytes/);
  await expect.poll(() => server.open()).toBe(0);
});

it('reads a list whose pages are too large in smaller ones, and names an object that is too large by itself', async () => {
  const large = (name: string, size: number): KubeObject => {
    const annotations = {
      'kubectl.kubernetes.io/last': JSON.stringify({ metadata: { name: 'other', namespace: 'other' } }),
    };
    return {
      ...buildWidget('ns', name),
      metadata: { annotations, name, namespace: 'ns' },
      spec: { note: 'x'.repeat(size) },
    };
  };
  const objects = Array.from({ length: 90 }, (_, index) => large(`w${index}`, index < 40 ? 1000 : 10_000));
  const asked: number[] = [];
  const page: Step = (response, request) => {
    const query = new URL(request.url ?? '', 'http://x').searchParams;
    const [from, limit] = [Number(query.get('continue') ?? 0), Number(query.get('limit'))];
    asked.push(limit);
    const items = objects.slice(from, from + limit);
    answerList('7', items, from + limit < objects.length ? String(from + limit) : '')(response, request);
  };
  const { client } = await open(
    Array.from({ length: 200 }, () => page),
    { maxAnswerBytes: 64_000 },
  );
  const read = async (): Promise<readonly string[]> => {
    const names: string[] = [];
    for await (const { items } of listPages(client, widgetType, { limit: 500 }, signal)) {
      names.push(...items.map(({ metadata }) => metadata.name ?? ''));
    }
    return names;
  };
  expect(await read()).toEqual(objects.map(({ metadata }) => metadata.name));
  // 500, 250, 125, 62, and then as much as goes: by far not one by one.
  expect(asked.slice(0, 5)).toEqual([500, 250, 125, 62, 31]);
  expect(asked.length).toBeLessThan(40);

  objects[50] = large('giant', 70_000);
  asked.length = 0;
  await expect(read()).rejects.toMatchObject({
    code: 'TooLarge',
    message: 'widgets/ns/giant is too large: an answer of more than 64000 bytes',
  });
  expect(asked.at(-1)).toBe(1);
});

it('never sends a request that addresses something else than was meant', async () => {
  const { server, client } = await open([]);
  const { resourceVersion: _, ...unversioned } = widget.metadata;
  const calls = [
    client.get(widgetType, 'ns', '', signal),
    client.get(widgetType, undefined, 'a', signal),
    client.delete(widgetType, 'ns', '', {}, signal),
    client.put(widgetType, { ...widget, metadata: unversioned }, signal),
    client.put(widgetType, { ...widget, kind: 'Gadget' }, signal),
  ];
  for (const outcome of await Promise.allSettled(calls)) expect(outcome.status).toBe('rejected');
  expect(server.requests).toEqual([]);
});

it('tells what time it is at the server by its good answers, and by no others', async () => {
  const dates: number[] = [];
  const dated = (text: string) => ({ date: text });
  const { client } = await open(
    [
      answer(200, widget, dated('Thu, 01 Jan 2026 00:00:07 GMT')),
      answerStatus(503, 'x', dated('Thu, 01 Jan 1970 00:00:00 GMT')),
      answer(200, widget, dated('once upon a time')),
      watchEvents('end'),
    ],
    { onServerTime: ({ dateMs, tookMs }) => dates.push(dateMs, tookMs) },
  );
  const get = async () => client.get(widgetType, 'ns', 'a', signal);
  await get();
  expect(dates).toEqual([Date.UTC(2026, 0, 1, 0, 0, 7), 0]);
  await expect(get()).rejects.toMatchObject({ status: 503 });
  await get();
  expect(dates).toHaveLength(2);
  // Node's own date: now.
  for await (const event of client.watch(widgetType, options, signal)) void event;
  expect(Math.abs(Number(dates[2]) - Date.now())).toBeLessThan(120_000);
});
