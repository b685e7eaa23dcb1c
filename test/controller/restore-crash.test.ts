import { describe, expect, it } from 'vitest';
import type { RestorePolicy, RestoreRequest } from '../../src/api/kinds.ts';
import { resources } from '../../src/controller/resources.ts';
import { asSent, buildRestore, buildRestorePolicy } from '../builders/objects.ts';
import { cleanupVerdict, restoreVerdict } from '../builders/verdicts.ts';
import { addFoundBackup } from './with-found-backup.ts';
import { running, startController, terminated, type FakeCluster } from './fake-cluster.ts';
import type { Death } from './mortal.ts';
import { liveMortal, type MortalLife } from './mortal-life.ts';

const never = new AbortController().signal;

/** The life of a controller that dies once; `jobsMade` tells what it and its successor created. */
async function live(story: (life: MortalLife) => Promise<object>, diesAt: number, death: Death) {
  const prepare = async (cluster: FakeCluster): Promise<void> => {
    const before = startController(cluster);
    await addFoundBackup(cluster);
    await before.stop();
  };
  // Whoever comes after it has its back-off behind it.
  const options = { startsAt: '2026-01-01T03:58:00Z', prepare, diesAt, death, successorMs: 5000 };
  return liveMortal(options, async (life) => ({ ...(await story(life)), jobsMade: life.jobsMade.toSorted() }));
}

const settleMs = 15_000;
const tell = async (cluster: FakeCluster): Promise<readonly unknown[]> => {
  const requests = (await cluster.list(resources.restoreRequest)) as unknown as readonly RestoreRequest[];
  return requests.map(({ metadata, status }) => ({
    name: metadata.name,
    phase: status?.phase,
    says: status?.conditions?.map(({ status: truth, reason }) => `${truth} ${reason}`),
    databases: status?.databases?.map(({ target, outcome }) => `${target} ${outcome}`),
    held: (metadata.finalizers ?? []).length > 0,
  }));
};

/** A scheduled restore dies without a word, is cleared up, and the retry succeeds. */
async function scheduled({ cluster, go }: MortalLife): Promise<object> {
  const retries = { limit: 2, backoffSeconds: 60 };
  await cluster.create(asSent(buildRestorePolicy({ spec: { retries } })));
  await go(150_000);
  const [first = ''] = await cluster.openJobs('restore');
  await cluster.makePod(first, 'pod-1', running);
  await go(settleMs);
  await cluster.setPodStatus('pod-1', terminated(137, undefined, cluster.now(), 'OOMKilled'));
  await cluster.setJobCondition(first, 'Failed', 'BackoffLimitExceeded');
  await go(settleMs);
  const [cleanup = ''] = await cluster.openJobs('cleanup');
  await cluster.finishJob(cleanup, cleanupVerdict());
  await go(settleMs);
  await go(90_000);
  const [second = ''] = await cluster.openJobs('restore');
  await cluster.finishJob(second, restoreVerdict());
  await go(settleMs);
  const { status } = await cluster.get<RestorePolicy>(resources.restorePolicy, 'refresh');
  return {
    requests: await tell(cluster),
    policy: {
      runs: status?.runs,
      missed: status?.missedRuns,
      active: status?.active,
      last: status?.lastScheduleTime,
      restored: status?.lastRestored?.backup,
      healthy: status?.conditions?.find(({ type }) => type === 'Healthy')?.status,
    },
  };
}

/** One that is deleted in mid-run; another one that waits for it follows. */
async function deleted({ cluster, go }: MortalLife): Promise<object> {
  await cluster.create(asSent(buildRestore()));
  await go(settleMs);
  await cluster.create(asSent(buildRestore({ name: 'second' })));
  await cluster.makePod('pgrr-again', 'pod-1', running);
  await go(settleMs);
  await cluster.client.delete(resources.restoreRequest, 'shop', 'again', {}, never);
  await go(settleMs);
  await go(settleMs);
  const [cleanup = ''] = await cluster.openJobs('cleanup');
  const early = await cluster.openJobs('restore');
  await cluster.finishJob(cleanup, cleanupVerdict());
  await go(settleMs);
  await go(70_000);
  const [second = ''] = await cluster.openJobs('restore');
  await cluster.finishJob(second, restoreVerdict());
  await go(settleMs);
  return { requests: await tell(cluster), early };
}

describe('A controller that dies while it', () => {
  it.each([
    {
      does: 'runs a policy, clears up and tries again',
      story: scheduled,
      expected: {
        jobsMade: ['pgrc-refresh-20260101t040000z', 'pgrr-refresh-20260101t040000z', 'pgrr-refresh-20260101t0400r1'],
        requests: [
          {
            name: 'refresh-20260101t040000z',
            phase: 'Failed',
            says: ['False OutOfMemory'],
            databases: ['app Untouched'],
            held: false,
          },
          {
            name: 'refresh-20260101t0400r1',
            phase: 'Succeeded',
            says: ['True Restored'],
            databases: ['app Restored'],
            held: false,
          },
        ],
        policy: {
          runs: { Succeeded: 1, Unchanged: 0, Failed: 1 },
          missed: 0,
          active: [],
          last: '2026-01-01T04:00:00Z',
          restored: 'nightly-20260101t030000z',
          healthy: 'True',
        },
      },
      least: 18,
    },
    {
      does: 'ends a request that is deleted, and starts the next one',
      story: deleted,
      expected: {
        jobsMade: ['pgrc-again', 'pgrr-again', 'pgrr-second'],
        early: [],
        requests: [
          {
            name: 'second',
            phase: 'Succeeded',
            says: ['True Restored'],
            databases: ['app Restored'],
            held: false,
          },
        ],
      },
      least: 12,
    },
  ])(
    '$does leaves the same world behind, wherever it dies',
    async ({ story, expected, least }) => {
      const { world } = await live(story, Infinity, 'after the write');
      expect(world).toEqual(expected);
      let deaths = 0;
      for (const death of ['after the write', 'before the write'] as const) {
        for (let diesAt = 1; ; diesAt += 1) {
          const lived = await live(story, diesAt, death);
          expect(lived.world, `died ${death} ${diesAt}`).toEqual(expected);
          if (!lived.died) break;
          deaths += 1;
        }
      }
      // Less would mean that nothing was tried.
      expect(deaths).toBeGreaterThan(least);
    },
    90_000,
  );
});
