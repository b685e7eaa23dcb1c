import { isCopy } from '../../api/backup.ts';
import { annotations, type Backup } from '../../api/kinds.ts';
import { readStamp } from '../../domain/stamp.ts';
import { startOf } from '../run/outcome.ts';
import { findPlaceObstacle, type Obstacle } from '../upkeep/find-place-obstacle.ts';
import type { RetentionPlace, RetentionSeen } from './observe.ts';

const deletable = { modes: ['ReadWrite'], else: 'DeletionNotAllowed', waits: 'RetentionWaits' } as const;
/** Who stored nothing for so long does not share the prefix any more. */
const sharedForMs = 30 * 86_400_000;

/** Why nothing may be removed at a place now. */
export function findObstacle(
  { mode, policy, backups, nowMs }: RetentionSeen,
  place: RetentionPlace,
): Obstacle | undefined {
  const { location } = place;
  const obstacle = findPlaceObstacle(mode, place, deletable);
  if (obstacle !== undefined) return obstacle;
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
