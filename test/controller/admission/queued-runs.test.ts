import { afterEach, expect, it, vi } from 'vitest';
import type { Backup } from '../../../src/api/kinds.ts';
import { resources } from '../../../src/controller/resources.ts';
import { World } from '../../../src/controller/world/world.ts';
import { asSent, buildBackup, buildLocation, buildPolicy } from '../../builders/objects.ts';
import { backupVerdict } from '../../builders/verdicts.ts';
import { FakeCluster, startController, testMode, type Running } from '../fake-cluster.ts';

const policies = 40;
const queued = 2000;
let running: Running | undefined;

afterEach(async () => {
  vi.restoreAllMocks();
  await running?.stop();
});

/** Counts what the world is asked for: each object that an answer holds. */
function countVisits(): { readonly visited: () => number } {
  const answers = (
    [
      'policy',
      'policies',
      'policiesIn',
      'policiesAt',
      'backup',
      'backupsOfPolicy',
      'unfinishedBackups',
      'unfinishedBackupsOf',
      'unfinishedRestores',
      'sourcelessRestores',
      'restorePolicies',
      'restorePoliciesIn',
      'job',
      'jobs',
    ] as const
  ).map((method) => vi.spyOn(World.prototype, method));
  const sizeOf = (value: unknown): number => (Array.isArray(value) ? value.length : 1);
  return {
    visited: () => answers.flatMap(({ mock }) => mock.results).reduce((sum, { value }) => sum + sizeOf(value), 0),
  };
}

it(
  'The end of one run costs looks at what it concerns, and not at the 2000 that wait',
  { timeout: 120_000 },
  async () => {
    const cluster = new FakeCluster('2026-01-01T12:00:00Z');
    const looks: string[] = [];
    const mode = { ...testMode, limits: { runs: 8, restores: 4, perServer: 2 } };
    await cluster.create(asSent(buildLocation()));
    const server = (index: number) => ({
      ...buildPolicy().spec.source.postgres,
      host: `db${index}.example.com`,
    });
    for (let index = 0; index < policies; index += 1) {
      const spec = { schedule: undefined, source: { postgres: server(index) } };
      await cluster.create(asSent(buildPolicy({ name: `p${index}`, spec })));
    }
    for (let index = 0; index < queued; index += 1) {
      await cluster.create(asSent(buildBackup({ name: `b${index}`, spec: { policy: `p${index % policies}` } })));
    }
    running = startController(cluster, { mode, onLook: ({ kind }) => looks.push(kind) });
    await cluster.settle();
    const { controller } = running;
    while (!controller.leads() || controller.queue().depth > 0) await cluster.settle();
    const before = await cluster.openJobs('backup');
    expect(before).toHaveLength(8);
    const backups = await cluster.list(resources.backup);
    const reasons = Map.groupBy(backups as unknown as readonly Backup[], ({ status }) => status?.phase ?? 'none');
    expect(reasons.get('Queued')).toHaveLength(queued - 8);

    looks.length = 0;
    const { visited } = countVisits();
    await cluster.finishJob(before[0] ?? '', backupVerdict());
    await cluster.settle();
    const after = await cluster.openJobs('backup');
    expect(after.filter((job) => !before.includes(job))).toHaveLength(1);
    expect(looks.filter((kind) => kind === 'backup').length).toBeLessThan(15);
    expect(looks.length).toBeLessThan(30);
    // Two policies that have 50 Backups each look at them as often as something about them is told.
    expect(visited()).toBeLessThan(queued / 2);
  },
);
