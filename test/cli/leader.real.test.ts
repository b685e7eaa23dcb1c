import type { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { resources } from '../../src/controller/resources.ts';
import { KubeError, isKubeError, type KubeClient, type KubeObject, type ResourceType } from '../../src/kube/client.ts';
import { NotLeading, guardWrites } from '../../src/kube/guard-writes.ts';
import { openKubeClient, type HttpKubeClient } from '../../src/kube/http-client.ts';
import { leaseType } from '../../src/kube/lease-record.ts';
import { createLease } from '../../src/kube/lease.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import { crdType } from '../api/start-with-crds.ts';
import { asSent, buildBackup, buildLocation, buildPolicy } from '../builders/objects.ts';
import { until } from '../local/executor-world.ts';
import { startControllerProcess } from '../servers/controller-process.ts';
import { startKubeApiserver, whyNoKubeApiserver, type KubeApiserver } from '../servers/kube-apiserver.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const assets = process.env['KUBEBUILDER_ASSETS'];
const missing = whyNoKubeApiserver(assets);
const never = new AbortController().signal;
const namespace = 'shop';

/** Asks ten times a second, for a minute: longer than any lease here lasts. */
const patiently = async <T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> =>
  until(
    what,
    async () => {
      await delay(100);
      return look();
    },
    60,
  );

describe.skipIf(missing !== undefined)(`Leader election on a real API server (${missing ?? 'there is one'})`, () => {
  let server: KubeApiserver;
  let client: HttpKubeClient;
  const clients: HttpKubeClient[] = [];
  const children: ChildProcess[] = [];

  const open = async (kubeconfig: string): Promise<HttpKubeClient> => {
    const opened = await openKubeClient({
      source: { kind: 'text', text: kubeconfig },
      clock: systemClock,
      userAgent: 'test',
    });
    clients.push(opened);
    return opened;
  };
  const readLease = async (name: string): Promise<KubeObject | undefined> =>
    client.get(leaseType, 'default', name, never);
  const holderOf = async (name: string): Promise<unknown> =>
    ((await readLease(name))?.spec as { readonly holderIdentity?: string } | undefined)?.holderIdentity;

  beforeAll(async () => {
    server = await startKubeApiserver(assets ?? '', { users: ['operator'] });
    client = await open(server.kubeconfig);
    const folder = join(root, 'crds');
    for (const file of readdirSync(folder)) {
      await client.create(crdType, parse(readFileSync(join(folder, file), 'utf8')) as KubeObject, never);
    }
    await client.create(
      { group: '', version: 'v1', kind: 'Namespace', plural: 'namespaces', namespaced: false },
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
      never,
    );
    for (const type of [resources.location, resources.policy, resources.backup]) {
      await until(`${type.plural} are served`, async () =>
        client.list(type, { namespace }, never).catch((error: unknown) => {
          if (isKubeError(error)) return undefined;
          throw error;
        }),
      );
    }
  });
  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL');
    for (const opened of clients) opened.close();
    await server?.stop();
  });

  it('needs get, create and update of leases; who is cut off stops before another takes over, and its old writes are refused', async () => {
    await grantLeases(client, 'operator');
    const network = { isCut: false };
    const a = contend('a', cuttable(await open(server.kubeconfigOf('operator')), network));
    await patiently('a leads', async () => a.lease.isLeader());
    const b = contend('b', await open(server.kubeconfigOf('operator')));
    await patiently('b has seen it', async () => b.holders.includes(a.lease.identity));
    const lastOfA = await readLease('contended');
    if (lastOfA === undefined) throw new Error('there is no lease');
    expect(lastOfA.spec).toMatchObject({ leaseDurationSeconds: 6, leaseTransitions: 0 });

    network.isCut = true;
    await patiently('b leads', async () => b.lease.isLeader());
    expect(a.endedAt).toHaveLength(1);
    expect(Number(b.beganAt[0])).toBeGreaterThan(Number(a.endedAt[0]));
    expect(await holderOf('contended')).toBe(b.lease.identity);
    expect((await readLease('contended'))?.spec).toMatchObject({ leaseTransitions: 1 });

    network.isCut = false;
    const guarded = guardWrites(client, () => a.lease.isLeader());
    await expect(guarded.put(leaseType, lastOfA, never)).rejects.toThrow(NotLeading);
    // And what had left before it knew is refused by the server itself.
    await expect(client.put(leaseType, lastOfA, never)).rejects.toMatchObject({ code: 'Conflict' });

    await patiently('a stands by', async () => a.holders.at(-1) === b.lease.identity);
    b.stop.abort();
    await b.done;
    const freedAt = systemClock.monotonicMs();
    await patiently('a leads again', async () => a.lease.isLeader());
    // Far below what an expiry would take.
    expect(systemClock.monotonicMs() - freedAt).toBeLessThan(5000);
    a.stop.abort();
    await a.done;
    expect((await readLease('contended'))?.spec).toMatchObject({ holderIdentity: '', leaseDurationSeconds: 1 });
  });

  it('lets a second controller go on when the first is frozen, and the first writes nothing when it wakes', async () => {
    await client.create(resources.location, asSent(buildLocation()), never);
    await client.create(resources.policy, asSent(buildPolicy({ spec: { schedule: undefined } })), never);
    const backUp = async (name: string): Promise<void> => {
      await client.create(resources.backup, asSent(buildBackup({ name })), never);
      await patiently(`${name} has its Job in its status`, async () => {
        const backup = await client.get(resources.backup, namespace, name, never);
        return (backup?.status as { readonly job?: string } | undefined)?.job;
      });
      expect(await client.get(resources.job, namespace, `pgb-${name}`, never)).toBeDefined();
    };
    const kubeconfig = join(server.folder, 'operators.kubeconfig');
    await writeFile(kubeconfig, server.kubeconfig, { mode: 0o600 });

    const first = await startReplica('first', kubeconfig);
    await patiently('the first leads', first.leads);
    const second = await startReplica('second', kubeconfig);
    await patiently('the second is ready', second.isReady);
    expect(await second.leads()).toBe(false);
    await backUp('before');
    const writtenByFirst = await patiently('the first rests', async () => {
      const count = await first.countWrites();
      await delay(500);
      return (await first.countWrites()) === count && count;
    });
    expect(await second.countWrites()).toBe(0);

    first.child.kill('SIGSTOP');
    const frozenAt = systemClock.monotonicMs();
    await patiently('the second leads', second.leads);
    const tookMs = systemClock.monotonicMs() - frozenAt;
    // Seen unchanged for 15 s: at the earliest since the last renewal (at most 2.4 s before), plus a look.
    expect(tookMs).toBeGreaterThan(10_000);
    expect(tookMs).toBeLessThan(25_000);
    await backUp('during');

    first.child.kill('SIGCONT');
    await patiently('the first knows', async () => !(await first.leads()));
    await backUp('after');
    await patiently('the first stands by', async () => first.output().includes('"message":"stands by"'));
    expect(await first.isReady()).toBe(true);
    expect(await first.leads()).toBe(false);
    expect(await first.countWrites()).toBe(writtenByFirst);
    expect(first.output()).toContain('lost the lease and stands by');
    expect(await holderOf('pgbackup-operator')).toMatch(/^second_/);

    second.child.kill('SIGTERM');
    expect(await second.exitCode, second.output()).toBe(0);
    await patiently('the first leads again', first.leads);
    await backUp('again');
    first.child.kill('SIGTERM');
    expect(await first.exitCode, first.output()).toBe(0);
    expect(await holderOf('pgbackup-operator')).toBe('');
  });

  function contend(identity: string, own: KubeClient) {
    const beganAt: number[] = [];
    const endedAt: number[] = [];
    const holders: (string | undefined)[] = [];
    const lease = createLease({
      client: own,
      clock: systemClock,
      random: systemRandom,
      namespace: 'default',
      name: 'contended',
      identity,
      durationMs: 6000,
      renewDeadlineMs: 4000,
      retryMs: 500,
      onChange: ({ holder }) => holders.push(holder),
    });
    const stop = new AbortController();
    const done = lease.whenLeading(async (signal) => {
      beganAt.push(systemClock.monotonicMs());
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      endedAt.push(systemClock.monotonicMs());
    }, stop.signal);
    return { lease, stop, done, beganAt, endedAt, holders };
  }

  async function startReplica(identity: string, kubeconfig: string) {
    const replica = await startControllerProcess({ identity, kubeconfig, args: ['--max-runs-per-server', '10'] });
    children.push(replica.child);
    return replica;
  }
});

