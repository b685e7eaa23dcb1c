import { describe, expect, it } from 'vitest';
import { createMemoryClient } from '../../src/apiserver/memory-client.ts';
import { systemClock } from '../../src/support/clock.ts';
import { describeKubeConformance } from '../suites/kube-conformance.ts';
import { buildWidget, widgetMemoryTypes, widgetType } from '../suites/widget.ts';
import { ManualClock, seededRandom, settle } from '../kube/manual-clock.ts';

describe('the embedded client', () => {
  describeKubeConformance(async () => {
    const client = createMemoryClient({ clock: systemClock, random: seededRandom(1), types: widgetMemoryTypes });
    let namespaces = 0;
    return {
      client,
      newNamespace: async () => `ns-${(namespaces += 1)}`,
      expiredVersion: async () => {
        const { signal } = new AbortController();
        const { resourceVersion } = await client.list(widgetType, {}, signal);
        await client.create(widgetType, buildWidget('expired', `w-${(namespaces += 1)}`), signal);
        client.trimHistory();
        return resourceVersion;
      },
      stop: async () => undefined,
    };
  });
});

describe('the embedded client beyond what an API server shows', () => {
  const { signal } = new AbortController();
  const open = (clock = new ManualClock(), more: { historyLimit?: number } = {}) => {
    return createMemoryClient({ clock, random: seededRandom(1), types: widgetMemoryTypes, ...more });
  };

  it('lets nobody change what it stores, neither through what was sent nor through what it gave', async () => {
    const client = open();
    const spec = { size: 1, note: 'mine' };
    const created = await client.create(widgetType, buildWidget('ns', 'a', spec), signal);
    spec.note = 'changed';
    expect(() => Object.assign(created.spec as object, { size: 2 })).toThrow(TypeError);
    expect(() => Object.assign(created.metadata, { name: 'b' })).toThrow(TypeError);
    expect(await client.get(widgetType, 'ns', 'a', signal)).toMatchObject({ spec: { size: 1, note: 'mine' } });
  });

  it('uses the identities it is handed', async () => {
    const client = createMemoryClient({
      clock: new ManualClock(),
      random: seededRandom(1),
      types: widgetMemoryTypes,
      uidFor: (type, namespace, name) => `${type.kind}/${namespace}/${name}`,
    });
    const created = await client.create(widgetType, buildWidget('ns', 'a'), signal);
    expect(created.metadata).toMatchObject({ uid: 'Widget/ns/a', creationTimestamp: '2026-01-01T00:00:00Z' });
  });

  it('sends a bookmark each minute of silence', async () => {
    const clock = new ManualClock();
    const client = open(clock);
    const { resourceVersion } = await client.list(widgetType, {}, signal);
    const watch = client.watch(widgetType, { resourceVersion }, signal)[Symbol.asyncIterator]();
    const next = watch.next();
    await clock.advance(59_999);
    expect(clock.sleeps).toEqual([1]);
    await clock.advance(1);
    expect(await next).toEqual({ done: false, value: { type: 'BOOKMARK', resourceVersion } });
    await watch.return?.();
    await settle();
    expect(clock.sleeps).toEqual([]);
  });

  it('tells a watch that fell behind its history that it is gone', async () => {
    const client = open(new ManualClock(), { historyLimit: 3 });
    const { resourceVersion } = await client.list(widgetType, {}, signal);
    const watch = client.watch(widgetType, { resourceVersion }, signal)[Symbol.asyncIterator]();
    await client.create(widgetType, buildWidget('ns', 'a'), signal);
    expect(await watch.next()).toMatchObject({ value: { type: 'ADDED' } });
    for (const name of ['b', 'c', 'd', 'e']) await client.create(widgetType, buildWidget('ns', name), signal);
    await expect(watch.next()).rejects.toMatchObject({ code: 'Gone', status: 410 });
  });

  it('tells a list that went on too late that it is gone', async () => {
    const client = open();
    for (const name of ['a', 'b']) await client.create(widgetType, buildWidget('ns', name), signal);
    const page = await client.list(widgetType, { limit: 1 }, signal);
    client.trimHistory();
    const rest = client.list(widgetType, { limit: 1, continue: page.continue }, signal);
    await expect(rest).rejects.toMatchObject({ code: 'Gone', status: 410 });
  });

  it('refuses an object of more than the size an API server stores', async () => {
    const client = open();
    const annotations = { big: 'x'.repeat(256 * 1024) };
    const widget = buildWidget('ns', 'a');
    const sent = { ...widget, metadata: { ...widget.metadata, annotations } };
    await expect(client.create(widgetType, sent, signal)).rejects.toMatchObject({ code: 'Invalid', status: 422 });
  });

  it('names every fault of an object in one message', async () => {
    const client = open();
    const sent = { ...buildWidget('ns', 'a'), spec: { size: 11, color: 'green' } };
    await expect(client.create(widgetType, sent, signal)).rejects.toThrow(
      'Widget.test.pgbackup.dev "a" is invalid: [spec.size: Invalid value: should be within 1 and 10, spec.color: Unsupported value]',
    );
  });
});
