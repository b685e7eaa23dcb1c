import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  isKubeError,
  type KubeClient,
  type KubeErrorCode,
  type KubeObject,
  type OwnerReference,
  type WatchEvent,
} from '../../src/kube/client.ts';
import { buildWidget, configMapType, widgetType } from './widget.ts';

/** A client and the server behind it; widgets (widget.ts) are known to it. */
export interface ConformanceWorld {
  readonly client: KubeClient;
  /** A namespace that nobody else uses. */
  newNamespace(): Promise<string>;
  /** A resourceVersion that the server no longer remembers. */
  expiredVersion(): Promise<string>;
  stop(): Promise<void>;
}

/** What every KubeClient promises. */
export function describeKubeConformance(open: () => Promise<ConformanceWorld>): void {
  let world: ConformanceWorld;
  let client: KubeClient;
  const { signal } = new AbortController();

  beforeAll(async () => {
    world = await open();
    client = world.client;
  });
  afterAll(async () => {
    await world?.stop();
  });

  const get = (object: KubeObject) => {
    return client.get(widgetType, object.metadata.namespace, object.metadata.name ?? '', signal);
  };
  const create = (object: KubeObject) => client.create(widgetType, object, signal);
  const put = (object: KubeObject) => client.put(widgetType, object, signal);

  describe('create and get', () => {
    it('gives a created object its identity and defaults, and get returns the same', async () => {
      const namespace = await world.newNamespace();
      const created = await create(buildWidget(namespace, 'a', { size: 3 }));
      expect(created).toMatchObject({
        apiVersion: 'test.pgbackup.dev/v1',
        kind: 'Widget',
        metadata: { name: 'a', namespace, generation: 1 },
        spec: { size: 3, color: 'red' },
      });
      expect(created.metadata.uid).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      expect(created.metadata.resourceVersion).toMatch(/^\d+$/);
      expect(created.metadata.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      expect(await get(created)).toEqual(created);
    });

    it('answers undefined for an object that does not exist', async () => {
      expect(await client.get(widgetType, await world.newNamespace(), 'nobody', signal)).toBeUndefined();
    });

    it('does not take an unknown kind for an absent object', async () => {
      const gadget = { ...widgetType, kind: 'Gadget', plural: 'gadgets' };
      await expectCode('NotFound', client.get(gadget, await world.newNamespace(), 'a', signal));
      await expectCode('NotFound', client.list(gadget, {}, signal));
    });

    it('refuses a second object of the same name', async () => {
      const namespace = await world.newNamespace();
      const first = await create(buildWidget(namespace, 'a', { size: 1 }));
      await expectCode('AlreadyExists', create(buildWidget(namespace, 'a', { size: 2 })));
      expect(await get(first)).toEqual(first);
    });

    it('makes up different names from generateName', async () => {
      const namespace = await world.newNamespace();
      const { metadata: _, ...rest } = buildWidget(namespace, '', { size: 1 });
      const wanted = { ...rest, metadata: { namespace, generateName: 'w-' } } as KubeObject;
      const [one, two] = [await create(wanted), await create(wanted)];
      expect(one.metadata.name).toMatch(/^w-[a-z0-9]{5}$/);
      expect(two.metadata.name).toMatch(/^w-[a-z0-9]{5}$/);
      expect(one.metadata.name).not.toBe(two.metadata.name);
    });

    it('ignores an identity that the caller made up', async () => {
      const namespace = await world.newNamespace();
      const wanted = buildWidget(namespace, 'a');
      const made = { uid: 'mine', creationTimestamp: '2001-01-01T00:00:00Z', generation: 7 };
      const created = await create({ ...wanted, metadata: { ...wanted.metadata, ...made } });
      expect(created.metadata.uid).not.toBe('mine');
      expect(created.metadata.creationTimestamp).not.toBe(made.creationTimestamp);
      expect(created.metadata.generation).toBe(1);
    });

    it.each<[string, unknown]>([
      ['an unknown field', { size: 1, sise: 2 }],
      ['a wrong type', { size: 'three' }],
      ['a missing required field', { color: 'red' }],
      ['a number over its bound', { size: 11 }],
      ['a text over its bound', { size: 1, note: 'far too long a note' }],
      ['a value outside its enumeration', { size: 1, color: 'green' }],
      ['a broken rule between fields', { size: 6, color: 'blue' }],
      ['no spec at all', undefined],
    ])('refuses %s and stores nothing', async (_, spec) => {
      const namespace = await world.newNamespace();
      await expectCode('Invalid', create({ ...buildWidget(namespace, 'a'), spec }));
      expect((await client.list(widgetType, { namespace }, signal)).items).toEqual([]);
    });

    it.each([
      ['a name with capitals', { name: 'Abc' }],
      ['a name that ends with a dash', { name: 'abc-' }],
      ['a name that is too long', { name: 'a'.repeat(254) }],
      ['no name', {}],
      ['a label value with a space', { name: 'a', labels: { key: 'two words' } }],
      ['a label value that is too long', { name: 'a', labels: { key: 'v'.repeat(64) } }],
      ['a label key with two slashes', { name: 'a', labels: { 'a/b/c': 'v' } }],
      ['an annotation key with a space', { name: 'a', annotations: { 'two words': 'v' } }],
      [
        'an owner without a uid',
        { name: 'a', ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'p', uid: '' }] },
      ],
    ])('refuses %s', async (_, meta) => {
      const namespace = await world.newNamespace();
      await expectCode('Invalid', create({ ...buildWidget(namespace, 'a'), metadata: { ...meta, namespace } }));
    });

    it('refuses an object of another kind, without a namespace, or with a version', async () => {
      const namespace = await world.newNamespace();
      const widget = buildWidget(namespace, 'a');
      await expectCode('Invalid', create({ ...widget, kind: 'Gadget' }));
      await expectCode('BadRequest', create({ ...widget, apiVersion: 'test.pgbackup.dev/v2' }));
      await expectCode('BadRequest', create({ ...widget, metadata: { name: 'a' } }));
      await expectCode('BadRequest', create({ ...widget, metadata: { ...widget.metadata, resourceVersion: '5' } }));
    });
  });

  describe('put', () => {
    it('replaces the spec, counts up the generation and leaves the identity alone', async () => {
      const first = await create(buildWidget(await world.newNamespace(), 'a', { size: 1, note: 'gone' }));
      const second = await put({ ...first, spec: { size: 2, color: 'red' } });
      expect(second.spec).toEqual({ size: 2, color: 'red' });
      expect(second.metadata).toEqual({
        ...first.metadata,
        generation: 2,
        resourceVersion: second.metadata.resourceVersion,
      });
      expect(second.metadata.resourceVersion).not.toBe(first.metadata.resourceVersion);
      expect(await get(first)).toEqual(second);
    });

    it('does not count up the generation for labels', async () => {
      const first = await create(buildWidget(await world.newNamespace(), 'a'));
      const second = await put({ ...first, metadata: { ...first.metadata, labels: { color: 'red' } } });
      expect(second.metadata.generation).toBe(1);
      expect(second.metadata.labels).toEqual({ color: 'red' });
    });

    it('changes no version when it changes nothing', async () => {
      const first = await create(buildWidget(await world.newNamespace(), 'a'));
      expect(await put(first)).toEqual(first);
    });

    it('refuses a stale version, and none at all', async () => {
      const first = await create(buildWidget(await world.newNamespace(), 'a'));
      const second = await put({ ...first, spec: { size: 2 } });
      await expectCode('Conflict', put({ ...first, spec: { size: 3 } }));
      const { resourceVersion: _, ...unversioned } = second.metadata;
      await expectCode('Invalid', put({ ...second, metadata: unversioned, spec: { size: 4 } }));
      expect(await get(first)).toEqual(second);
    });

    it('refuses another incarnation and an object that is gone', async () => {
      const first = await create(buildWidget(await world.newNamespace(), 'a'));
      const { namespace } = first.metadata;
      await client.delete(widgetType, namespace, 'a', {}, signal);
      await expectCode('NotFound', put({ ...first, spec: { size: 2 } }));
      const second = await create(buildWidget(namespace ?? '', 'a'));
      const { resourceVersion = '' } = second.metadata;
      await expectCode('Conflict', put({ ...second, metadata: { ...first.metadata, resourceVersion } }));
    });

    it('refuses an invalid object and a change of what is immutable', async () => {
      const first = await create(buildWidget(await world.newNamespace(), 'a'));
      await expectCode('Invalid', put({ ...first, spec: { size: 0 } }));
      await expectCode('Invalid', put({ ...first, spec: { size: 1, typo: true } }));
      await expectCode('Invalid', put({ ...first, spec: { size: 1, color: 'blue' } }));
      expect(await get(first)).toEqual(first);
    });

    it('works for kinds without a status, as they are', async () => {
      const namespace = await world.newNamespace();
      const sent: KubeObject = {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { namespace, name: 'c' },
        data: { a: '1' },
      };
      const first = await client.create(configMapType, sent, signal);
      const second = await client.put(configMapType, { ...first, data: { a: '2' } }, signal);
      expect(second['data']).toEqual({ a: '2' });
      expect((await client.list(configMapType, { namespace, labelSelector: 'x=y' }, signal)).items).toEqual([]);
      const { resourceVersion: _, ...unversioned } = second.metadata;
      await expectCode('Invalid', client.put(configMapType, { ...second, metadata: unversioned }, signal));
    });
  });

  describe('status', () => {
    it('is dropped by create, ignored by put and written by put status alone', async () => {
      const widget = buildWidget(await world.newNamespace(), 'a');
      const first = await create({ ...widget, status: { phase: 'Sneaked' } });
      expect(first.status).toBeUndefined();
      const second = await client.putStatus(widgetType, { ...first, status: { phase: 'Ready' } }, signal);
      expect(second.status).toEqual({ phase: 'Ready' });
      expect(second.metadata.generation).toBe(1);
      const third = await put({ ...second, status: { phase: 'Sneaked' }, spec: { size: 2 } });
      expect(third.status).toEqual({ phase: 'Ready' });
      const { status: _, ...without } = third;
      const fourth = await put({ ...without, spec: { size: 3 } });
      expect(fourth).toMatchObject({ status: { phase: 'Ready' }, spec: { size: 3 }, metadata: { generation: 3 } });
    });

    it('is all that put status changes', async () => {
      const first = await create(buildWidget(await world.newNamespace(), 'a', { size: 1 }));
      const sent = { ...first, metadata: { ...first.metadata, labels: { new: 'x' } }, spec: { size: 9 } };
      const second = await client.putStatus(widgetType, { ...sent, status: { phase: 'Ready' } }, signal);
      expect(second).toMatchObject({ spec: { size: 1 }, status: { phase: 'Ready' } });
      expect(second.metadata.labels).toBeUndefined();
      expect(await get(first)).toEqual(second);
    });

    it('refuses a stale version, none, and what its schema does not allow', async () => {
      const first = await create(buildWidget(await world.newNamespace(), 'a'));
      const second = await client.putStatus(widgetType, { ...first, status: { phase: 'Ready' } }, signal);
      const { resourceVersion: _, ...unversioned } = second.metadata;
      await expectCode('Conflict', client.putStatus(widgetType, { ...first, status: { phase: 'Late' } }, signal));
      await expectCode('Invalid', client.putStatus(widgetType, { ...second, metadata: unversioned }, signal));
      await expectCode('Invalid', client.putStatus(widgetType, { ...second, status: { phase: 7 } }, signal));
      expect(await client.putStatus(widgetType, second, signal)).toEqual(second);
    });

    it('keeps nothing that its schema does not know', async () => {
      const first = await create(buildWidget(await world.newNamespace(), 'a'));
      const status = { phase: 'Ready', fase: 'x' };
      await client.putStatus(widgetType, { ...first, status }, signal).catch((error: unknown) => {
        if (!isKubeError(error, 'Invalid')) throw error;
      });
      expect(Object.keys((await get(first))?.status ?? {})).not.toContain('fase');
    });
  });

  describe('list', () => {
    it('gives every object once, in pages, of one moment', async () => {
      const namespace = await world.newNamespace();
      const names = ['a', 'b', 'c', 'd', 'e'];
      for (const name of names) await create(buildWidget(namespace, name));
      const first = await client.list(widgetType, { namespace, limit: 2 }, signal);
      await create(buildWidget(namespace, 'f'));
      await client.delete(widgetType, namespace, 'd', {}, signal);
      const seen = [...first.items];
      let page = first;
      while (page.continue !== undefined) {
        page = await client.list(widgetType, { namespace, limit: 2, continue: page.continue }, signal);
        expect(page.items.length).toBeLessThanOrEqual(2);
        expect(page.resourceVersion).toBe(first.resourceVersion);
        seen.push(...page.items);
      }
      expect(seen.map(({ metadata }) => metadata.name)).toEqual(names);
      const whole = await client.list(widgetType, { namespace }, signal);
      expect(whole.items.map(({ metadata }) => metadata.name)).toEqual(['a', 'b', 'c', 'e', 'f']);
      expect(whole.continue).toBeUndefined();
      expect(whole.items[0]).toEqual(await client.get(widgetType, namespace, 'a', signal));
    });

    it('keeps namespaces apart and shows all when asked for none', async () => {
      const [one, two] = [await world.newNamespace(), await world.newNamespace()];
      await create(buildWidget(one, 'a'));
      await create(buildWidget(two, 'b'));
      const inOne = await client.list(widgetType, { namespace: one }, signal);
      expect(inOne.items.map(({ metadata }) => metadata.name)).toEqual(['a']);
      const all = (await client.list(widgetType, {}, signal)).items.map(({ metadata }) => metadata.namespace);
      expect(all).toEqual(expect.arrayContaining([one, two]));
    });

    it('selects by labels', async () => {
      const namespace = await world.newNamespace();
      const labelled = (name: string, labels: Record<string, string>): KubeObject => {
        const widget = buildWidget(namespace, name);
        return { ...widget, metadata: { ...widget.metadata, labels } };
      };
      await create(labelled('a', { 'x.dev/team': 'one', tier: 'db' }));
      await create(labelled('b', { 'x.dev/team': 'one', tier: 'web' }));
      await create(labelled('c', { tier: 'db' }));
      const select = async (labelSelector: string) => {
        const { items } = await client.list(widgetType, { namespace, labelSelector }, signal);
        return items.map(({ metadata }) => metadata.name);
      };
      expect(await select('x.dev/team=one')).toEqual(['a', 'b']);
      expect(await select('x.dev/team=one,tier=db')).toEqual(['a']);
      expect(await select('tier=none')).toEqual([]);
      await expectCode('BadRequest', select('=,'));
    });

    it('selects by fields', async () => {
      const namespace = await world.newNamespace();
      for (const name of ['a', 'b']) await create(buildWidget(namespace, name));
      const select = async (fieldSelector: string) => {
        const { items } = await client.list(widgetType, { namespace, fieldSelector }, signal);
        return items.map(({ metadata }) => metadata.name);
      };
      expect(await select('metadata.name=b')).toEqual(['b']);
      expect(await select(`metadata.name=a,metadata.namespace=${namespace}`)).toEqual(['a']);
      expect(await select('metadata.name=c')).toEqual([]);
      await expectCode('BadRequest', select('metadata.name'));
    });
  });

  describe('delete', () => {
    it('removes an object, and succeeds when there is none', async () => {
      const { metadata } = await create(buildWidget(await world.newNamespace(), 'a'));
      await client.delete(widgetType, metadata.namespace, 'a', {}, signal);
      expect(await client.get(widgetType, metadata.namespace, 'a', signal)).toBeUndefined();
      await client.delete(widgetType, metadata.namespace, 'a', {}, signal);
      await client.delete(widgetType, metadata.namespace, 'a', { uid: metadata.uid ?? '' }, signal);
    });

    it('spares another incarnation', async () => {
      const first = await create(buildWidget(await world.newNamespace(), 'a'));
      const uid = '00000000-0000-4000-8000-000000000000';
      await expectCode('Conflict', client.delete(widgetType, first.metadata.namespace, 'a', { uid }, signal));
      expect(await get(first)).toEqual(first);
      await client.delete(widgetType, first.metadata.namespace, 'a', { uid: first.metadata.uid ?? '' }, signal);
      expect(await get(first)).toBeUndefined();
    });

    it('waits for finalizers, takes no new ones meanwhile, and removes with the last of them', async () => {
      const widget = buildWidget(await world.newNamespace(), 'a');
      const finalizers = ['test.pgbackup.dev/one', 'test.pgbackup.dev/two'];
      const first = await create({ ...widget, metadata: { ...widget.metadata, finalizers } });
      expect(first.metadata.deletionTimestamp).toBeUndefined();
      await client.delete(widgetType, first.metadata.namespace, 'a', {}, signal);
      const going = await present(get(first));
      expect(going.metadata.deletionTimestamp).toMatch(/^\d{4}-/);
      expect(going.metadata).toMatchObject({ finalizers, generation: 2, uid: first.metadata.uid });
      await client.delete(widgetType, first.metadata.namespace, 'a', {}, signal);
      expect(await get(first)).toEqual(going);
      const more = [...finalizers, 'test.pgbackup.dev/three'];
      await expectCode('Invalid', put({ ...going, metadata: { ...going.metadata, finalizers: more } }));
      const { deletionTimestamp: _, ...undead } = going.metadata;
      const kept = await put({ ...going, metadata: { ...undead, finalizers: finalizers.slice(1) } });
      expect(kept.metadata.deletionTimestamp).toBe(going.metadata.deletionTimestamp);
      await put({ ...kept, metadata: { ...kept.metadata, finalizers: [] } });
      expect(await get(first)).toBeUndefined();
    });
  });

  describe('owners', () => {
    const ownedBy = (owner: KubeObject, name: string, more: Partial<OwnerReference> = {}): KubeObject => {
      const { name: ownerName = '', uid = '', namespace = '' } = owner.metadata;
      const reference = {
        apiVersion: owner.apiVersion,
        kind: owner.kind,
        name: ownerName,
        uid,
        controller: true,
        ...more,
      };
      const widget = buildWidget(namespace, name);
      return { ...widget, metadata: { ...widget.metadata, ownerReferences: [reference] } };
    };

    it('take what they own with them, down to the grandchildren', async () => {
      const owner = await create(buildWidget(await world.newNamespace(), 'owner'));
      const child = await create(ownedBy(owner, 'child'));
      const grandchild = await create(ownedBy(child, 'grandchild'));
      const stranger = await create(buildWidget(owner.metadata.namespace ?? '', 'stranger'));
      await client.delete(widgetType, owner.metadata.namespace, 'owner', {}, signal);
      expect(await get(owner)).toBeUndefined();
      await expect.poll(() => get(child), { timeout: 30_000 }).toBeUndefined();
      await expect.poll(() => get(grandchild), { timeout: 30_000 }).toBeUndefined();
      expect(await get(stranger)).toEqual(stranger);
    });

    it('leave what they own when told to', async () => {
      const owner = await create(buildWidget(await world.newNamespace(), 'owner'));
      const child = await create(ownedBy(owner, 'child'));
      await client.delete(widgetType, owner.metadata.namespace, 'owner', { propagation: 'Orphan' }, signal);
      await expect.poll(() => get(owner), { timeout: 30_000 }).toBeUndefined();
      const orphan = await present(get(child));
      expect(orphan.metadata.uid).toBe(child.metadata.uid);
      expect(orphan.metadata.ownerReferences).toBeUndefined();
    });

    it('wait in the foreground for what blocks them', async () => {
      const owner = await create(buildWidget(await world.newNamespace(), 'owner'));
      const held = ownedBy(owner, 'child', { blockOwnerDeletion: true });
      const finalizers = ['test.pgbackup.dev/held'];
      const child = await create({ ...held, metadata: { ...held.metadata, finalizers } });
      await client.delete(widgetType, owner.metadata.namespace, 'owner', { propagation: 'Foreground' }, signal);
      const isGoing = async (object: KubeObject) => (await get(object))?.metadata.deletionTimestamp !== undefined;
      await expect.poll(() => isGoing(child), { timeout: 30_000 }).toBe(true);
      expect((await present(get(owner))).metadata.finalizers).toEqual(['foregroundDeletion']);
      const { metadata, ...rest } = await present(get(child));
      await put({ ...rest, metadata: { ...metadata, finalizers: [] } });
      await expect.poll(() => get(child), { timeout: 30_000 }).toBeUndefined();
      await expect.poll(() => get(owner), { timeout: 30_000 }).toBeUndefined();
    });

    it('that do not exist any more keep nothing alive', async () => {
      const owner = await create(buildWidget(await world.newNamespace(), 'owner'));
      await client.delete(widgetType, owner.metadata.namespace, 'owner', {}, signal);
      const child = await create(ownedBy(owner, 'child'));
      await expect.poll(() => get(child), { timeout: 30_000 }).toBeUndefined();
    });
  });

  describe('watch', () => {
    const follow = (namespace: string, resourceVersion: string, stop: AbortSignal, labelSelector?: string) => {
      const options = { namespace, resourceVersion, ...(labelSelector === undefined ? {} : { labelSelector }) };
      return client.watch(widgetType, options, stop);
    };

    it('tells every change after a version, in order, to each of two watchers', async () => {
      const namespace = await world.newNamespace();
      const before = await create(buildWidget(namespace, 'before'));
      const { resourceVersion } = await client.list(widgetType, { namespace }, signal);
      const first = await create(buildWidget(namespace, 'a', { size: 1 }));
      const second = await put({ ...first, spec: { size: 2, color: 'red' } });
      await client.delete(widgetType, namespace, 'a', {}, signal);
      await client.delete(widgetType, namespace, 'before', {}, signal);
      const stop = new AbortController();
      const expected = ['ADDED a', 'MODIFIED a', 'DELETED a', 'DELETED before'];
      for (const watch of [
        follow(namespace, resourceVersion, stop.signal),
        follow(namespace, resourceVersion, stop.signal),
      ]) {
        const events = await take(watch, 4);
        expect(events.map(describeEvent)).toEqual(expected);
        expect(events[0]).toEqual({ type: 'ADDED', object: first });
        expect(events[1]).toEqual({ type: 'MODIFIED', object: second });
        const last = events[3];
        expect(last?.type === 'DELETED' && last.object.metadata.uid).toBe(before.metadata.uid);
        const versions = events.map((event) =>
          event.type === 'BOOKMARK' ? 0 : Number(event.object.metadata.resourceVersion),
        );
        expect(versions).toEqual([...versions].sort((a, b) => a - b));
        expect(new Set(versions).size).toBe(4);
      }
      const fromSecond = await take(follow(namespace, second.metadata.resourceVersion ?? '', stop.signal), 2);
      expect(fromSecond.map(describeEvent)).toEqual(['DELETED a', 'DELETED before']);
      stop.abort();
    });

    it('tells changes that happen while it waits', async () => {
      const namespace = await world.newNamespace();
      const { resourceVersion } = await client.list(widgetType, { namespace }, signal);
      const stop = new AbortController();
      const events = take(follow(namespace, resourceVersion, stop.signal), 2);
      const first = await create(buildWidget(namespace, 'a'));
      await client.putStatus(widgetType, { ...first, status: { phase: 'Ready' } }, signal);
      expect((await events).map(describeEvent)).toEqual(['ADDED a', 'MODIFIED a']);
    });

    it('shows what comes into its selection as added and what leaves it as deleted', async () => {
      const namespace = await world.newNamespace();
      const { resourceVersion } = await client.list(widgetType, { namespace }, signal);
      const first = await create(buildWidget(namespace, 'a'));
      const inside = await put({ ...first, metadata: { ...first.metadata, labels: { seen: 'yes' } } });
      await put({ ...inside, metadata: { ...inside.metadata, labels: { seen: 'no' } } });
      const events = await take(follow(namespace, resourceVersion, signal, 'seen=yes'), 2);
      expect(events.map(describeEvent)).toEqual(['ADDED a', 'DELETED a']);
    });

    it('ends normally when its time is over, and its bookmarks are versions to go on from', async () => {
      const [namespace, elsewhere] = [await world.newNamespace(), await world.newNamespace()];
      const { resourceVersion } = await client.list(widgetType, { namespace }, signal);
      const made = await create(buildWidget(namespace, 'a'));
      const ended = new AbortController();
      const busyElsewhere = async (): Promise<void> => {
        for (let i = 0; !ended.signal.aborted; i += 1) {
          await create(buildWidget(elsewhere, `w-${i}`));
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      };
      const busy = busyElsewhere();
      const events: WatchEvent[] = [];
      const options = { namespace, resourceVersion, timeoutSeconds: 5 };
      for await (const event of client.watch(widgetType, options, signal)) events.push(event);
      ended.abort();
      await busy;
      const [first, ...others] = events.map(({ type }) => type);
      expect(first).toBe('ADDED');
      expect(new Set(others)).toEqual(new Set(['BOOKMARK']));
      const last = events.at(-1);
      const bookmark = last?.type === 'BOOKMARK' ? last.resourceVersion : '';
      expect(Number(bookmark)).toBeGreaterThan(Number(made.metadata.resourceVersion));
      await client.delete(widgetType, namespace, 'a', {}, signal);
      expect((await take(follow(namespace, bookmark, signal), 1)).map(describeEvent)).toEqual(['DELETED a']);
    });

    it('fails with Gone from a version that is no longer remembered', async () => {
      const namespace = await world.newNamespace();
      const version = await world.expiredVersion();
      await expectCode('Gone', take(follow(namespace, version, signal), 1));
    });

    it('refuses to begin nowhere', async () => {
      const namespace = await world.newNamespace();
      await expectCode('BadRequest', take(follow(namespace, '', signal), 1));
      await expectCode('BadRequest', take(follow(namespace, '0', signal), 1));
      await expectCode('BadRequest', take(follow(namespace, 'abc', signal), 1));
    });

    it('rejects with the reason of an abort', async () => {
      const namespace = await world.newNamespace();
      const { resourceVersion } = await client.list(widgetType, { namespace }, signal);
      const stop = new AbortController();
      const waiting = take(follow(namespace, resourceVersion, stop.signal), 1);
      const reason = new Error('enough');
      stop.abort(reason);
      await expect(waiting).rejects.toBe(reason);
      await expect(client.list(widgetType, {}, AbortSignal.abort(reason))).rejects.toBe(reason);
      await expect(client.get(widgetType, namespace, 'a', AbortSignal.abort(reason))).rejects.toBe(reason);
    });
  });

  it('knows no log of a pod that does not exist', async () => {
    const namespace = await world.newNamespace();
    await expectCode('NotFound', client.readLog(namespace, 'nobody', { container: 'runner' }, signal));
  });
}

async function expectCode(code: KubeErrorCode, promise: Promise<unknown>): Promise<void> {
  const error = await promise.then(
    (value) => new Error(`expected ${code}, got ${JSON.stringify(value)}`),
    (caught: unknown) => caught,
  );
  if (!isKubeError(error)) throw error;
  expect(`${error.code}: ${error.message}`).toMatch(new RegExp(`^${code}: `));
  expect(error.status).toBeGreaterThanOrEqual(400);
}

async function present(promise: Promise<KubeObject | undefined>): Promise<KubeObject> {
  const object = await promise;
  if (!object) throw new Error('the object does not exist');
  return object;
}

/** The first events that are no bookmarks. */
async function take(watch: AsyncIterable<WatchEvent>, count: number): Promise<readonly WatchEvent[]> {
  const events: WatchEvent[] = [];
  for await (const event of watch) {
    if (event.type !== 'BOOKMARK') events.push(event);
    if (events.length === count) break;
  }
  return events;
}

const describeEvent = (event: WatchEvent): string => {
  return event.type === 'BOOKMARK' ? 'BOOKMARK' : `${event.type} ${event.object.metadata.name}`;
};
