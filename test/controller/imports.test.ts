import { expect, it } from 'vitest';
import { annotations, type Backup } from '../../src/api/kinds.ts';
import { findCondition } from '../../src/controller/conditions.ts';
import { resources } from '../../src/controller/resources.ts';
import type { ResultLine } from '../../src/domain/report.ts';
import { asSent, buildBackup, buildLocation } from '../builders/objects.ts';
import { foundBackup, inspectVerdict } from '../builders/verdicts.ts';
import { FakeCluster, startController } from './fake-cluster.ts';

const key = 'shop/nightly/mine/manifest.json';
const hourMs = 3_600_000;

/** A location that was inspected once, and then an import that somebody made. */
async function open() {
  const cluster = new FakeCluster('2026-01-01T12:00:00Z');
  const controller = startController(cluster);
  await cluster.create(asSent(buildLocation()));
  await cluster.settle();
  const answer = async (lines: readonly ResultLine[], more: object = {}): Promise<void> => {
    const [job = ''] = await cluster.openJobs('inspect');
    const sums = { backups: lines.length, resultLines: lines.length, startedAt: cluster.now(), ...more };
    await cluster.finishJob(job, inspectVerdict(sums), lines);
    await cluster.advance(1000);
  };
  await answer([]);
  await cluster.create(asSent(buildBackup({ name: 'mine', spec: { import: { location: 'near', key } } })));
  await cluster.advance(1000);
  const says = async (): Promise<string> => {
    const { status } = await cluster.get<Backup>(resources.backup, 'mine');
    const found = findCondition(status?.conditions, 'Succeeded');
    return `${status?.phase}: ${found?.status} ${found?.reason}: ${found?.message}`;
  };
  return { cluster, answer, says, stop: () => controller.stop() };
}

const mine = foundBackup({ id: 'mine' });
const damaged: ResultLine = { type: 'result', v: 1, kind: 'damaged', key, detail: 'unexpected end' };

it('an import of nothing fails with the next catalogue, and succeeds when its manifest appears', async () => {
  const { cluster, answer, says, stop } = await open();
  expect(await says()).toMatch(/^Pending: Unknown Imported: waits until an inspection of near /);
  await cluster.advance(hourMs);
  await answer([]);
  expect(await says()).toBe(`Failed: False BackupMissing: there is no manifest ${key} in near`);
  expect(await cluster.told('mine')).toContain('BackupMissing');
  await cluster.advance(hourMs);
  await answer([mine]);
  expect(await says()).toBe('Succeeded: True Imported: found in near');
  const { status } = await cluster.get<Backup>(resources.backup, 'mine');
  expect(status?.destinations).toMatchObject([{ location: 'near', outcome: 'Found', manifestKey: key }]);
  expect(status?.completedAt).toBe(mine.completedAt);
  await stop();
});

it('an import of a damaged manifest says what is wrong with it, and succeeds when it was mended', async () => {
  const { cluster, answer, says, stop } = await open();
  await cluster.advance(hourMs);
  await answer([damaged], { backups: 0, damagedManifests: 1 });
  expect(await says()).toBe(
    `Failed: False ManifestInvalid: the manifest ${key} in near cannot be read: unexpected end`,
  );
  await cluster.advance(hourMs);
  await answer([mine]);
  expect(await says()).toMatch('Succeeded: True Imported');
  await stop();
});

it('an import is not judged by a page that ends before it, that began before it, or that failed', async () => {
  const { cluster, answer, says, stop } = await open();
  await cluster.advance(hourMs);
  await answer([], { after: 'shop/nightly/a/manifest.json' });
  expect(await says()).toMatch(/^Pending: Unknown Imported/);
  await answer([], { startedAt: '2026-01-01T11:59:00Z' });
  expect(await says()).toMatch(/^Pending: Unknown Imported/);
  const probe = { [annotations.probeRequestedAt]: 'now' };
  await cluster.update(resources.location, 'near', (object) => ({
    ...object,
    metadata: { ...object.metadata, annotations: probe },
  }));
  await cluster.advance(1000);
  await answer([], { verdict: 'Failed', reason: 'StorageDenied', message: 'no' });
  expect(await says()).toMatch(/^Pending: Unknown Imported/);
  await cluster.advance(hourMs);
  await answer([]);
  expect(await says()).toMatch(/BackupMissing/);
  await stop();
});
