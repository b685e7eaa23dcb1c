import { describe, expect, it } from 'vitest';
import { annotations, type BackupLocation } from '../../src/api/kinds.ts';
import { keysOf } from '../../src/controller/world/keys.ts';
import { resources } from '../../src/controller/resources.ts';
import type { KubeObject } from '../../src/kube/client.ts';
import { asSent, buildBackup, buildLocation, buildPolicy } from '../builders/objects.ts';
import { backupVerdict, foundBackup, inspectVerdict } from '../builders/verdicts.ts';
import { FakeCluster, startController } from './fake-cluster.ts';

const verdict = backupVerdict();

async function open() {
  const cluster = new FakeCluster('2026-01-01T12:00:00Z');
  const operator = startController(cluster);
  await cluster.create(asSent(buildLocation()));
  await cluster.settle();
  const inspect = async (...results: readonly ReturnType<typeof foundBackup>[]): Promise<void> => {
    const [job = ''] = await cluster.openJobs('inspect');
    const storedBytes = results.reduce((sum, each) => sum + each.storedBytes, 0);
    const sums = { backups: results.length, storedBytes, resultLines: results.length, startedAt: cluster.now() };
    await cluster.finishJob(job, inspectVerdict(sums), results);
    await cluster.advance(1000);
  };
  const counts = async () => {
    const { status } = await cluster.get<BackupLocation>(resources.location, 'near');
    const { backups, storedBytes, storedSize } = status ?? {};
    return { backups, storedBytes, storedSize };
  };
  const run = async (name: string): Promise<void> => {
    await cluster.create(asSent(buildBackup({ name })));
    await cluster.advance(1000);
    await cluster.finishJob(`pgb-${name}`, verdict);
    await cluster.advance(1000);
  };
  await cluster.create(asSent(buildPolicy({ spec: { schedule: undefined } })));
  return { cluster, controller: operator.controller, stop: () => operator.stop(), inspect, counts, run };
}

describe('What a location holds', () => {
  it('is not known before a catalogue was read, and then follows runs without another inspection', async () => {
    const { cluster, stop, inspect, counts, run } = await open();
    await run('one');
    expect(await counts()).toEqual({});
    await inspect();
    const { storedBytes } = verdict;
    expect(await counts()).toMatchObject({ backups: 1, storedBytes });
    await run('two');
    expect(await counts()).toMatchObject({ backups: 2, storedBytes: 2 * storedBytes });
    expect(await cluster.openJobs('inspect')).toEqual([]);
    await stop();
  });

  it('loses what an object stood for, and gets it back when an inspection finds the data', async () => {
    const { cluster, stop, inspect, counts } = await open();
    const found = foundBackup({ id: 'old' });
    await inspect(found);
    expect(await counts()).toMatchObject({ backups: 1, storedBytes: found.storedBytes });
    await cluster.client.delete(resources.backup, 'shop', 'old', {}, new AbortController().signal);
    await cluster.advance(1000);
    expect(await counts()).toMatchObject({ backups: 0, storedBytes: 0 });
    await cluster.advance(3_600_000);
    await inspect(found);
    expect(await counts()).toMatchObject({ backups: 1, storedBytes: found.storedBytes });
    await stop();
  });

  it('wakes no policy when nothing but its numbers has changed, and all when it has', async () => {
    const { cluster, controller, stop, inspect } = await open();
    await inspect();
    const object = await cluster.get<KubeObject>(resources.location, 'near');
    const keys = (previous: KubeObject): readonly string[] =>
      keysOf('location', { namespace: 'shop', name: 'near', object, previous }, controller.world);
    const status = object['status'] as object;
    expect(keys({ ...object, status: { ...status, backups: 7, storedBytes: 7, storedSize: '7 B' } })).toEqual([]);
    expect(keys({ ...object, status: { ...status, phase: 'Unavailable' } })).toContain('policy/shop/nightly');
    const asked = { ...object.metadata, annotations: { [annotations.probeRequestedAt]: 'now' } };
    expect(keys({ ...object, metadata: asked })).toContain('location/shop/near');
    await stop();
  });
});
