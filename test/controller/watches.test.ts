import { expect, it } from 'vitest';
import { createController } from '../../src/controller/controller.ts';
import { openControllerMetrics } from '../../src/controller/metrics/open-controller-metrics.ts';
import { runLeading } from '../../src/controller/run-leading.ts';
import { KubeError, type KubeClient } from '../../src/kube/client.ts';
import { silentLog } from '../../src/support/log.ts';
import { asSent, buildBackup, buildLocation, buildPolicy } from '../builders/objects.ts';
import { FakeCluster, testMode } from './fake-cluster.ts';

/** A client whose watches of a kind hear nothing while `isDeaf`, as when packets are dropped on the way. */
function deafen(client: KubeClient, kind: string, isDeaf: () => boolean): KubeClient {
  return {
    ...client,
    async *watch(type, options, signal) {
      if (type.kind !== kind || !isDeaf()) yield* client.watch(type, options, signal);
      else
        await new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error));
        });
    },
  };
}

async function start(cluster: FakeCluster, client: KubeClient) {
  const metrics = openControllerMetrics(cluster.clock, { processMetrics: false });
  const { clock, random } = cluster;
  const common = { client, clock, random, log: silentLog, mode: testMode, instance: 'test' };
  const controller = createController({ ...common, ...metrics.hooks });
  metrics.follow(controller);
  const stopping = new AbortController();
  const ends = runLeading(controller, undefined, stopping.signal);
  await cluster.settle();
  const age = async (kind: string): Promise<number> => {
    const { text } = await metrics.print();
    return Number(new RegExp(`^pgbackup_watch_contact_age_seconds\\{kind="${kind}"\\} (\\S+)$`, 'm').exec(text)?.[1]);
  };
  const stop = async (): Promise<void> => {
    stopping.abort();
    await ends;
  };
  return { controller, metrics, age, stop };
}

const minute = 60_000;

it('A watch without contact for five minutes makes a controller not ready, until it has contact again', async () => {
  const cluster = new FakeCluster('2026-01-01T12:00:00Z');
  const deaf = { on: false };
  const { controller, metrics, age, stop } = await start(
    cluster,
    deafen(cluster.client, 'Job', () => deaf.on),
  );
  try {
    // However quiet a cluster is, its watches end in good order.
    for (let minutes = 0; minutes < 30; minutes += 1) {
      await cluster.advance(minute);
      expect(controller.watches.whyNotReady()).toBeUndefined();
      expect(await age('job')).toBeLessThanOrEqual(180);
    }
    deaf.on = true;
    for (let minutes = 0; minutes < 4; minutes += 1) {
      await cluster.advance(minute);
      expect(controller.watches.whyNotReady()).toBeUndefined();
    }
    await cluster.advance(5 * minute);
    expect(controller.watches.whyNotReady()).toMatch(/^no contact: job for \d+ s$/);
    expect(await age('job')).toBeGreaterThan(300);
    expect(await age('backup')).toBeLessThanOrEqual(180);
    expect((await metrics.print()).text).toMatch(
      /^pgbackup_api_requests_total\{verb="watch",resource="jobs",code="Unreachable"\} [1-9]/m,
    );
    // It works on: what it writes is guarded by versions and names.
    expect(controller.leads()).toBe(true);
    await cluster.create(asSent(buildLocation()));
    await cluster.create(asSent(buildPolicy({ spec: { schedule: undefined } })));
    await cluster.create(asSent(buildBackup({ name: 'now' })));
    await cluster.advance(1000);
    expect(await cluster.openJobs('backup')).toEqual(['pgb-now']);

    deaf.on = false;
    await cluster.advance(4 * minute);
    expect(controller.watches.whyNotReady()).toBeUndefined();
    expect(await age('job')).toBeLessThanOrEqual(180);
  } finally {
    await stop();
  }
});

it('A refusal is no contact: a controller whose rights were taken away says so', async () => {
  const cluster = new FakeCluster('2026-01-01T12:00:00Z');
  const { client } = cluster;
  const revoked = { on: false };
  const refuse = (): void => {
    if (revoked.on) throw new KubeError('Forbidden', 'no rights');
  };
  const { controller, metrics, stop } = await start(cluster, {
    ...client,
    async *watch(type, options, signal) {
      if (type.kind === 'Pod') refuse();
      yield* client.watch(type, options, signal);
    },
  });
  try {
    await cluster.advance(minute);
    revoked.on = true;
    await cluster.advance(9 * minute);
    expect(controller.watches.whyNotReady()).toMatch(/^no contact: pod for \d+ s$/);
    expect((await metrics.print()).text).toMatch(/verb="watch",resource="pods",code="Forbidden"\} [1-9]/);
  } finally {
    await stop();
  }
});
