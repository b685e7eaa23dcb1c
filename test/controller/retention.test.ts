import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Backup, BackupPolicy } from '../../src/api/kinds.ts';
import { annotations } from '../../src/api/kinds.ts';
import { judgePruned } from '../../src/controller/retention/condition.ts';
import { findCondition } from '../../src/controller/conditions.ts';
import { resources } from '../../src/controller/resources.ts';
import { parseTask } from '../../src/domain/parse-task.ts';
import type { PruneTask } from '../../src/domain/task.ts';
import { locationSpec, policySpec } from '../builders/objects.ts';
import { backupVerdict, inspectVerdict } from '../builders/verdicts.ts';
import { FakeCluster, startController, type Running } from './fake-cluster.ts';

const hour = 3_600_000;
const meta = (name: string): { readonly name: string; readonly namespace: string } => ({ name, namespace: 'shop' });

describe('The retention of a policy', () => {
  let cluster: FakeCluster;
  let running: Running;

  beforeEach(async () => {
    cluster = new FakeCluster('2026-01-01T03:00:30Z');
    running = startController(cluster);
    await cluster.create({
      apiVersion: 'pgbackup.dev/v1beta1',
      kind: 'BackupLocation',
      metadata: meta('near'),
      spec: { ...locationSpec, inspectionIntervalSeconds: 7 * 86_400 },
    });
    await cluster.settle();
    const [inspection = ''] = await cluster.openJobs('inspect');
    await cluster.finishJob(inspection, inspectVerdict());
    await cluster.settle();
  });
  afterEach(async () => running.stop());

  const makePolicy = async (more: object): Promise<void> => {
    const spec = { ...policySpec, schedule: '0 * * * *', destinations: [{ location: 'near' }], ...more };
    await cluster.create({
      apiVersion: 'pgbackup.dev/v1beta1',
      kind: 'BackupPolicy',
      metadata: meta('nightly'),
      spec,
    });
    await cluster.settle();
  };
  /** The next slot comes, and its run succeeds (or what is given). */
  const runSlot = async (verdict: object = {}): Promise<string> => {
    await cluster.advance(hour);
    const [job = ''] = await cluster.openJobs('backup');
    const at = cluster.now();
    const log = { type: 'result', v: 1, kind: 'database', name: 'app', outcome: 'stored' };
    await cluster.finishJob(job, backupVerdict({ startedAt: at, completedAt: at, resultLines: 1, ...verdict }), [log]);
    await cluster.settle();
    // A status that follows a creation gives way to other looks.
    await cluster.advance(100);
    return job.slice('pgb-'.length);
  };
  const pruneTask = async (): Promise<PruneTask | undefined> => {
    const [job] = await cluster.openJobs('prune');
    if (job === undefined) return undefined;
    const { spec } = await cluster.get<{ spec: { template: { metadata: { annotations: Record<string, string> } } } }>(
      resources.job,
      job,
    );
    const task = parseTask(spec.template.metadata.annotations[annotations.task] ?? '');
    return task.kind === 'prune' ? task : undefined;
  };
  const endPrune = async (verdict: object = {}, outcome = 'Removed'): Promise<void> => {
    const task = await pruneTask();
    const [job = ''] = await cluster.openJobs('prune');
    const removed = outcome === 'Removed' ? (task?.remove.length ?? 0) : 0;
    const lines = {
      type: 'result',
      v: 1,
      kind: 'pruned',
      backups: task?.remove.map(({ id, uid }) => ({ id, uid, outcome, bytes: 10 })),
    };
    const at = cluster.now();
    const end = {
      v: 1,
      kind: 'prune',
      verdict: 'Succeeded',
      startedAt: at,
      completedAt: at,
      removed,
      freedBytes: 10 * removed,
      deferred: 0,
      refused: 0,
      failed: 0,
      resultLines: 1,
      ...verdict,
    };
    await cluster.finishJob(job, end, [lines]);
    await cluster.settle();
  };
  const policy = async (): Promise<BackupPolicy> => cluster.get<BackupPolicy>(resources.policy, 'nightly');
  const pruned = async (): Promise<string> => {
    const condition = findCondition((await policy()).status?.conditions, 'Pruned');
    return `${condition?.status} ${condition?.reason}`;
  };
  const outcomeOf = async (name: string): Promise<string | undefined> =>
    (await cluster.get<Backup>(resources.backup, name)).status?.destinations?.[0]?.outcome;

  it('removes after each success what no rule keeps', async () => {
    await makePolicy({ retention: { keepLast: 2 } });
    expect(await pruned()).toBe('Unknown RetentionWaits');
    const [first, second, third] = [await runSlot(), await runSlot(), await runSlot()];
    const task = await pruneTask();
    expect(task).toMatchObject({
      why: 'retention',
      remove: [{ id: first, manifestSha256: 'a'.repeat(64), attempt: 'abcdef12' }],
      newest: { id: third },
      floor: [{ id: third }],
    });
    expect(await pruned()).toBe('Unknown Removing');
    await endPrune();

    expect([await outcomeOf(first), await outcomeOf(second), await outcomeOf(third)]).toEqual([
      'Removed',
      'Stored',
      'Stored',
    ]);
    expect((await policy()).status?.prunes).toMatchObject([
      { location: 'near', kept: 2, removable: 0, removed: 1, freedBytes: 10 },
    ]);
    expect(await pruned()).toBe('True RetentionDone');
    expect(await cluster.told('nightly')).toContain('BackupsRemoved');
    expect((await policy()).status?.runs?.Succeeded).toBe(3);
  });

  it('is not in trouble while it waits for an inspection', async () => {
    await makePolicy({ retention: { keepLast: 2 } });
    const waits = { location: 'near', reason: 'RetentionWaits', message: 'not inspected yet' };
    expect(judgePruned(await policy(), [waits])).toMatchObject({ status: 'Unknown', reason: 'RetentionWaits' });
    const fails = { ...waits, reason: 'StorageDenied' };
    expect(judgePruned(await policy(), [waits, fails])).toMatchObject({ status: 'False', reason: 'StorageDenied' });
  });

  it('removes nothing after a failure, and nothing twice', async () => {
    await makePolicy({ retention: { keepLast: 1 } });
    const first = await runSlot();
    await runSlot({ verdict: 'Failed', reason: 'ServerUnreachable', destinations: [] });
    expect(await cluster.openJobs('prune')).toEqual([]);
    await runSlot();
    expect((await pruneTask())?.remove.map(({ id }) => id)).toEqual([first]);
    await endPrune();
    await cluster.advance(30 * 60_000);
    expect(await cluster.openJobs('prune')).toEqual([]);
  });

  it('leaves what is pinned, until it is not any more and somebody asks', async () => {
    await makePolicy({ retention: { keepLast: 1 } });
    const first = await runSlot();
    const annotate = async (
      type: (typeof resources)['backup'],
      name: string,
      values: Record<string, string>,
    ): Promise<void> => {
      await cluster.update(type, name, (object) => ({
        ...object,
        metadata: { ...object.metadata, annotations: values },
      }));
      await cluster.settle();
    };
    await annotate(resources.backup, first, { [annotations.pin]: 'before the migration' });
    await runSlot();
    expect(await cluster.openJobs('prune')).toEqual([]);
    expect(await pruned()).toBe('True RetentionDone');
    await annotate(resources.backup, first, {});
    expect(await cluster.openJobs('prune')).toEqual([]);
    await annotate(resources.policy, 'nightly', { [annotations.pruneRequestedAt]: 'now' });
    expect((await pruneTask())?.remove.map(({ id }) => id)).toEqual([first]);
  });

  it('tells with dryRun what would stay and why, and removes nothing', async () => {
    await makePolicy({ retention: { keepHourly: 2, dryRun: true } });
    const [first, second, third] = [await runSlot(), await runSlot(), await runSlot()];
    expect(await cluster.openJobs('prune')).toEqual([]);
    expect(await pruned()).toBe('True DryRun');
    expect((await policy()).status?.prunes).toMatchObject([
      {
        kept: 2,
        removable: 1,
        keeps: [
          { backup: third, why: 'of the hour 2026-01-01T06, last copy of a database' },
          { backup: second, why: 'of the hour 2026-01-01T05' },
        ],
        removes: [{ backup: first, why: 'no rule keeps it' }],
      },
    ]);
    const { resourceVersion } = (await policy()).metadata;
    await cluster.advance(20 * 60_000);
    expect((await policy()).metadata.resourceVersion).toBe(resourceVersion);
  });

  it('is tried again, later and later, when a prune fails, and says so', async () => {
    await makePolicy({ retention: { keepLast: 1 } });
    await runSlot();
    await runSlot();
    await endPrune(
      { verdict: 'Failed', reason: 'NewestBackupMissing', message: 'it is not there', removed: 0, resultLines: 1 },
      'Refused',
    );
    expect(await pruned()).toBe('False NewestBackupMissing');
    expect((await policy()).status?.prunes).toMatchObject([{ failures: 1, failuresInRow: 1 }]);
    expect(await cluster.openJobs('prune')).toEqual([]);
    await cluster.advance(61_000);
    await endPrune({ verdict: 'Failed', reason: 'StorageUnreachable', removed: 0 }, 'Failed');
    await cluster.advance(61_000);
    expect(await cluster.openJobs('prune')).toEqual([]);
    await cluster.advance(61_000);
    await endPrune();
    expect(await pruned()).toBe('True RetentionDone');
    expect((await policy()).status?.prunes).toMatchObject([{ failures: 2, failuresInRow: 0, removed: 1 }]);
  });

  it('waits for the next success where the place holds backups by a lock', async () => {
    await makePolicy({ retention: { keepLast: 1 } });
    await runSlot();
    await runSlot();
    await endPrune({ removed: 0, deferred: 1 }, 'Deferred');
    expect(await pruned()).toBe('True RetentionDone');
    expect((await policy()).status?.prunes).toMatchObject([{ deferred: 1, reason: 'DeletionHeld' }]);
    await cluster.advance(30 * 60_000);
    expect(await cluster.openJobs('prune')).toEqual([]);
    await runSlot();
    expect((await pruneTask())?.remove).toHaveLength(2);
  });

  it('of a destination takes the place of the policy’s own, and none of both means that all stays', async () => {
    await makePolicy({ retention: { keepLast: 1 }, destinations: [{ location: 'near', retention: { keepLast: 2 } }] });
    await runSlot();
    await runSlot();
    expect(await cluster.openJobs('prune')).toEqual([]);
    await runSlot();
    expect((await pruneTask())?.remove).toHaveLength(1);
    await endPrune();
    await cluster.update(resources.policy, 'nightly', (object) => ({
      ...object,
      spec: { ...(object['spec'] as object), retention: undefined, destinations: [{ location: 'near' }] },
    }));
    await runSlot();
    await runSlot();
    expect(await cluster.openJobs('prune')).toEqual([]);
    expect((await policy()).status?.prunes).toBeUndefined();
    expect(findCondition((await policy()).status?.conditions, 'Pruned')).toBeUndefined();
  });
});
