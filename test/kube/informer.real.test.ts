import { afterEach, expect, it } from 'vitest';
import type { KubeObject } from '../../src/kube/client.ts';
import { openKubeClient } from '../../src/kube/http-client.ts';
import { createInformer } from '../../src/kube/informer.ts';
import { buildWidget, widgetType } from '../suites/widget.ts';
import { ManualClock, seededRandom } from './manual-clock.ts';
import {
  answer,
  answerList,
  answerStatus,
  cut,
  startScriptedServer,
  watchEvents,
  type Step,
} from './scripted-server.ts';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const widget = (name: string, resourceVersion: string): KubeObject => {
  const { metadata, ...rest } = buildWidget('ns', name);
  return { ...rest, metadata: { ...metadata, resourceVersion, uid: `uid-${name}` } };
};
const added = (name: string, version: string) => ({ type: 'ADDED', object: widget(name, version) });
const modified = (name: string, version: string) => ({ type: 'MODIFIED', object: widget(name, version) });
const deleted = (name: string, version: string) => ({ type: 'DELETED', object: widget(name, version) });
const bookmark = (resourceVersion: string) => ({
  type: 'BOOKMARK',
  object: {
    kind: 'Widget',
    apiVersion: 'test.pgbackup.dev/v1',
    metadata: { resourceVersion, creationTimestamp: null },
  },
});

