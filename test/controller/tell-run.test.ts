import { describe, expect, it } from 'vitest';
import type { Backup } from '../../src/api/kinds.ts';
import { resources } from '../../src/controller/resources.ts';
import { asSent, buildBackup, buildLocation, buildPolicy } from '../builders/objects.ts';
import { FakeCluster, running, startController, terminated } from './fake-cluster.ts';

describe('The story of a run', () => {
  it('is told by events: made, started, tried again', async () => {
    const cluster = new FakeCluster('2026-01-01T12:00:00Z');
    const controller = startController(cluster);
    await cluster.create(asSent(buildLocation()));
    await cluster.create(asSent(buildPolicy({ spec: { schedule: undefined } })));
    await cluster.create(asSent(buildBackup({ name: 'by-hand' })));
    await cluster.advance(1000);
    const progress = { type: 'progress', v: 1, plainBytes: 0, bytesPerSecond: 0, databasesDone: 0, databasesTotal: 1 };
    cluster.logs.set('first', JSON.stringify(progress));
    await cluster.makePod('pgb-by-hand', 'first', running);
    await cluster.advance(20_000);
    expect(await cluster.told('by-hand')).toEqual(['JobCreated', 'RunStarted']);
    await cluster.setPodStatus('first', terminated(75, undefined, cluster.now()));
    await cluster.advance(1000);
    await cluster.makePod('pgb-by-hand', 'second', running);
    await cluster.advance(60_000);
    expect(await cluster.told('by-hand')).toEqual(['JobCreated', 'RunRetried', 'RunStarted']);
    expect((await cluster.get<Backup>(resources.backup, 'by-hand')).status?.failedTries).toBe(1);
    await controller.stop();
  });
});
