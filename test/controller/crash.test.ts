import { describe, expect, it } from 'vitest';
import type { Backup, BackupLocation, BackupPolicy } from '../../src/api/kinds.ts';
import { resources } from '../../src/controller/resources.ts';
import { asSent, buildLocation, buildPolicy } from '../builders/objects.ts';
import { backupVerdict, foundBackup, inspectVerdict } from '../builders/verdicts.ts';
import type { Death } from './mortal.ts';
import { liveMortal, type MortalLife } from './mortal-life.ts';

/** One hour of life: an inspection that finds a backup, a slot, a run, its Job's end. Returns what the world looks like then. */
async function live({ cluster, jobsMade, go }: MortalLife): Promise<unknown> {
  await cluster.create(asSent(buildLocation()));
  await cluster.create(asSent(buildPolicy({ spec: { schedule: '0 * * * *' } })));
  await go(1000);
  const [inspection = ''] = await cluster.openJobs('inspect');
  await cluster.finishJob(inspection, inspectVerdict({ backups: 1, storedBytes: 1000, resultLines: 1 }), [
    foundBackup(),
  ]);
  await go(1000);
  await go(30_000);
  const [run = ''] = await cluster.openJobs('backup');
  await cluster.finishJob(run, backupVerdict());
  await go(1000);
  await go(2000);

  const policy = await cluster.get<BackupPolicy>(resources.policy, 'nightly');
  const location = await cluster.get<BackupLocation>(resources.location, 'near');
  const backups = (await cluster.list(resources.backup)) as unknown as readonly Backup[];
  return {
    jobsMade: jobsMade.length,
    jobs: (await cluster.names(resources.job)).length,
    backups: backups.map(({ metadata, spec, status }) => ({
      name: metadata.name,
      import: spec.import !== undefined,
      phase: status?.phase,
      outcomes: status?.destinations?.map(({ outcome }) => outcome),
      succeeded: status?.conditions?.map(({ status: truth, reason }) => `${truth} ${reason}`),
    })),
    policy: {
      runs: policy.status?.runs,
      missed: policy.status?.missedRuns,
      last: policy.status?.lastScheduleTime,
      active: policy.status?.active,
      healthy: policy.status?.conditions?.find(({ type }) => type === 'Healthy')?.status,
    },
    location: {
      phase: location.status?.phase,
      backups: location.status?.backups,
      failures: location.status?.failures,
    },
  };
}

const tryOnce = (diesAt: number, death: Death) =>
  liveMortal({ startsAt: '2026-01-01T12:59:50Z', diesAt, death, successorMs: 2000 }, live);

describe('A controller that dies', () => {
  it('leaves the same world behind as one that lives, wherever it dies', async () => {
    const { world: expected } = await tryOnce(Infinity, 'after the write');
    expect(expected).toEqual({
      jobsMade: 2,
      jobs: 2,
      backups: [
        {
          name: 'nightly-20251231t030000z',
          import: true,
          phase: 'Succeeded',
          outcomes: ['Found'],
          succeeded: ['True Imported'],
        },
        {
          name: 'nightly-20260101t130000z',
          import: false,
          phase: 'Succeeded',
          outcomes: ['Stored'],
          succeeded: ['True Succeeded'],
        },
      ],
      policy: {
        runs: { Succeeded: 1, PartlyFailed: 0, Failed: 0 },
        missed: 0,
        last: '2026-01-01T13:00:00Z',
        active: [],
        healthy: 'True',
      },
      location: { phase: 'Available', backups: 2, failures: 0 },
    });

    let deaths = 0;
    for (const death of ['after the write', 'before the write'] as const) {
      for (let diesAt = 1; ; diesAt += 1) {
        const { world, died } = await tryOnce(diesAt, death);
        expect(world, `died ${death} ${diesAt}`).toEqual(expected);
        if (!died) break;
        deaths += 1;
      }
    }
    // Less would mean that nothing was tried: a run alone is a dozen writes.
    expect(deaths).toBeGreaterThan(20);
  });
});