/** A client whose network can be cut. */
function cuttable(client: KubeClient, network: { readonly isCut: boolean }): KubeClient {
  const check = (): void => {
    if (network.isCut) throw new KubeError('Unreachable', 'the network is cut');
  };
  return {
    ...client,
    get: async (...all) => {
      check();
      return client.get(...all);
    },
    create: async (...all) => {
      check();
      return client.create(...all);
    },
    put: async (...all) => {
      check();
      return client.put(...all);
    },
  };
}

async function grantLeases(client: KubeClient, user: string): Promise<void> {
  const group = 'rbac.authorization.k8s.io';
  const type = (kind: string, plural: string): ResourceType => ({
    group,
    version: 'v1',
    kind,
    plural,
    namespaced: true,
  });
  const base = { apiVersion: `${group}/v1`, metadata: { name: 'leases', namespace: 'default' } };
  await client.create(
    type('Role', 'roles'),
    {
      ...base,
      kind: 'Role',
      rules: [{ apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['get', 'create', 'update'] }],
    },
    never,
  );
  await client.create(
    type('RoleBinding', 'rolebindings'),
    {
      ...base,
      kind: 'RoleBinding',
      roleRef: { apiGroup: group, kind: 'Role', name: 'leases' },
      subjects: [{ kind: 'User', name: user, apiGroup: group }],
    },
    never,
  );
}
