import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { annotations, type Backup, type BackupPolicy } from '../../src/api/kinds.ts';
import { findCondition } from '../../src/controller/conditions.ts';
import { resources } from '../../src/controller/resources.ts';
import { parseTask } from '../../src/domain/parse-task.ts';
import type { CopyTask } from '../../src/domain/task.ts';
import { locationSpec, policySpec } from '../builders/objects.ts';
import { backupVerdict, inspectVerdict } from '../builders/verdicts.ts';
import { FakeCluster, startController, type Running } from './fake-cluster.ts';

const hour = 3_600_000;
const meta = (name: string): { readonly name: string; readonly namespace: string } => ({ name, namespace: 'shop' });
const apiVersion = 'pgbackup.dev/v1beta1';

describe('The repair of a policy', () => {
  let cluster: FakeCluster;
  let running: Running;

  beforeEach(async () => {
    cluster = new FakeCluster('2026-01-01T03:00:30Z');
    running = startController(cluster);
    for (const name of ['near', 'far', 'third']) {
      const spec = { ...locationSpec, inspectionIntervalSeconds: 7 * 86_400 };
      await cluster.create({ apiVersion, kind: 'BackupLocation', metadata: meta(name), spec });
    }
    await cluster.settle();
    for (const job of await cluster.openJobs('inspect')) await cluster.finishJob(job, inspectVerdict());
    await cluster.settle();
  });
  afterEach(async () => running.stop());

  const makePolicy = async (more: object = {}): Promise<void> => {
    const destinations = [{ location: 'near' }, { location: 'far', required: false }];
    const spec = { ...policySpec, schedule: '0 * * * *', destinations, repair: {}, ...more };
    await cluster.create({ apiVersion, kind: 'BackupPolicy', metadata: meta('nightly'), spec });
    await cluster.settle();
  };
  const stored = (location: string): object => ({
    location,
    outcome: 'Stored',
    bytes: 10,
    manifestSha256: 'a'.repeat(64),
  });
  const lost = (location: string, reason = 'StorageFailed'): object => ({
    location,
    outcome: 'Failed',
    reason,
    message: 'no',
  });
  /** The next slot comes, and its run ends so. */
  const runSlot = async (destinations: readonly object[]): Promise<string> => {
    await cluster.advance(hour);
    const [job = ''] = await cluster.openJobs('backup');
    const at = cluster.now();
    const log = { type: 'result', v: 1, kind: 'database', name: 'app', outcome: 'stored' };
    const verdict = { ...backupVerdict({ startedAt: at, completedAt: at, resultLines: 1 }), destinations };
    await cluster.finishJob(job, verdict, [log]);
    await cluster.settle();
    // What a run says of a place stands there until it is inspected.
    for (const inspection of await cluster.openJobs('inspect')) await cluster.finishJob(inspection, inspectVerdict());
    await cluster.advance(1000);
    return job.slice('pgb-'.length);
  };
  const copyTask = async (): Promise<CopyTask | undefined> => {
    const [job] = await cluster.openJobs('copy');
    if (job === undefined) return undefined;
    const { spec } = await cluster.get<{ spec: { template: { metadata: { annotations: Record<string, string> } } } }>(
      resources.job,
      job,
    );
    const task = parseTask(spec.template.metadata.annotations[annotations.task] ?? '');
    return task.kind === 'copy' ? task : undefined;
  };
  const endCopy = async (outcome: string, more: object = {}): Promise<void> => {
    const task = await copyTask();
    const [job = ''] = await cluster.openJobs('copy');
    const backups = (task?.backups ?? []).map(({ id, uid }) => ({ id, uid, outcome, detail: 'what it is', bytes: 10 }));
    const of = (word: string): number => (outcome === word ? backups.length : 0);
    const at = cluster.now();
    const end = {
      v: 1,
      kind: 'copy',
      verdict: outcome === 'Copied' || outcome === 'Present' ? 'Succeeded' : 'Failed',
      startedAt: at,
      completedAt: at,
      copied: of('Copied'),
      present: of('Present'),
      sourceDamaged: of('SourceDamaged'),
      failed: of('Failed'),
      bytes: 10 * of('Copied'),
      resultLines: 1,
      ...more,
    };
    await cluster.finishJob(job, end, [{ type: 'result', v: 1, kind: 'copied', backups }]);
    await cluster.advance(1000);
  };
  const policy = async (): Promise<BackupPolicy> => cluster.get<BackupPolicy>(resources.policy, 'nightly');
  const repaired = async (): Promise<string> => {
    const condition = findCondition((await policy()).status?.conditions, 'Repaired');
    return `${condition?.status} ${condition?.reason}`;
  };
  const outcomesOf = async (name: string): Promise<readonly string[]> => {
    const { status } = await cluster.get<Backup>(resources.backup, name);
    return (status?.destinations ?? []).map(({ location, outcome, reason }) =>
      [location, outcome, reason].join(' ').trim(),
    );
  };

  it('copies after the next success what a destination missed', async () => {
    await makePolicy();
    expect(await repaired()).toBe('Unknown RepairWaits');
    const first = await runSlot([stored('near'), lost('far')]);
    const task = await copyTask();
    expect(task).toMatchObject({
      from: { name: 'near' },
      to: { name: 'far' },
      backups: [{ id: first, manifestSha256: 'a'.repeat(64) }],
    });
    expect(await repaired()).toBe('Unknown Repairing');
    await endCopy('Copied');
    expect(await outcomesOf(first)).toEqual(['near Stored', 'far Stored']);
    expect((await cluster.get<Backup>(resources.backup, first)).status?.copies).toBe('2/2');
    expect((await policy()).status?.repairs).toMatchObject([
      { location: 'near', missing: 0 },
      { location: 'far', missing: 0, copied: 1, copiedBytes: 10, failuresInRow: 0 },
    ]);
    expect(await repaired()).toBe('True RepairDone');
    expect(await cluster.told('nightly')).toContain('BackupsCopied');
    const { resourceVersion } = (await policy()).metadata;
    await cluster.advance(20 * 60_000);
    expect(await cluster.openJobs('copy')).toEqual([]);
    expect((await policy()).metadata.resourceVersion).toBe(resourceVersion);
  });

  it('does nothing for who did not ask for it', async () => {
    await makePolicy({ repair: undefined });
    await runSlot([stored('near'), lost('far')]);
    expect(await cluster.openJobs('copy')).toEqual([]);
    expect((await policy()).status?.repairs).toBeUndefined();
  });

  it('takes another source where one is damaged, and says so of that one', async () => {
    const destinations = ['near', 'far', 'third'].map((location) => ({ location, required: location === 'near' }));
    await makePolicy({ destinations });
    const first = await runSlot([stored('near'), stored('far'), lost('third')]);
    expect((await copyTask())?.from.name).toBe('near');
    await endCopy('SourceDamaged', { reason: 'BackupDamaged' });
    expect(await repaired()).toBe('False BackupDamaged');
    expect(await outcomesOf(first)).toEqual(['near Stored BackupDamaged', 'far Stored', 'third Failed StorageFailed']);
    await cluster.advance(61_000);
    expect((await copyTask())?.from.name).toBe('far');
    await endCopy('Copied');
    expect(await repaired()).toBe('True RepairDone');
  });

  it('is tried again later and later, and leaves alone what lies under another backup’s name', async () => {
    await makePolicy();
    await runSlot([stored('near'), lost('far', 'AlreadyStored')]);
    expect(await cluster.openJobs('copy')).toEqual([]);
    await runSlot([stored('near'), lost('far')]);
    await endCopy('Failed', { reason: 'StorageFull', message: 'no room' });
    expect(await repaired()).toBe('False StorageFull');
    expect(await cluster.openJobs('copy')).toEqual([]);
    await cluster.advance(61_000);
    expect(await cluster.openJobs('copy')).toHaveLength(1);
  });

  it('brings a new destination as many of the newest as it should, and what retention would keep', async () => {
    await makePolicy({ destinations: [{ location: 'near' }] });
    const names: string[] = [];
    for (let slot = 0; slot < 4; slot += 1) names.push(await runSlot([stored('near')]));
    const spec = { location: 'far', backfill: 3, retention: { keepLast: 2 } };
    await cluster.update(resources.policy, 'nightly', (object) => ({
      ...object,
      spec: { ...(object['spec'] as object), destinations: [{ location: 'near' }, spec] },
    }));
    await cluster.advance(2000);
    expect((await copyTask())?.backups.map(({ id }) => id)).toEqual(names.slice(2).toReversed());
    await endCopy('Copied');
    expect(await outcomesOf(names[3] ?? '')).toEqual(['near Stored', 'far Stored']);
    expect(await repaired()).toBe('True RepairDone');
  });
});
