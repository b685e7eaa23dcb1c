import type { BackupPolicyStatus } from '../../api/backup-policy.ts';
import type { Backup, BackupPolicy } from '../../api/kinds.ts';
import { readStamp, stamp } from '../../domain/stamp.ts';
import { endOf, endedRuns, resultOf } from '../outcome.ts';

type Counts = Pick<BackupPolicyStatus, 'runs' | 'countedUids' | 'countedThrough'>;

/** How many uids a status remembers. */
export const countedUidsMax = 100;

/**
 * Counts each run of a policy once: its uid is remembered in the same PUT. When there are more than are remembered, the oldest ends
 * are forgotten, and countedThrough says that everything up to there is counted, so that a deletion brings none of them back.
 */
export function countRuns(policy: BackupPolicy, backups: readonly Backup[]): Counts {
  const { status, metadata } = policy;
  const runs = { Succeeded: 0, PartlyFailed: 0, Failed: 0, ...status?.runs };
  const counted = [...(status?.countedUids ?? [])];
  let through = readStamp(status?.countedThrough);
  const createdAt = readStamp(metadata.creationTimestamp) ?? 0;
  const ends = new Map(backups.map((backup) => [backup.metadata.uid, endOf(backup)]));

  const known = new Set(counted);
  const fresh = endedRuns(backups)
    // Found backups were no runs of ours; runs of an earlier policy of this name are not this one's.
    .filter(({ spec, metadata: { creationTimestamp } }) => {
      return spec.import === undefined && (readStamp(creationTimestamp) ?? 0) >= createdAt;
    })
    .filter((backup) => !known.has(backup.metadata.uid) && (endOf(backup) ?? 0) > (through ?? -1))
    .toSorted((a, b) => (endOf(a) ?? 0) - (endOf(b) ?? 0) || a.metadata.uid.localeCompare(b.metadata.uid));
  for (const backup of fresh) {
    const result = resultOf(backup);
    if (result === undefined) continue;
    runs[result] += 1;
    counted.push(backup.metadata.uid);
  }
  while (counted.length > countedUidsMax) {
    const end = ends.get(counted.shift() ?? '');
    if (end !== undefined) through = Math.max(through ?? 0, end);
  }
  return {
    runs,
    countedUids: counted,
    countedThrough: through === undefined ? undefined : stamp(Math.ceil(through / 1000) * 1000),
  };
}
