import { describe, expect, it } from 'vitest';
import { chooseLease } from '../../src/cli/choose-lease.ts';
import { KubeError, type KubeClient } from '../../src/kube/client.ts';
import { leaseType } from '../../src/kube/lease-record.ts';
import type { Lease } from '../../src/kube/lease.ts';
import { createMemoryClient } from '../../src/apiserver/memory-client.ts';
import { silentLog } from '../../src/support/log.ts';
import { ManualClock, seededRandom } from '../kube/manual-clock.ts';

const clock = new ManualClock();
const random = seededRandom(1);
const given = {
  leaderElection: undefined,
  leaseName: 'pgbackup-operator',
  leaseNamespace: undefined,
  identity: undefined,
};

function choose(
  options: Partial<Parameters<typeof chooseLease>[0]>,
  world: { readonly inCluster: boolean; readonly namespace?: string; readonly refuses?: { now: boolean } },
) {
  const memory = createMemoryClient({ clock, random, types: [{ type: leaseType }] });
  const lines: string[] = [];
  const requests: string[] = [];
  const note = (level: string) => (message: string, fields?: object) => {
    lines.push(`${level}: ${message} ${JSON.stringify(fields)}`);
  };
  const get: KubeClient['get'] = async (...all) => {
    if (world.refuses?.now) throw new KubeError('Forbidden', 'leases is forbidden', { status: 403 });
    return memory.get(...all);
  };
  const lease = chooseLease(
    { ...given, ...options },
    {
      client: { ...memory, get, server: 'https://x', namespace: world.namespace, close: () => undefined },
      clock,
      random,
      log: { ...silentLog, info: note('info'), warn: note('warn') },
      instance: 'pod-1',
      inCluster: world.inCluster,
      onRequest: ({ verb, resource, code }) => requests.push(`${verb} ${resource} ${code}`),
    },
  );
  return { lease, lines, requests, memory };
}

async function lead(lease: Lease | undefined, ms: number): Promise<void> {
  const stop = new AbortController();
  const done = lease?.whenLeading(
    (signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })),
    stop.signal,
  );
  await clock.advance(ms);
  stop.abort();
  await done;
}

describe('The lease of a controller', () => {
  it('is contended for in a cluster, and elsewhere when it is asked for', () => {
    expect(choose({}, { inCluster: true, namespace: 'ops' }).lease?.identity).toMatch(/^pod-1_/);
    expect(choose({}, { inCluster: false, namespace: 'ops' }).lease).toBeUndefined();
    expect(choose({ leaderElection: true }, { inCluster: false, namespace: 'ops' }).lease).toBeDefined();
    expect(choose({ leaderElection: false }, { inCluster: true, namespace: 'ops' }).lease).toBeUndefined();
    expect(choose({ identity: 'me' }, { inCluster: true, namespace: 'ops' }).lease?.identity).toMatch(/^me_/);
  });

  it('lies in the own namespace, or in the named one', async () => {
    const signal = new AbortController().signal;
    const own = choose({}, { inCluster: true, namespace: 'ops' });
    await lead(own.lease, 100);
    expect(await own.memory.get(leaseType, 'ops', 'pgbackup-operator', signal)).toBeDefined();
    const named = choose({ leaseNamespace: 'other', leaseName: 'mine' }, { inCluster: true, namespace: 'ops' });
    await lead(named.lease, 100);
    expect(await named.memory.get(leaseType, 'other', 'mine', signal)).toBeDefined();
    expect(() => choose({ leaderElection: true }, { inCluster: false })).toThrow(/namespace the Lease/);
  });

  it('tells in the log who leads, why not, and what fails, without filling it; its requests are counted', async () => {
    const refuses = { now: true };
    const { lease, lines, requests } = choose({}, { inCluster: true, namespace: 'ops', refuses });
    const done = (async () => {
      await lead(lease, 70_000);
    })();
    await clock.advance(30_000);
    expect(lines).toEqual([expect.stringMatching(/^warn: .*leases is forbidden.*"code":"Forbidden"/)]);
    refuses.now = false;
    await clock.advance(3000);
    expect(lines[1]).toMatch(/^info: leads .*"lease":"ops\/pgbackup-operator".*"holder":"pod-1_/);
    await clock.advance(70_000);
    await done;
    expect(lines).toHaveLength(3);
    expect(lines[2]).toMatch(/^info: stands by/);
    expect(new Set(requests)).toEqual(
      new Set(['get leases Forbidden', 'get leases OK', 'create leases OK', 'update leases OK']),
    );
  });
});
