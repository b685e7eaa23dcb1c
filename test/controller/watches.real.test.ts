import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { countRequests, type RequestSeen } from '../../src/controller/metrics/count-requests.ts';
import { resources } from '../../src/controller/resources.ts';
import { followWatches } from '../../src/controller/world/watches.ts';
import { watchedKinds, type WatchedKind } from '../../src/controller/world/world-indexes.ts';
import { openKubeClient, type HttpKubeClient } from '../../src/kube/http-client.ts';
import { createInformer, type Informer } from '../../src/kube/informer.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import { startWithCrds, type Cluster } from '../api/start-with-crds.ts';
import { asSent, buildLocation } from '../builders/objects.ts';
import { startBlackHole, type BlackHole } from '../servers/black-hole.ts';
import { whyNoKubeApiserver } from '../servers/kube-apiserver.ts';

const assets = process.env['KUBEBUILDER_ASSETS'];
const missing = whyNoKubeApiserver(assets);
const { signal } = new AbortController();

/** Longest watch 3 s (asked for two, and half as much by chance), a second of grace: then silence is a failure. */
const watching = { watchTimeoutSeconds: 2, graceMs: 1000 };
const withinMs = 7000;

describe.skipIf(missing !== undefined)(`Watches of a real API server${missing ? ` (skipped: ${missing})` : ''}`, () => {
  let cluster: Cluster;
  let hole: BlackHole;
  let client: HttpKubeClient;
  beforeAll(async () => {
    cluster = await startWithCrds(assets ?? '', signal);
    const port = Number(new URL(cluster.client.server).port);
    hole = await startBlackHole(port);
    const text = cluster.kubeconfig.replaceAll(`:${port}`, `:${hole.port}`);
    client = await openKubeClient({ source: { kind: 'text', text }, clock: systemClock, userAgent: 'test' });
  });
  afterAll(async () => {
    client?.close();
    await hole?.stop();
    await cluster?.stop();
  });

  it('that get no answer any more are counted as failed, named as not ready, and go on when there are answers again', async () => {
    const requests: RequestSeen[] = [];
    const counted = countRequests(client, (request) => requests.push(request));
    const failed = (): number =>
      requests.filter(({ verb, resource, code }) => {
        return verb === 'watch' && resource === resources.location.plural && code === 'Unreachable';
      }).length;
    const errors: unknown[] = [];
    const open = (kind: WatchedKind): Informer =>
      createInformer({
        client: counted,
        type: resources[kind],
        clock: systemClock,
        random: systemRandom,
        backOff: { firstMs: 200, longestMs: 1000 },
        onChange: () => undefined,
        onError: (error) => errors.push(error),
        ...watching,
      });
    const informers = Object.fromEntries(watchedKinds.map((kind) => [kind, open(kind)])) as Record<
      WatchedKind,
      Informer
    >;
    const watches = followWatches(informers, systemClock, withinMs);
    const oldest = (): number => Math.max(...watches.contactAges().map(({ seconds }) => seconds));
    const stop = new AbortController();
    expect(watches.whyNotReady()).toMatch(/not filled yet: policy, backup/);
    const running = watches.run(stop.signal);
    try {
      await watches.whenSynced(signal);
      // Longer than any watch: a quiet server is no silent one.
      await new Promise((resolve) => setTimeout(resolve, withinMs + 2000));
      expect([errors, watches.whyNotReady()]).toEqual([[], undefined]);
      expect(oldest()).toBeLessThan(withinMs / 1000);

      hole.open();
      await vi.waitFor(() => expect(watches.whyNotReady()).toBeDefined(), { timeout: 20_000, interval: 100 });
      expect(oldest()).toBeGreaterThan(withinMs / 1000);
      await vi.waitFor(() => expect(watches.whyNotReady()).toMatch(/^no contact: policy for \d+ s, .*pod for \d+ s$/), {
        timeout: 10_000,
      });
      expect(failed()).toBeGreaterThanOrEqual(1);
      expect(watches.hasSynced()).toBe(true);

      await cluster.client.create(resources.location, { ...asSent(buildLocation()), metadata: here }, signal);
      hole.close();
      await vi.waitFor(() => expect(watches.whyNotReady()).toBeUndefined(), { timeout: 20_000, interval: 100 });
      await vi.waitFor(() => expect(informers.location.get('default', 'near')).toBeDefined(), 10_000);
    } finally {
      stop.abort();
      await running;
    }
  }, 120_000);
});

const here = { name: 'near', namespace: 'default' };
