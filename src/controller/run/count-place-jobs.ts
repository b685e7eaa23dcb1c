import { labels } from '../../api/kinds.ts';
import { readStamp } from '../../domain/stamp.ts';
import type { ControllerMode } from '../mode.ts';
import type { World } from '../world/world.ts';
import { isFinished, runnerState, type JobSeen } from './pods.ts';
import { stuckAfterMs } from './stuck.ts';

/**
 * Jobs that work at a location (inspections, prunes) and do not belong to that owner: all that work, and of those that are stuck the ones
 * beyond `mode.inspections`.
 */
export function countPlaceJobs(
  world: World,
  ownerUid: string,
  mode: Pick<ControllerMode, 'inspections'>,
  nowMs: number,
): number {
  const others = world.jobs().filter((job) => {
    const isOther = job.metadata.ownerReferences?.every((owner) => owner.uid !== ownerUid) ?? true;
    return isOther && job.metadata.labels?.[labels.location] !== undefined && !isFinished(job);
  });
  const working = others.filter((job) => !hasNotStarted(world, job, nowMs));
  return Math.max(working.length, others.length - mode.inspections);
}

/** As with runs (docs/design/limits.md): a volume that nobody can mount must not hold up all other locations. */
function hasNotStarted(world: World, { metadata }: JobSeen, nowMs: number): boolean {
  const since = readStamp(metadata.creationTimestamp);
  if (since === undefined || nowMs < since + stuckAfterMs) return false;
  return world.podsOfJob(metadata.uid).every((pod) => runnerState(pod)?.running === undefined);
}
