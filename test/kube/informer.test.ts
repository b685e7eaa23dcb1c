import { afterEach, expect, it } from 'vitest';
import type { KubeClient, KubeObject } from '../../src/kube/client.ts';
import { createInformer, type InformerOptions, type InformerState } from '../../src/kube/informer.ts';
import { createMemoryClient } from '../../src/apiserver/memory-client.ts';
import type { ObjectChange } from '../../src/kube/object-cache.ts';
import { buildWidget, widgetMemoryTypes, widgetType } from '../suites/widget.ts';
import { ManualClock, seededRandom, settle } from './manual-clock.ts';

const { signal } = new AbortController();
const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

function start(more: Partial<InformerOptions> = {}) {
  const clock = new ManualClock();
  const random = seededRandom(3);
  const client = createMemoryClient({ clock, random, types: widgetMemoryTypes });
  const changes: ObjectChange[] = [];
  const states: InformerState[] = [];
  const errors: unknown[] = [];
  const informer = createInformer({
    client,
    type: widgetType,
    clock,
    random,
    onChange: (change) => changes.push(change),
    onState: (state) => states.push(state),
    onError: (error) => errors.push(error),
    ...more,
  });
  const run = (): void => {
    const stop = new AbortController();
    const running = informer.run(stop.signal);
    stops.push(async () => {
      stop.abort();
      await running;
      expect(clock.sleeps).toEqual([]);
    });
  };
  return { clock, client, informer, changes, states, errors, run };
}

const create = (client: KubeClient, name: string, meta: object = {}, spec = { size: 1 }): Promise<KubeObject> => {
  const widget = buildWidget('ns', name, spec);
  return client.create(widgetType, { ...widget, metadata: { ...widget.metadata, ...meta } }, signal);
};

it('follows a server through changes, quiet times and lost history', async () => {
  const { clock, client, informer, run, errors } = start();
  const first = await create(client, 'a');
  run();
  await informer.whenSynced(signal);
  expect(informer.list()).toEqual([first]);
  await settle();
  const second = await client.put(widgetType, { ...first, spec: { size: 2, color: 'red' } }, signal);
  await settle();
  expect(informer.get('ns', 'a')).toEqual(second);
  await clock.advance(3_600_000);
  expect(errors).toEqual([]);
  expect(informer.state().watches).toBeGreaterThan(15);
  await client.delete(widgetType, 'ns', 'a', {}, signal);
  await create(client, 'b');
  client.trimHistory();
  await clock.advance(1000);
  expect(informer.list().map(({ metadata }) => metadata.name)).toEqual(['b']);
  expect(errors).toMatchObject([{ code: 'Gone' }]);
});

it('tells each change with what was before', async () => {
  const { client, informer, changes, run } = start();
  const first = await create(client, 'a');
  run();
  await informer.whenSynced(signal);
  await settle();
  const second = await client.putStatus(widgetType, { ...first, status: { phase: 'Ready' } }, signal);
  await client.delete(widgetType, 'ns', 'a', {}, signal);
  await settle();
  expect(changes).toEqual([
    { namespace: 'ns', name: 'a', object: first, previous: undefined },
    { namespace: 'ns', name: 'a', object: second, previous: first },
    { namespace: 'ns', name: 'a', object: undefined, previous: second },
  ]);
  expect(informer.size()).toBe(0);
});

it('finds objects by owner, by index and by namespace, as they change', async () => {
  const bySize = (object: KubeObject) => [String((object.spec as { readonly size: number }).size)];
  const { client, informer, run } = start({ indexes: { size: bySize } });
  run();
  const owner = await create(client, 'owner');
  const uid = owner.metadata.uid ?? '';
  const ownerReferences = [{ apiVersion: owner.apiVersion, kind: owner.kind, name: 'owner', uid }];
  const child = await create(client, 'child', { ownerReferences }, { size: 4 });
  await settle();
  expect(informer.byOwner(uid)).toEqual([child]);
  expect(informer.byIndex('size', '4')).toEqual([child]);
  expect(informer.list('ns')).toHaveLength(2);
  expect(informer.list('other')).toEqual([]);
  const grown = await client.put(widgetType, { ...child, spec: { size: 5, color: 'red' } }, signal);
  await settle();
  expect(informer.byIndex('size', '4')).toEqual([]);
  expect(informer.byIndex('size', '5')).toEqual([grown]);
  await client.delete(widgetType, 'ns', 'owner', {}, signal);
  await settle();
  expect(informer.byOwner(uid)).toEqual([]);
  expect(informer.byIndex('size', '5')).toEqual([]);
});

it('goes on when a listener throws, and says so', async () => {
  const broken = new Error('broken listener');
  const { client, informer, errors, run } = start({
    onChange: () => {
      throw broken;
    },
  });
  run();
  await informer.whenSynced(signal);
  await settle();
  await create(client, 'a');
  await create(client, 'b');
  await settle();
  expect(informer.size()).toBe(2);
  expect(errors).toEqual([broken, broken]);
});

it('reports its phases, from listing to stopped', async () => {
  const { informer, states, run } = start();
  expect(informer.state()).toMatchObject({ phase: 'waiting', synced: false, lastContactMs: undefined });
  run();
  await informer.whenSynced(signal);
  await settle();
  for (const stop of stops.splice(0)) await stop();
  const phases = states.map(({ phase }) => phase);
  expect(phases.filter((phase, index) => phase !== phases[index - 1])).toEqual(['listing', 'watching', 'stopped']);
});

it('lets whoever waits for it give up', async () => {
  const { informer } = start();
  const stop = new AbortController();
  const waiting = informer.whenSynced(stop.signal);
  const reason = new Error('enough');
  stop.abort(reason);
  await expect(waiting).rejects.toBe(reason);
});

it('does not take a watch for silent while it tells anything', async () => {
  const clock = new ManualClock();
  const talkative = (client: KubeClient): KubeClient => ({
    ...client,
    watch: async function* (_type, _options, stop) {
      for (let version = 100; ; version += 1) {
        await clock.sleep(60_000, stop);
        yield { type: 'BOOKMARK', resourceVersion: String(version) };
      }
    },
  });
  const client = createMemoryClient({ clock, random: seededRandom(3), types: widgetMemoryTypes });
  const { informer, errors, run } = start({ client: talkative(client), clock });
  run();
  await clock.advance(3_600_000);
  expect(errors).toEqual([]);
  expect(informer.state()).toMatchObject({ watches: 1, lastContactMs: 3_600_000 });
});

it('lets others work while a long list is read, also when it is read again', async () => {
  const { clock, client, informer, run } = start();
  for (let index = 0; index < 1000; index += 1) await create(client, `w${index}`);
  let turns = 0;
  let isOver = false;
  const count = (): void => {
    turns += 1;
    if (!isOver) setImmediate(count);
  };
  count();
  run();
  await informer.whenSynced(signal);
  expect(informer.size()).toBe(1000);
  // A turn for each slice of each page, at least.
  expect(turns).toBeGreaterThan(15);
  for (let index = 0; index < 1000; index += 2) await client.delete(widgetType, 'ns', `w${index}`, {}, signal);
  client.trimHistory();
  turns = 0;
  await clock.advance(3_600_000);
  await expect.poll(() => informer.size()).toBe(500);
  expect(turns).toBeGreaterThan(15);
  isOver = true;
});