async function startInformer(...steps: readonly Step[]) {
  const server = await startScriptedServer(...steps);
  const clock = new ManualClock();
  const client = await openKubeClient({ source: { kind: 'text', text: server.kubeconfig }, clock, userAgent: 'test' });
  const changes: string[] = [];
  const errors: string[] = [];
  const informer = createInformer({
    client,
    type: widgetType,
    namespace: 'ns',
    clock,
    random: seededRandom(7),
    pageSize: 2,
    onChange: ({ name, object }) => changes.push(`${name} ${object?.metadata.resourceVersion ?? 'gone'}`),
    onError: (error) => errors.push(String(error)),
  });
  const stop = new AbortController();
  const running = informer.run(stop.signal);
  closing.push(async () => {
    stop.abort();
    await running;
    expect(informer.state().phase).toBe('stopped');
    client.close();
    await server.stop();
  });
  const names = () => informer.list().map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`);
  /** Requests without what they have in common. */
  const requests = () => server.requests.map((line) => line.replace(/^GET \S+widgets\?|&timeoutSeconds=\d+/g, ''));
  const reaches = (expected: readonly string[]) => expect.poll(names).toEqual(expected);
  const waits = () => expect.poll(() => informer.state().phase).toBe('waiting');
  return { informer, clock, server, changes, errors, requests, reaches, waits };
}

const listing = 'limit=2';
const watching = (version: string) => `watch=true&allowWatchBookmarks=true&resourceVersion=${version}`;

it('lists in pages, watches from the version of the list, and goes on from the last one it heard of', async () => {
  const { informer, clock, requests, changes, reaches, errors } = await startInformer(
    answerList('10', [widget('a', '1'), widget('b', '2')], 'more'),
    answerList('10', [widget('c', '3')]),
    watchEvents('silent', modified('a', '11'), deleted('b', '12'), added('d', '13'), bookmark('20')),
  );
  await reaches(['a 11', 'c 3', 'd 13']);
  expect(changes).toEqual(['a 1', 'b 2', 'c 3', 'a 11', 'b gone', 'd 13']);
  expect(requests()).toEqual([listing, `${listing}&continue=more`, watching('10')]);
  expect(informer.hasSynced()).toBe(true);
  expect(errors).toEqual([]);
  expect(() => Object.assign(informer.get('ns', 'a')?.metadata ?? {}, { name: 'b' })).toThrow(TypeError);
  // Silent for longer than it was asked to last (at most 180 s) and the grace of 20 s: somebody is dead.
  for (let second = 0; second < 205 && informer.state().failures === 0; second += 1) await clock.advance(1000);
  await clock.advance(1000);
  await expect.poll(() => requests().length).toBe(4);
  expect(requests()[3]).toBe(watching('20'));
  expect(errors).toHaveLength(1);
  expect(errors[0]).toMatch(/silent for \d+ s/);
  expect(informer.state()).toMatchObject({ failures: 1, lists: 1, watches: 2 });
});

it('goes on after a watch that ended in good order, without an error', async () => {
  const { clock, requests, reaches, errors } = await startInformer(
    answerList('10', []),
    watchEvents('end', added('a', '11')),
    watchEvents('silent', added('b', '12')),
  );
  await reaches(['a 11']);
  // It ended within its first second: the next one is not begun at once.
  await expect.poll(() => clock.sleeps.length).toBe(1);
  expect(requests()).toHaveLength(2);
  await clock.advance(1500);
  await reaches(['a 11', 'b 12']);
  expect(requests()).toEqual([listing, watching('10'), watching('11')]);
  expect(errors).toEqual([]);
});

it.each<[string, Step, RegExp]>([
  ['a connection that is cut', watchEvents('cut', added('a', '11')), /cannot be reached/],
  ['half a line', watchEvents('end', added('a', '11'), '{"type":"ADDED","obj'), /middle of a line/],
  ['an answer that is no JSON', watchEvents('end', added('a', '11'), '<html>\n'), /else than JSON/],
  [
    'an internal error in the middle',
    watchEvents('end', added('a', '11'), { type: 'ERROR', object: { kind: 'Status', code: 500, message: 'broken' } }),
    /broken/,
  ],
])('survives %s and goes on from the last version', async (_, step, message) => {
  const { informer, clock, requests, reaches, waits, errors } = await startInformer(
    answerList('10', []),
    step,
    watchEvents('silent', added('b', '12')),
  );
  await waits();
  expect(informer.state()).toMatchObject({ failures: 1, synced: true, lastError: expect.stringMatching(message) });
  expect(errors).toHaveLength(1);
  await clock.advance(750);
  await reaches(['a 11', 'b 12']);
  expect(requests()).toEqual([listing, watching('10'), watching('11')]);
  expect(informer.state()).toMatchObject({ failures: 0, lastError: undefined, phase: 'watching' });
});

it.each<[string, Step]>([
  ['as the answer', answerStatus(410, 'Expired')],
  ['as an event', watchEvents('end', { type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } })],
])('lists again when the version is gone (%s), and finds what was deleted, changed and replaced', async (_, gone) => {
  const replaced = { ...widget('c', '52'), metadata: { ...widget('c', '52').metadata, uid: 'another' } };
  const { clock, requests, changes, reaches, waits } = await startInformer(
    answerList('10', [widget('a', '1'), widget('b', '2')], 'more'),
    answerList('10', [widget('c', '3'), widget('d', '4')]),
    gone,
    answerList('60', [widget('b', '51'), replaced], 'more'),
    answerList('60', [widget('d', '4')]),
  );
  await waits();
  changes.splice(0);
  await clock.advance(750);
  await reaches(['b 51', 'c 52', 'd 4']);
  expect(changes).toEqual(['a gone', 'b 51', 'c 52']);
  await expect.poll(() => requests().at(-1)).toBe(watching('60'));
});

it('keeps what it knows while a list fails, and begins the list anew when its continuation is gone', async () => {
  const { informer, clock, requests, reaches, waits } = await startInformer(
    answerList('10', [widget('a', '1')]),
    answerStatus(410, 'Expired'),
    answerList('20', [widget('b', '11')], 'more'),
    answerStatus(410, 'Expired'),
    answerList('30', [widget('a', '1'), widget('b', '21')]),
  );
  await waits();
  await clock.advance(750);
  await waits();
  await reaches(['a 1']);
  expect(informer.state()).toMatchObject({ failures: 2, synced: true });
  await clock.advance(1500);
  await reaches(['a 1', 'b 21']);
  expect(requests()).toEqual([listing, watching('10'), listing, `${listing}&continue=more`, listing, watching('30')]);
});

it('tries for ever, with longer pauses, and is not synced before a list was whole', async () => {
  const page = answerList('10', [widget('a', '1')], 'more');
  const faults = [
    cut,
    answerStatus(500, 'InternalError'),
    answer(200, '{"kind":'),
    answer(502, '<html>'),
    page,
    answerStatus(503, 'x'),
  ];
  const { informer, clock, server, reaches, waits, errors } = await startInformer(
    ...faults,
    answerList('10', [widget('a', '1')]),
  );
  const pauses: number[] = [];
  for (let failures = 1; failures <= 5; failures += 1) {
    await expect.poll(() => informer.state().failures).toBe(failures);
    await waits();
    expect(informer.hasSynced()).toBe(false);
    const [pause = 0] = clock.sleeps;
    pauses.push(pause);
    await clock.advance(pause);
  }
  await reaches(['a 1']);
  expect(informer.hasSynced()).toBe(true);
  expect(server.requests).toHaveLength(faults.length + 2);
  expect(errors).toHaveLength(5);
  for (const [index, pause] of pauses.entries()) {
    expect(pause).toBeGreaterThanOrEqual(250 * 2 ** index);
    expect(pause).toBeLessThanOrEqual(750 * 2 ** index);
  }
});

it('waits as long as a busy server asks', async () => {
  const { clock, server, reaches, waits } = await startInformer(
    answerStatus(429, 'TooManyRequests', { 'retry-after': '7' }),
    answerList('10', [widget('a', '1')]),
  );
  await waits();
  expect(clock.sleeps).toEqual([7000]);
  await clock.advance(6999);
  expect(server.requests).toHaveLength(1);
  await clock.advance(1);
  await reaches(['a 1']);
});

it('notices a server that accepts connections and says nothing', async () => {
  const { informer, clock, server, reaches } = await startInformer(
    () => undefined,
    answerList('10', [widget('a', '1')]),
    () => undefined,
    watchEvents('silent', added('b', '11')),
  );
  await expect.poll(() => server.requests.length).toBe(1);
  await clock.advance(30_000);
  await expect.poll(() => informer.state().failures).toBe(1);
  await clock.advance(750);
  await reaches(['a 1']);
  await expect.poll(() => server.requests.length).toBe(3);
  await clock.advance(30_000);
  await expect.poll(() => informer.state().failures).toBe(2);
  await clock.advance(1500);
  await reaches(['a 1', 'b 11']);
});
