import { describe, expect, it } from 'vitest';
import type { Backup, BackupPolicy } from '../../src/api/kinds.ts';
import { resources } from '../../src/controller/resources.ts';
import { KubeError, type KubeClient, type KubeErrorCode, type WatchEvent } from '../../src/kube/client.ts';
import { seededRandom } from '../kube/manual-clock.ts';
import { asSent, buildBackup, buildLocation, buildPolicy } from '../builders/objects.ts';
import { backupVerdict, foundBackup, inspectVerdict } from '../builders/verdicts.ts';
import { FakeCluster, running, startController } from './fake-cluster.ts';

const codes: readonly KubeErrorCode[] = ['ServerError', 'Unreachable', 'TooManyRequests', 'Conflict'];

/** An API server of which a part of all calls fails: not done at all, or done and the answer lost. Watches break and lose their place. */
function unreliable(client: KubeClient, seed: number, share: number): KubeClient {
  const random = seededRandom(seed);
  const fail = (): KubeError => {
    const code = codes[Math.floor(random.fraction() * codes.length)] ?? 'ServerError';
    return new KubeError(code, `made up: ${code}`);
  };
  const perhaps = async <T>(perform: () => Promise<T>): Promise<T> => {
    const luck = random.fraction();
    if (luck < share / 2) throw fail();
    const answer = await perform();
    if (luck < share) throw fail();
    return answer;
  };
  async function* watch(...all: Parameters<KubeClient['watch']>): AsyncGenerator<WatchEvent> {
    for await (const event of client.watch(...all)) {
      if (random.fraction() < share) throw random.fraction() < 0.5 ? fail() : new KubeError('Gone', 'made up: too old');
      yield event;
    }
  }
  return {
    get: (...all) => perhaps(() => client.get(...all)),
    list: (...all) => perhaps(() => client.list(...all)),
    watch,
    create: (...all) => perhaps(() => client.create(...all)),
    put: (...all) => perhaps(() => client.put(...all)),
    putStatus: (...all) => perhaps(() => client.putStatus(...all)),
    delete: (...all) => perhaps(() => client.delete(...all)),
    readLog: (...all) => perhaps(() => client.readLog(...all)),
  };
}

/** Lets time pass until something is there; fails when it does not come within ten minutes. */
async function until<T>(cluster: FakeCluster, look: () => Promise<T | undefined>): Promise<T> {
  for (let second = 0; second < 120; second += 1) {
    const found = await look();
    if (found !== undefined) return found;
    await cluster.advance(5000);
  }
  throw new Error('it did not come');
}

/** From a new policy to the end of its first run; returns how often Jobs were made and what is there at last. */
async function live(cluster: FakeCluster, jobsMade: readonly string[]) {
  await cluster.create(asSent(buildLocation()));
  await cluster.create(asSent(buildPolicy({ spec: { schedule: '0 * * * *' } })));
  const inspection = await until(cluster, async () => (await cluster.openJobs('inspect'))[0]);
  const found = inspectVerdict({ backups: 1, storedBytes: 1000, resultLines: 1 });
  await cluster.finishJob(inspection, found, [foundBackup()]);
  const run = await until(cluster, async () => (await cluster.openJobs('backup'))[0]);
  const result = { type: 'result', v: 1, kind: 'database', name: 'app', outcome: 'stored' };
  await cluster.finishJob(run, backupVerdict({ resultLines: 1 }), [result]);
  const policy = await until(cluster, async () => {
    const each = await cluster.get<BackupPolicy>(resources.policy, 'nightly');
    return each.status?.runs?.Succeeded === 1 ? each : undefined;
  });
  await cluster.advance(120_000);
  const backups = (await cluster.list(resources.backup)) as unknown as readonly Backup[];
  return {
    jobs: jobsMade.length,
    runs: (await cluster.get<BackupPolicy>(resources.policy, 'nightly')).status?.runs,
    missed: policy.status?.missedRuns,
    backups: backups.map(({ metadata, status }) => {
      return `${metadata.name} ${status?.conditions?.map(({ status: truth, reason }) => `${truth} ${reason}`).join()}`;
    }),
  };
}

const good = {
  jobs: 2,
  runs: { Succeeded: 1, PartlyFailed: 0, Failed: 0 },
  missed: 0,
  backups: ['nightly-20251231t030000z True Imported', 'nightly-20260101t130000z True Succeeded'],
};

/** Notes which Jobs the server really made. */
function noteJobs(client: KubeClient, made: string[]): KubeClient {
  return {
    ...client,
    create: async (type, object, signal) => {
      const created = await client.create(type, object, signal);
      if (type.kind === 'Job') made.push(created.metadata.name ?? '');
      return created;
    },
  };
}

