import { asSent, buildLocation } from '../builders/objects.ts';
import { foundBackup, inspectVerdict } from '../builders/verdicts.ts';
import type { FakeCluster } from './fake-cluster.ts';

/** Gives a cluster whose controller runs a location that was looked at, and holds one backup of `nightly`. */
export async function addFoundBackup(cluster: FakeCluster): Promise<void> {
  await cluster.create(asSent(buildLocation()));
  await cluster.advance(1000);
  const [inspection = ''] = await cluster.openJobs('inspect');
  await cluster.finishJob(inspection, inspectVerdict({ backups: 1, resultLines: 1 }), [foundBackup()]);
  await cluster.advance(1000);
}
