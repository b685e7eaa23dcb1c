import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Backup } from '../../src/api/kinds.ts';
import { createController, type Controller } from '../../src/controller/controller.ts';
import { openControllerMetrics } from '../../src/controller/metrics/open-controller-metrics.ts';
import { runLeading } from '../../src/controller/run-leading.ts';
import { resources } from '../../src/controller/resources.ts';
import { KubeError } from '../../src/kube/client.ts';
import { createLease, type Lease } from '../../src/kube/lease.ts';
import { silentLog } from '../../src/support/log.ts';
import { asSent, buildBackup, buildLocation, buildPolicy } from '../builders/objects.ts';
import { inspectVerdict } from '../builders/verdicts.ts';
import { FakeProcess } from '../kube/fake-process.ts';
import { seededRandom } from '../kube/manual-clock.ts';
import { FakeCluster, testMode } from './fake-cluster.ts';

/** A controller as `pgbackup controller` starts it, in a process of its own. */
interface Replica {
  readonly process: FakeProcess;
  readonly lease: Lease;
  readonly controller: Controller;
  /** Writes that it asked for, without those of the lease, as `verb Kind`. */
  readonly asked: string[];
  /** Told of each write before it is sent. */
  onWrite: (write: string) => void;
  scrape(): Promise<string>;
  stop(): Promise<void>;
}

const writing: ReadonlySet<string> = new Set(['create', 'put', 'putStatus', 'delete']);

let cluster: FakeCluster;
let replicas: Replica[];
beforeEach(async () => {
  cluster = new FakeCluster('2026-01-01T12:00:00Z');
  replicas = [];
  await cluster.create(asSent(buildLocation()));
  await cluster.create(asSent(buildPolicy({ spec: { schedule: undefined } })));
});
afterEach(async () => {
  for (const replica of replicas) {
    replica.process.wake();
    await replica.stop();
  }
});

async function start(name: string, isBlind: (kind: string) => boolean = () => false): Promise<Replica> {
  const unreadable = new KubeError('Forbidden', 'may not be listed');
  const fateOf = (verb: string, kind: string) => {
    return { thereMs: 0, backMs: 0, ...(verb === 'list' && isBlind(kind) ? { fault: unreadable } : {}) };
  };
  const process = new FakeProcess({ clock: cluster.clock, client: cluster.client, fateOf });
  const random = seededRandom(replicas.length + 1);
  const { clock, client } = process;
  const lease = createLease({ client, clock, random, namespace: 'ops', name: 'operator', identity: name });
  const metrics = openControllerMetrics(clock, { processMetrics: false });
  const controller = createController({
    client,
    clock,
    random,
    log: silentLog,
    mode: testMode,
    instance: name,
    mayWrite: () => lease.isLeader(),
    ...metrics.hooks,
  });
  metrics.follow(controller);
  const stopping = new AbortController();
  const ends = runLeading(controller, lease, stopping.signal);
  const replica: Replica = {
    process,
    lease,
    controller,
    asked: [],
    onWrite: () => undefined,
    scrape: async () => (await metrics.print()).text,
    stop: async () => {
      stopping.abort();
      await ends;
    },
  };
  process.fateOf = (verb, kind) => {
    if (writing.has(verb) && kind !== 'Lease') {
      replica.asked.push(`${verb} ${kind}`);
      replica.onWrite(`${verb} ${kind}`);
    }
    return fateOf(verb, kind);
  };
  replicas.push(replica);
  await cluster.settle();
  return replica;
}

const inspect = async (): Promise<void> => {
  const [inspection = ''] = await cluster.openJobs('inspect');
  await cluster.finishJob(inspection, inspectVerdict());
  await cluster.advance(2000);
};

