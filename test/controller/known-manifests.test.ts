import { describe, expect, it } from 'vitest';
import { annotations, type Backup, type BackupLocation } from '../../src/api/kinds.ts';
import { listKnown } from '../../src/controller/location/known.ts';
import { resources } from '../../src/controller/resources.ts';
import { readMarks } from '../../src/domain/known-manifests.ts';
import { parseTask } from '../../src/domain/parse-task.ts';
import type { InspectTask } from '../../src/domain/task.ts';
import { heldAfterOf } from '../builders/held-manifests.ts';
import { asSent, buildBackup, buildLocation } from '../builders/objects.ts';
import { foundBackup, inspectVerdict } from '../builders/verdicts.ts';
import { FakeCluster, startController } from './fake-cluster.ts';

const markAt = (number: number): string => String(number).padStart(8, 'm');

async function open() {
  const cluster = new FakeCluster('2026-01-01T12:00:00Z');
  const controller = startController(cluster);
  await cluster.create(asSent(buildLocation()));
  await cluster.settle();
  /** What the inspection that is due was told. */
  const told = async (): Promise<InspectTask['known']> => {
    const [job = ''] = await cluster.openJobs('inspect');
    const { spec } = await cluster.get<{
      spec: { template: { metadata: { annotations: Record<string, string> } } };
    }>(resources.job, job);
    const task = parseTask(spec.template.metadata.annotations[annotations.task] ?? '');
    return task.kind === 'inspect' ? task.known : undefined;
  };
  const answer = async (lines: readonly object[], backups: number): Promise<void> => {
    const [job = ''] = await cluster.openJobs('inspect');
    const sums = { backups, storedBytes: 0, resultLines: lines.length, startedAt: cluster.now() };
    await cluster.finishJob(job, inspectVerdict(sums), lines);
    await cluster.advance(1000);
  };
  const outcomes = async (): Promise<readonly (string | undefined)[]> => {
    const all = (await cluster.list(resources.backup)) as unknown as readonly Backup[];
    return all
      .toSorted((a, b) => a.metadata.name.localeCompare(b.metadata.name))
      .map(({ status }) => status?.destinations?.[0]?.outcome);
  };
  const hour = (): Promise<void> => cluster.advance(3_600_000);
  return { cluster, told, answer, outcomes, hour, stop: () => controller.stop() };
}

const lines = [1, 2, 3].map((number) => foundBackup({ id: `old-${number}`, mark: markAt(number) }));
const unseen = (...marks: readonly string[]) => ({ type: 'result', v: 1, kind: 'known', unseen: marks });

describe('What an inspection need not read', () => {
  it('is what the one before it read: it is told, stays there unread, and is missed when it was not come upon', async () => {
    const { cluster, told, answer, outcomes, hour, stop } = await open();
    expect(await told()).toBeUndefined();
    await answer(lines, 3);
    await hour();
    expect(readMarks((await told()) ?? { marks: '' }).toSorted()).toEqual([1, 2, 3].map(markAt));
    await answer([unseen()], 3);
    expect(await outcomes()).toEqual(['Found', 'Found', 'Found']);
    await hour();
    await answer([unseen(markAt(2))], 2);
    expect(await outcomes()).toEqual(['Found', 'Missing', 'Found']);
    expect((await cluster.get<BackupLocation>(resources.location, 'near')).status?.backups).toBe(2);
    await hour();
    // What is missed is no longer known, and is read when it is there again.
    expect(readMarks((await told()) ?? { marks: '' }).toSorted()).toEqual([1, 3].map(markAt));
    await answer([...lines.slice(1, 2), unseen()], 3);
    expect(await outcomes()).toEqual(['Found', 'Found', 'Found']);
    await stop();
  });

  it('stays there when it was read again because it looks different, and is known by its new look', async () => {
    const { told, answer, outcomes, hour, stop } = await open();
    await answer(lines, 3);
    await hour();
    await answer([foundBackup({ id: 'old-2', mark: markAt(9) }), unseen(markAt(2))], 3);
    expect(await outcomes()).toEqual(['Found', 'Found', 'Found']);
    await hour();
    expect(readMarks((await told()) ?? { marks: '' }).toSorted()).toEqual([1, 3, 9].map(markAt));
    await stop();
  });

  it('says nothing of what is there when its answer does not speak of what is known', async () => {
    const { answer, outcomes, hour, stop } = await open();
    await answer(lines, 3);
    await hour();
    await answer([], 0);
    expect(await outcomes()).toEqual(['Found', 'Found', 'Found']);
    await stop();
  });

  it('is nothing when somebody asks for an inspection: then all is read', async () => {
    const { cluster, told, answer, hour, stop } = await open();
    await answer(lines, 3);
    await cluster.update(resources.location, 'near', (object) => ({
      ...object,
      metadata: { ...object.metadata, annotations: { [annotations.probeRequestedAt]: 'now' } },
    }));
    await cluster.advance(1000);
    expect(await told()).toBeUndefined();
    await answer(lines, 3);
    await hour();
    expect(await told()).toBeDefined();
    await stop();
  });

  it('fits the task, however much it is, page after page, and takes no long look', () => {
    const backups = Array.from({ length: 100_000 }, (_, index) => {
      const name = `run-${String((index * 7919) % 100_000).padStart(6, '0')}`;
      const manifestKey = `shop/nightly/${name}/manifest.json`;
      const listed = String(index).padStart(8, 'm');
      return buildBackupAt(name, { location: 'near', outcome: 'Found', manifestKey, listed });
    });
    // As they come from the API server: flat strings.
    const stored = heldAfterOf(JSON.parse(JSON.stringify(backups)) as readonly Backup[]);
    const seen = new Set<string>();
    let after: string | undefined = '';
    let pages = 0;
    const tookMs: number[] = [];
    while (after !== undefined) {
      const catalogue = { page: pages, after, backups: 0, storedBytes: 0, damagedManifests: 0 };
      const location = buildLocation({ status: { catalogue } });
      const startedAt = performance.now();
      const known = listKnown(location, stored, 100_000);
      tookMs.push(performance.now() - startedAt);
      expect(known?.marks.length).toBeLessThanOrEqual(100_000);
      for (const mark of readMarks(known ?? { marks: '' })) seen.add(mark);
      after = known?.until;
      pages += 1;
      if (pages > 20) break;
    }
    expect(seen.size).toBe(100_000);
    expect(pages).toBeLessThan(12);
    // A millisecond or two each; of those that a busy machine held up the median says nothing.
    expect(tookMs.toSorted((a, b) => a - b)[Math.floor(pages / 2)]).toBeLessThan(100);
  });
});

const template = buildBackup({ name: 'template' });
const buildBackupAt = (name: string, destination: object): Backup =>
  ({
    ...template,
    metadata: { ...template.metadata, name },
    status: { destinations: [destination] },
  }) as unknown as Backup;
