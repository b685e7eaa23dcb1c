import type { Backup, RestoreRequest } from '../../api/kinds.ts';
import { readStamp } from '../../domain/stamp.ts';
import { findStuckAt, stuckAfterMs } from '../run/stuck.ts';
import { findCondition } from '../conditions.ts';
import { runnerState, type JobSeen, type PodSeen } from '../run/pods.ts';

/** What a runner waits for before it does anything: a Secret's key, a server that answers. */
const waits: ReadonlySet<string> = new Set(['WaitingForSecret', 'WaitingForServer']);

/**
 * From when on a run that has a Job takes no place from others (milliseconds since 1970, may lie ahead), because it does no work: it is
 * stuck (stuck.ts), its runner waits, or its tries have failed and the next has no pod. Those that wait or try again have had their
 * time since their Job was made: every try would begin it anew. Undefined: it works, or is about to.
 */
export function findIdleAt(
  world: { job(namespace: string, name: string): JobSeen | undefined; podsOfJob(uid: string): readonly PodSeen[] },
  run: Pick<Backup | RestoreRequest, 'metadata' | 'status'>,
  jobName: string,
): number | undefined {
  const stuckAt = findStuckAt(world, run, () => jobName);
  const job = world.job(run.metadata.namespace, jobName);
  const madeAt = readStamp(job?.metadata.creationTimestamp);
  if (stuckAt !== undefined || job === undefined || madeAt === undefined) return stuckAt;
  const succeeded = findCondition(run.status?.conditions, 'Succeeded');
  const isWaiting = succeeded?.status === 'Unknown' && waits.has(succeeded.reason);
  const pods = world.podsOfJob(job.metadata.uid);
  const isBetween = pods.length > 0 && pods.every((pod) => runnerState(pod)?.terminated !== undefined);
  return isWaiting || isBetween ? madeAt + stuckAfterMs : undefined;
}
