import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { annotations, finalizer, labels, type Backup } from '../../src/api/kinds.ts';
import { findCondition } from '../../src/controller/conditions.ts';
import { resources } from '../../src/controller/resources.ts';
import { parseTask } from '../../src/domain/parse-task.ts';
import { KubeError, type KubeClient } from '../../src/kube/client.ts';
import { locationSpec, policySpec } from '../builders/objects.ts';
import { backupVerdict, inspectVerdict } from '../builders/verdicts.ts';
import { FakeCluster, startController, type Running } from './fake-cluster.ts';

const forever = new AbortController().signal;
const meta = (name: string): { readonly name: string; readonly namespace: string } => ({ name, namespace: 'shop' });
const apiVersion = 'pgbackup.dev/v1beta1';

describe('Deleting a Backup', () => {
  let cluster: FakeCluster;
  let running: Running | undefined;
  const start = (client?: KubeClient): void => {
    running = startController(cluster, client === undefined ? {} : { client });
  };

  beforeEach(async () => {
    cluster = new FakeCluster('2026-01-01T03:00:30Z');
    running = undefined;
    for (const name of ['near', 'far']) {
      const spec = { ...locationSpec, inspectionIntervalSeconds: 7 * 86_400 };
      await cluster.create({ apiVersion, kind: 'BackupLocation', metadata: meta(name), spec });
    }
    const spec = { ...policySpec, schedule: undefined, destinations: [{ location: 'near' }, { location: 'far' }] };
    await cluster.create({ apiVersion, kind: 'BackupPolicy', metadata: meta('nightly'), spec });
  });
  afterEach(async () => running?.stop());

  const begin = async (deletionPolicy: string): Promise<void> => {
    await cluster.settle();
    for (const job of await cluster.openJobs('inspect')) await cluster.finishJob(job, inspectVerdict());
    await cluster.create({
      apiVersion,
      kind: 'Backup',
      metadata: meta('one'),
      spec: { policy: 'nightly', deletionPolicy },
    });
    await cluster.advance(2000);
  };
  const store = async (): Promise<void> => {
    const at = cluster.now();
    const destinations = ['near', 'far'].map((location) => ({
      location,
      outcome: 'Stored' as const,
      bytes: 10,
      manifestSha256: 'a'.repeat(64),
    }));
    await cluster.finishJob('pgb-one', backupVerdict({ startedAt: at, completedAt: at, destinations }));
    await cluster.advance(1000);
  };
  const remove = async (): Promise<void> => {
    await cluster.client.delete(resources.backup, 'shop', 'one', {}, forever);
    await cluster.advance(31_000);
  };
  const open = async (): Promise<readonly string[]> =>
    (await cluster.list(resources.job))
      .flatMap(({ metadata, status }) =>
        metadata.labels?.[labels.task] === 'deletion' &&
        (status as { conditions?: unknown } | undefined)?.conditions === undefined
          ? (metadata.name ?? '')
          : [],
      )
      .sort();
  const end = async (job: string, more: object = {}): Promise<void> => {
    const { spec } = await cluster.get<{ spec: { template: { metadata: { annotations: Record<string, string> } } } }>(
      resources.job,
      job,
    );
    const task = parseTask(spec.template.metadata.annotations[annotations.task] ?? '');
    expect(task).toMatchObject({ kind: 'prune', why: 'deletion', remove: [{ id: 'one' }] });
    const at = cluster.now();
    const verdict = {
      v: 1,
      kind: 'prune',
      verdict: 'Succeeded',
      startedAt: at,
      completedAt: at,
      removed: 1,
      freedBytes: 10,
      deferred: 0,
      refused: 0,
      failed: 0,
      resultLines: 0,
      ...more,
    };
    await cluster.finishJob(job, verdict);
    await cluster.advance(1000);
  };
  const backup = async (): Promise<Backup | undefined> =>
    (await cluster.client.get(resources.backup, 'shop', 'one', forever)) as Backup | undefined;
  const waitsFor = async (): Promise<string | undefined> =>
    findCondition((await backup())?.status?.conditions, 'Deleted')?.reason;

  it('with Retain leaves its data, and nothing holds it', async () => {
    start();
    await begin('Retain');
    await store();
    expect((await backup())?.metadata.finalizers).toBeUndefined();
    await remove();
    expect(await backup()).toBeUndefined();
    expect(await open()).toEqual([]);
  });

  it('with Delete removes its data at every place first', async () => {
    start();
    await begin('Delete');
    await store();
    expect((await backup())?.metadata.finalizers).toEqual([finalizer]);
    await remove();
    expect(await open()).toEqual(['pgd0-one', 'pgd1-one']);
    await end('pgd0-one');
    expect((await backup())?.status?.destinations?.map(({ outcome }) => outcome)).toEqual(['Removed', 'Stored']);
    await end('pgd1-one');
    await cluster.advance(2000);
    expect(await backup()).toBeUndefined();
    expect(await cluster.told('one')).toContain('BackupDeleted');
    expect((await cluster.names(resources.job)).filter((name) => name.startsWith('pgd'))).toEqual([]);
  });

  it('does nothing for half a minute, in which it can be taken back', async () => {
    start();
    await begin('Delete');
    await store();
    await cluster.client.delete(resources.backup, 'shop', 'one', {}, forever);
    await cluster.advance(29_000);
    expect(await open()).toEqual([]);
    expect(await waitsFor()).toBe('Removing');
    await cluster.update(resources.backup, 'one', (object) => ({
      ...object,
      spec: { ...(object['spec'] as object), deletionPolicy: 'Retain' },
    }));
    await cluster.advance(60_000);
    expect(await backup()).toBeUndefined();
    expect(await open()).toEqual([]);
  });

  it('waits for a place that does not answer, says so, tries again, and goes without it when it may', async () => {
    start();
    await begin('Delete');
    await store();
    await remove();
    await end('pgd0-one');
    await end('pgd1-one', {
      verdict: 'Failed',
      removed: 0,
      failed: 1,
      reason: 'StorageUnreachable',
      message: 'no answer',
    });
    expect(await waitsFor()).toBe('StorageUnreachable');
    expect(await cluster.told('one')).toContain('StorageUnreachable');
    await cluster.advance(11 * 60_000);
    expect(await open()).toEqual(['pgd1-one']);
    await end('pgd1-one', {
      verdict: 'Failed',
      removed: 0,
      failed: 1,
      reason: 'StorageUnreachable',
      message: 'no answer',
    });
    await cluster.update(resources.backup, 'one', (object) => ({
      ...object,
      spec: { ...(object['spec'] as object), deletionPolicy: 'Retain' },
    }));
    await cluster.advance(1000);
    expect(await backup()).toBeUndefined();
  });

  it.each([
    ['is gone', async (): Promise<void> => cluster.client.delete(resources.location, 'shop', 'far', {}, forever)],
    [
      'is ReadOnly',
      async (): Promise<void> =>
        cluster.update(resources.location, 'far', (object) => ({
          ...object,
          spec: { ...(object['spec'] as object), accessMode: 'ReadOnly' },
        })),
    ],
  ])('goes and says what stays where a location %s', async (_title, change) => {
    start();
    await begin('Delete');
    await store();
    await change();
    await cluster.settle();
    await remove();
    expect(await open()).toEqual(['pgd0-one']);
    await end('pgd0-one');
    await cluster.advance(2000);
    expect(await backup()).toBeUndefined();
    expect(await cluster.told('one')).toContain('DataLeft');
  });

  it('goes and says what stays where the place holds it by a lock', async () => {
    start();
    await begin('Delete');
    await store();
    await remove();
    await end('pgd0-one');
    await end('pgd1-one', { removed: 0, deferred: 1 });
    await cluster.advance(2000);
    expect(await backup()).toBeUndefined();
    expect(await cluster.told('one')).toContain('DataLeft');
  });

  it('ends a run that is at work, and removes what it may have stored', async () => {
    start();
    await begin('Delete');
    await remove();
    expect(await cluster.names(resources.job)).not.toContain('pgb-one');
    await cluster.advance(11_000);
    expect(await open()).toEqual(['pgd0-one', 'pgd1-one']);
    await end('pgd0-one');
    await end('pgd1-one');
    await cluster.advance(15_000);
    for (const job of await open()) await end(job);
    await cluster.advance(15_000);
    expect(await backup()).toBeUndefined();
  });

  it('says that data may stay where nobody knows any more where a run that was at work has stored', async () => {
    start();
    await begin('Delete');
    await cluster.client.delete(resources.policy, 'shop', 'nightly', {}, forever);
    await remove();
    await cluster.advance(15_000);
    expect(await backup()).toBeUndefined();
    expect(await cluster.told('one')).toContain('DataLeft');
    expect(await cluster.told('one')).not.toContain('BackupDeleted');
  });

  it('never holds up a namespace that is being deleted', async () => {
    const { client } = cluster;
    const message =
      'jobs.batch "x" is forbidden: unable to create new content in namespace shop because it is being terminated';
    let isEnding = false;
    start({
      ...client,
      create: async (type, object, signal) => {
        if (isEnding && type.plural === 'jobs') throw new KubeError('Forbidden', message);
        return client.create(type, object, signal);
      },
    });
    await begin('Delete');
    await store();
    isEnding = true;
    await remove();
    await cluster.advance(2 * 60_000);
    expect(await backup()).toBeUndefined();
  });
});
