import { describe, expect, it } from 'vitest';
import type { Action, Ours } from '../../src/controller/action.ts';
import { applyActions } from '../../src/controller/apply.ts';
import { observePolicy } from '../../src/controller/policy/observe.ts';
import { planPolicy } from '../../src/controller/policy/plan.ts';
import { resources } from '../../src/controller/resources.ts';
import { World, type Cache } from '../../src/controller/world/world.ts';
import { worldIndexes, type WatchedKind } from '../../src/controller/world/world-indexes.ts';
import { ObjectCache } from '../../src/kube/object-cache.ts';
import type { RecordedEvent } from '../../src/kube/events.ts';
import type { KubeObject } from '../../src/kube/client.ts';
import type { Backup, BackupPolicy } from '../../src/api/kinds.ts';
import { asSent, buildBackup, buildLocation, buildPolicy } from '../builders/objects.ts';
import { FakeCluster, testMode } from './fake-cluster.ts';

const { signal } = new AbortController();

/** A writer whose caches never hear of anything: what it sees, it was told by the server or wrote itself. */
function open() {
  const cluster = new FakeCluster('2026-01-01T12:00:00Z');
  const cacheOf = (kind: WatchedKind): Cache => {
    const cache = new ObjectCache(worldIndexes[kind]);
    return {
      get: (namespace, name) => cache.get(namespace, name),
      list: (namespace) => cache.list(namespace),
      byOwner: (uid) => cache.byOwner(uid),
      byIndex: (index, value) => cache.byIndex(index, value),
    };
  };
  const caches = {
    policy: cacheOf('policy'),
    backup: cacheOf('backup'),
    location: cacheOf('location'),
    restoreRequest: cacheOf('restoreRequest'),
    restorePolicy: cacheOf('restorePolicy'),
    job: cacheOf('job'),
    pod: cacheOf('pod'),
  };
  const events: RecordedEvent[] = [];
  const world = new World(caches, cluster.clock);
  const writer = {
    client: cluster.client,
    world,
    events: { record: (event: RecordedEvent) => void events.push(event) },
  };
  return { cluster, world, writer, events };
}

const tell: Action = { type: 'tell', about: buildBackup(), level: 'Normal', reason: 'RunCreated', message: 'm' };
const create = (ours: Ours, status?: unknown): Action => ({
  type: 'create',
  resource: resources.backup,
  object: asSent(buildBackup({ name: 'b' })) as Extract<Action, { type: 'create' }>['object'],
  ours,
  ...(status === undefined ? {} : { status }),
});
const phase = { phase: 'Queued' };

