import { isCopy } from '../../api/backup.ts';
import { annotations, type Backup } from '../../api/kinds.ts';
import { readStamp } from '../../domain/stamp.ts';
import { findCondition } from '../conditions.ts';
import { findLocationProblem } from '../destinations.ts';
import { startOf } from '../run/outcome.ts';
import type { RetentionPlace, RetentionSeen } from './observe.ts';

export interface RetentionObstacle {
  readonly reason: string;
  readonly message: string;
}

/** Who stored nothing for so long does not share the prefix any more. */
const sharedForMs = 30 * 86_400_000;

/** Why nothing may be removed at a place now. */
export function findObstacle(
  { mode, policy, backups, nowMs }: RetentionSeen,
  { location, found }: RetentionPlace,
): RetentionObstacle | undefined {
  const problem = findLocationProblem(location, found, mode.claimRequired);
  if (problem !== undefined || found === undefined) {
    return problem ?? { reason: 'LocationMissing', message: `there is no BackupLocation ${location}` };
  }
  const { spec, status } = found.object;
  if (spec.accessMode !== 'ReadWrite') {
    const message = `BackupLocation ${location} has accessMode ${spec.accessMode}; nothing is removed there`;
    return { reason: 'DeletionNotAllowed', message };
  }
  const available = findCondition(status?.conditions, 'Available');
  if (available?.status === 'False') {
    return { reason: available.reason, message: `${location} is not available: ${available.message}`.slice(0, 1024) };
  }
  if (status?.backups === undefined) {
    return { reason: 'RetentionWaits', message: `waits until ${location} has been inspected to its end` };
  }
  const stranger = backups.find((backup) => isOfSharer(backup));
  if (stranger === undefined) return undefined;
  const message = `${location} holds ${stranger.metadata.name}, which another policy ${policy.metadata.name} has stored since this one was made: two clusters store under one prefix`;
  return { reason: 'PrefixShared', message };

  function isOfSharer(backup: Backup): boolean {
    const maker = backup.metadata.annotations?.[annotations.foundPolicyUid];
    if (backup.spec.import === undefined || maker === undefined || maker === policy.metadata.uid) return false;
    const isHere = backup.status?.destinations?.some((each) => each.location === location && isCopy(each)) ?? false;
    const since = Math.max(readStamp(policy.metadata.creationTimestamp) ?? Infinity, nowMs - sharedForMs);
    return isHere && startOf(backup) > since;
  }
}