describe('Of two controllers', () => {
  it('one works; the other has its caches filled, is ready, and writes nothing', async () => {
    const a = await start('a');
    const b = await start('b');
    await cluster.advance(1000);
    await inspect();
    await cluster.create(asSent(buildBackup({ name: 'now' })));
    await cluster.advance(60_000);
    expect(await cluster.openJobs('backup')).toEqual(['pgb-now']);
    expect([a.controller.leads(), b.controller.leads()]).toEqual([true, false]);
    expect([a.controller.watches.whyNotReady(), b.controller.watches.whyNotReady()]).toEqual([undefined, undefined]);
    expect(b.controller.world.backup('shop', 'now')?.object.metadata.name).toBe('now');
    expect(b.controller.world.job('shop', 'pgb-now')).toBeDefined();
    expect(b.asked).toEqual([]);
    expect(await a.scrape()).toMatch(/^pgbackup_controller_leader 1$/m);
    expect(await b.scrape()).toMatch(/^pgbackup_controller_leader 0$/m);
  });

  it('only the one that works exports metrics of objects; both say how their watches fare', async () => {
    const a = await start('a');
    const b = await start('b');
    await cluster.advance(1000);
    const [ofA, ofB] = [await a.scrape(), await b.scrape()];
    expect(ofA).toMatch(/^pgbackup_policy_info\{/m);
    expect(ofB).not.toMatch(/^pgbackup_\w+\{namespace=/m);
    for (const text of [ofA, ofB]) {
      expect(text.match(/^pgbackup_watch_contact_age_seconds\{kind="\w+"\} [01]$/gm)).toHaveLength(7);
    }
    await a.stop();
    await cluster.advance(5000);
    expect(await b.scrape()).toMatch(/^pgbackup_policy_info\{/m);
  });

  it('the one that cannot read the cluster leaves the lease to the other until it can', async () => {
    const blind = { on: true };
    const a = await start('a', (kind) => blind.on && kind === 'Pod');
    await cluster.advance(60_000);
    expect(a.lease.isLeader()).toBe(false);
    expect(a.controller.watches.whyNotReady()).toBe('the caches are not filled yet: pod');
    const b = await start('b');
    await cluster.advance(1000);
    expect(b.controller.leads()).toBe(true);
    blind.on = false;
    await cluster.advance(60_000);
    expect(a.controller.watches.whyNotReady()).toBeUndefined();
    await b.stop();
    await cluster.advance(5000);
    expect(a.controller.leads()).toBe(true);
  });

  it('the other goes on at once when the one is stopped', async () => {
    const a = await start('a');
    const b = await start('b');
    await cluster.advance(5000);
    await inspect();
    await a.stop();
    await cluster.create(asSent(buildBackup({ name: 'now' })));
    await cluster.advance(2500);
    expect(b.controller.leads()).toBe(true);
    expect(await cluster.openJobs('backup')).toEqual(['pgb-now']);
    expect(a.asked.filter((write) => write.endsWith('Job'))).toEqual(['create Job']);
  });

  it('a frozen one finishes none of the writes it had begun: the other does them', async () => {
    const a = await start('a');
    const b = await start('b');
    await cluster.advance(1000);
    await inspect();
    a.onWrite = (write) => {
      if (write === 'create Job') a.process.freeze();
    };
    await cluster.create(asSent(buildBackup({ name: 'now' })));
    await cluster.advance(1000);
    // The Job arrived; its maker did not live to see it, nor to write the status.
    expect(a.process.isFrozen).toBe(true);
    expect(await cluster.openJobs('backup')).toEqual(['pgb-now']);
    const seen = async () => cluster.get<Backup>(resources.backup, 'now');
    expect((await seen()).status?.job).toBeUndefined();
    const before = a.asked.length;

    await cluster.advance(19_000);
    expect(b.controller.leads()).toBe(true);
    expect((await seen()).status?.job).toBe('pgb-now');
    const writtenByB = (await seen()).metadata.resourceVersion;

    a.process.wake();
    await cluster.advance(1);
    expect(a.controller.leads()).toBe(false);
    await cluster.create(asSent(buildBackup({ name: 'later' })));
    await cluster.advance(60_000);
    expect(a.asked.slice(before)).toEqual([]);
    expect((await seen()).metadata.resourceVersion).toBe(writtenByB);
    expect(await cluster.openJobs('backup')).toEqual(['pgb-later', 'pgb-now']);
    expect(b.controller.leads()).toBe(true);
    expect(a.controller.watches.whyNotReady()).toBeUndefined();
  });

  it('a deposed one works again when it is its turn, and only for what is left to do', async () => {
    const a = await start('a');
    const b = await start('b');
    await cluster.advance(1000);
    await inspect();
    a.process.freeze();
    await cluster.advance(20_000);
    a.process.wake();
    await cluster.advance(5000);
    expect([a.controller.leads(), b.controller.leads()]).toEqual([false, true]);
    await b.stop();
    const before = a.asked.length;
    await cluster.create(asSent(buildBackup({ name: 'now' })));
    await cluster.advance(3000);
    expect(a.controller.leads()).toBe(true);
    expect(await cluster.openJobs('backup')).toEqual(['pgb-now']);
    expect(a.asked.slice(before).filter((write) => write.endsWith('Job'))).toEqual(['create Job']);
  });
});
