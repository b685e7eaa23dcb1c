import type { Backup, BackupLocation } from '../../api/kinds.ts';
import type { FailureReason } from '../../api/reasons.ts';
import { readStamp } from '../../domain/stamp.ts';
import { findCondition, type ConditionChange } from '../conditions.ts';

/** They say that the place was not to be had, whatever was asked of it. */
const unreachable: ReadonlySet<FailureReason> = new Set([
  'StorageUnreachable',
  'StorageFailed',
  'StorageDenied',
  'StorageCredentialsInvalid',
  'StorageMissing',
  'StorageFull',
  'StorageConfigInvalid',
  'HostKeyMismatch',
]);

/**
 * What the run that ended last says of a place that it could not reach, if nobody has looked at the place since: the condition
 * `Available`, until an inspection knows better. `failedThere` are Backups that did not get there.
 */
export function findMissed(location: BackupLocation, failedThere: readonly Backup[]): ConditionChange | undefined {
  const { name, generation } = location.metadata;
  let newest = readStamp(location.status?.lastProbeTime);
  // Before the first inspection nothing is said; it comes at once.
  if (newest === undefined) return undefined;
  let missed: ConditionChange | undefined;
  for (const backup of failedThere) {
    const endedAt = readStamp(findCondition(backup.status?.conditions, 'Succeeded')?.lastTransitionTime);
    const held = backup.status?.destinations?.find((each) => each.location === name && each.outcome === 'Failed');
    if (endedAt === undefined || endedAt <= newest || held?.reason === undefined) continue;
    if (!unreachable.has(held.reason)) continue;
    newest = endedAt;
    const why = held.message === undefined ? '' : `: ${held.message}`;
    missed = {
      type: 'Available',
      status: 'False',
      reason: held.reason,
      message: `the run ${backup.metadata.name} could not store here${why}`,
      observedGeneration: generation,
    };
  }
  return missed;
}
