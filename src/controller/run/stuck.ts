import type { Backup, RestoreRequest } from '../../api/kinds.ts';
import { backupJobName } from '../../domain/names.ts';
import { readStamp } from '../../domain/stamp.ts';
import { findCondition } from '../conditions.ts';
import { newestFirst, runnerState, type JobSeen, type PodSeen } from './pods.ts';
import { isStartTrouble } from './start-trouble.ts';

/** How long a run may have trouble starting and still count as one that is about to work: a node may be on its way. */
export const stuckAfterMs = 2 * 60_000;

/**
 * From when on a run counts as stuck (ms since 1970, may lie ahead): its status names what keeps its pod from being made or started, and
 * none of its pods has a runner. Undefined: nothing keeps it.
 */
export function findStuckAt(
  world: { job(namespace: string, name: string): JobSeen | undefined; podsOfJob(uid: string): readonly PodSeen[] },
  run: Pick<Backup | RestoreRequest, 'metadata' | 'status'>,
  jobNameOf: (name: string) => string = backupJobName,
): number | undefined {
  const succeeded = findCondition(run.status?.conditions, 'Succeeded');
  if (succeeded?.status !== 'Unknown' || !isStartTrouble(succeeded.reason)) return undefined;
  const { namespace, name } = run.metadata;
  const job = world.job(namespace, jobNameOf(name));
  const pods = job === undefined ? [] : newestFirst(world.podsOfJob(job.metadata.uid));
  // The status is a look behind its pods.
  if (pods.some((pod) => runnerState(pod)?.running !== undefined)) return undefined;
  const since = readStamp((pods[0] ?? job ?? run).metadata.creationTimestamp);
  return since === undefined ? undefined : since + stuckAfterMs;
}