describe('Applying actions', () => {
  it('creates with a status, and shows both to the next look before any watch does', async () => {
    const { cluster, world, writer, events } = open();
    expect(await applyActions(writer, [create('never', phase), tell], signal)).toBe('done');
    expect(await cluster.get<Backup>(resources.backup, 'b')).toMatchObject({ status: phase });
    expect(world.backup('shop', 'b')?.object.status).toEqual(phase);
    expect(events.map(({ reason }) => reason)).toEqual(['RunCreated']);
  });

  it.each<[string, Ours, 'done' | 'again']>([
    ['ours by its spec', { specMembers: { policy: 'nightly', slot: undefined } }, 'done'],
    ['another one by its spec', { specMembers: { policy: 'nightly', slot: '2026-01-01T03:00:00Z' } }, 'again'],
    ['another policy’s', { specMembers: { policy: 'daily' } }, 'again'],
    ['not controlled by us', { controllerUid: 'u' }, 'again'],
    ['to be looked at again in any case', 'never', 'again'],
  ])('finds what exists already: %s', async (_title, ours, applied) => {
    const { cluster, world, writer, events } = open();
    await cluster.create(asSent(buildBackup({ name: 'b' })));
    expect(await applyActions(writer, [create(ours, phase), tell], signal)).toBe(applied);
    expect(events).toHaveLength(applied === 'done' ? 1 : 0);
    // Nothing is written over it, and the next look sees it.
    expect((await cluster.get<Backup>(resources.backup, 'b')).status).toBeUndefined();
    expect(world.backup('shop', 'b')).toBeDefined();
  });

  it('knows a Job of ours by its controller', async () => {
    const { cluster, writer } = open();
    const job = (uid: string): KubeObject => ({
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: {
        name: 'j',
        namespace: 'shop',
        ownerReferences: [{ apiVersion: 'example.com/v1', kind: 'Backup', name: 'b', uid, controller: true }],
      },
    });
    await cluster.create(job('mine'));
    const again = (uid: string): Action => ({
      type: 'create',
      resource: resources.job,
      object: job(uid) as Extract<Action, { type: 'create' }>['object'],
      ours: { controllerUid: uid },
    });
    expect(await applyActions(writer, [again('mine')], signal)).toBe('done');
    expect(await applyActions(writer, [again('other')], signal)).toBe('again');
  });

  it('writes no status over one that it has not seen', async () => {
    const { cluster, world, writer, events } = open();
    const first = await cluster.create(asSent(buildBackup({ name: 'b' })));
    const object = first as unknown as Backup;
    const write = (status: object): Action => ({ type: 'set-status', resource: resources.backup, object, status });
    expect(await applyActions(writer, [write({ phase: 'Queued' })], signal)).toBe('done');
    expect(world.backup('shop', 'b')?.object.status).toEqual({ phase: 'Queued' });
    expect(await applyActions(writer, [write({ phase: 'Failed' }), tell], signal)).toBe('again');
    expect((await cluster.get<Backup>(resources.backup, 'b')).status).toEqual({ phase: 'Queued' });
    expect(events).toEqual([]);
  });

  it('deletes the incarnation that was seen and no other', async () => {
    const { cluster, writer } = open();
    await cluster.create(asSent(buildBackup({ name: 'b' })));
    const { metadata } = await cluster.get<Backup>(resources.backup, 'b');
    const remove = (uid: string): Action => ({
      type: 'delete',
      resource: resources.backup,
      namespace: 'shop',
      name: 'b',
      uid,
      propagation: 'Background',
    });
    expect(await applyActions(writer, [remove('another')], signal)).toBe('again');
    expect(await cluster.names(resources.backup)).toEqual(['b']);
    expect(await applyActions(writer, [remove(metadata.uid)], signal)).toBe('done');
    expect(await cluster.names(resources.backup)).toEqual([]);
    expect(await applyActions(writer, [remove(metadata.uid)], signal)).toBe('done');
  });

  it('holds and releases by the finalizer, and leaves those of others', async () => {
    const { cluster, writer } = open();
    await cluster.create({
      ...asSent(buildBackup({ name: 'b' })),
      metadata: { name: 'b', namespace: 'shop', finalizers: ['a/b'] },
    });
    const act = async (type: 'hold' | 'release'): Promise<readonly string[] | undefined> => {
      const object = await cluster.get<Backup>(resources.backup, 'b');
      expect(await applyActions(writer, [{ type, resource: resources.backup, object }], signal)).toBe('done');
      return (await cluster.get<Backup>(resources.backup, 'b')).metadata.finalizers;
    };
    expect(await act('hold')).toEqual(['a/b', 'pgbackup.dev/hold']);
    expect(await act('hold')).toEqual(['a/b', 'pgbackup.dev/hold']);
    expect(await act('release')).toEqual(['a/b']);
  });

  it('counts no slot as missed that the leader before has run, though no cache has heard of it', async () => {
    const { cluster, world, writer } = open();
    const spec = { schedule: '0 * * * *', concurrencyPolicy: 'Allow' };
    const status = { handledSlot: '2026-01-01T13:00:00Z', scheduledBy: '0 * * * * Etc/UTC', missedRuns: 7 };
    const made = await cluster.create(asSent(buildPolicy({ spec })));
    const policy = await cluster.client.putStatus(resources.policy, { ...made, status }, signal);
    world.note(resources.policy, policy);
    world.note(resources.location, await cluster.create(asSent(buildLocation())));
    // By whoever led before, which died before it could say so.
    await cluster.create(
      asSent(
        buildBackup({ name: 'nightly-20260101t140000z', spec: { policy: 'nightly', slot: '2026-01-01T14:00:00Z' } }),
      ),
    );
    const look = async () => {
      const seen = observePolicy(world, testMode, Date.parse('2026-01-01T15:00:00Z'), 'shop', 'nightly');
      if (seen === undefined) throw new Error('there is no policy');
      return applyActions(writer, planPolicy(seen).actions, signal);
    };
    expect(await look()).toBe('again');
    expect(await look()).toBe('done');
    expect((await cluster.get<BackupPolicy>(resources.policy, 'nightly')).status).toMatchObject({
      missedRuns: 7,
      handledSlot: '2026-01-01T15:00:00Z',
    });
    expect(await cluster.names(resources.backup)).toEqual(['nightly-20260101t140000z', 'nightly-20260101t150000z']);
  });

  it('asks once for a name that somebody else has taken, and counts the slot then', async () => {
    const { cluster, world, writer } = open();
    const status = { handledSlot: '2026-01-01T13:00:00Z', scheduledBy: '0 * * * * Etc/UTC', missedRuns: 0 };
    const made = await cluster.create(asSent(buildPolicy({ spec: { schedule: '0 * * * *' } })));
    world.note(resources.policy, await cluster.client.putStatus(resources.policy, { ...made, status }, signal));
    world.note(resources.location, await cluster.create(asSent(buildLocation())));
    await cluster.create(asSent(buildBackup({ name: 'nightly-20260101t140000z', spec: { policy: 'daily' } })));
    const applied: string[] = [];
    for (let looks = 0; looks < 3; looks += 1) {
      const seen = observePolicy(world, testMode, Date.parse('2026-01-01T15:00:00Z'), 'shop', 'nightly');
      if (seen !== undefined) {
        applied.push(await applyActions(writer, planPolicy(seen).actions, signal));
      }
    }
    expect(applied).toEqual(['again', 'done', 'done']);
    expect((await cluster.get<BackupPolicy>(resources.policy, 'nightly')).status?.missedRuns).toBe(1);
  });
});