describe('A controller', () => {
  it.each([1, 2, 3, 4, 5, 6])('comes to the same end with an unreliable API server (seed %i)', async (seed) => {
    const cluster = new FakeCluster('2026-01-01T12:58:00Z');
    const made: string[] = [];
    const client = unreliable(noteJobs(cluster.client, made), seed, 0.25);
    const controller = startController(cluster, { client });
    try {
      expect(await live(cluster, made)).toEqual(good);
    } finally {
      await controller.stop();
    }
  });

  it('makes no run twice while another one believes that it leads too', async () => {
    const cluster = new FakeCluster('2026-01-01T12:58:00Z');
    const made: string[] = [];
    const client = noteJobs(cluster.client, made);
    const both = [
      startController(cluster, { client }),
      startController(cluster, { client: unreliable(client, 9, 0.1) }),
    ];
    try {
      expect(await live(cluster, made)).toEqual(good);
    } finally {
      for (const each of both) await each.stop();
    }
  });

  it('does not take a Job for deleted that only its cache does not know', async () => {
    const cluster = new FakeCluster('2026-01-01T12:00:00Z');
    await cluster.create(asSent(buildLocation()));
    await cluster.create(asSent(buildPolicy({ spec: { schedule: undefined } })));
    await cluster.create(asSent(buildBackup({ name: 'by-hand' })));
    const first = startController(cluster);
    await cluster.settle();
    await cluster.makePod('pgb-by-hand', 'pod', running);
    await cluster.advance(20_000);
    await first.stop();

    const { client } = cluster;
    const blind: KubeClient = {
      ...client,
      list: async (type, options, signal) => {
        const page = await client.list(type, options, signal);
        return type.kind === 'Job' ? { ...page, items: [] } : page;
      },
    };
    const second = startController(cluster, { client: blind });
    await cluster.advance(60_000);
    const before = await cluster.get<Backup>(resources.backup, 'by-hand');
    expect(before.status?.conditions?.[0]).toMatchObject({ status: 'Unknown' });

    await client.delete(resources.job, 'shop', 'pgb-by-hand', {}, new AbortController().signal);
    await cluster.advance(120_000);
    const after = await cluster.get<Backup>(resources.backup, 'by-hand');
    expect(after.status?.conditions?.[0]).toMatchObject({ status: 'False', reason: 'JobDeleted' });
    await second.stop();
  });

  it('says in the status that the API server refuses a Job, and asks again', async () => {
    const cluster = new FakeCluster('2026-01-01T12:00:00Z');
    const { client } = cluster;
    const quota = { full: true };
    const refusing: KubeClient = {
      ...client,
      create: async (type, object, signal) => {
        if (type.kind === 'Job' && quota.full) throw new KubeError('Forbidden', 'exceeded quota: count/jobs.batch');
        return client.create(type, object, signal);
      },
    };
    const controller = startController(cluster, { client: refusing });
    await cluster.create(asSent(buildLocation()));
    await cluster.create(asSent(buildPolicy({ spec: { schedule: undefined } })));
    await cluster.create(asSent(buildBackup({ name: 'by-hand' })));
    await cluster.advance(5000);
    const refused = await cluster.get<Backup>(resources.backup, 'by-hand');
    expect(refused.status?.conditions?.[0]).toMatchObject({ status: 'Unknown', reason: 'PodRefused' });
    expect(refused.status?.conditions?.[0]?.message).toContain('exceeded quota');
    expect(await cluster.told('by-hand')).toContain('PodRefused');
    quota.full = false;
    await cluster.advance(60_000);
    expect(await cluster.openJobs('backup')).toEqual(['pgb-by-hand']);
    expect((await cluster.get<Backup>(resources.backup, 'by-hand')).status?.conditions?.[0]?.reason).toBe('Starting');
    await controller.stop();
  });

  it('forgets nothing that another version of the schema wrote besides', async () => {
    const cluster = new FakeCluster('2026-01-01T12:00:00Z');
    const { client } = cluster;
    await cluster.create(asSent(buildLocation()));
    await cluster.create(asSent(buildPolicy({ spec: { schedule: undefined } })));
    await cluster.create(asSent(buildBackup({ name: 'done' })));
    // As a newer controller may leave it: ended, with members and words that this one does not know.
    const newer = (object: object): object => {
      const { metadata } = object as { readonly metadata: { readonly name?: string } };
      if (metadata.name !== 'done') return object;
      const at = '2026-01-01T11:00:00Z';
      const succeeded = { type: 'Succeeded', status: 'True', reason: 'Better', message: '', lastTransitionTime: at };
      const destinations = [{ location: 'near', outcome: 'Mirrored', speed: 3 }];
      return { ...object, status: { conditions: [succeeded], phase: 'Sealed', verified: { by: 'x' }, destinations } };
    };
    const shown: KubeClient = {
      ...client,
      list: async (type, options, signal) => {
        const page = await client.list(type, options, signal);
        return { ...page, items: page.items.map((item) => newer(item) as (typeof page.items)[number]) };
      },
    };
    const controller = startController(cluster, { client: shown });
    await cluster.advance(60_000);
    expect(await cluster.openJobs('backup')).toEqual([]);
    await controller.stop();
  });
});
