import { readStamp } from '../../domain/stamp.ts';
import { earliest, type Action, type Plan } from '../action.ts';
import { deleteJob } from './delete-job.ts';
import { findTrue, isFinished, type JobSeen } from './pods.ts';

/** Of the Jobs whose answer was taken: those that went well go with the next answer, the others are kept for their logs. */
export function deleteAnsweredJobs(
  jobs: readonly JobSeen[],
  /** By name. */
  current: string | undefined,
  /** By uid: the last one whose answer was taken. */
  last: string | undefined,
  nowMs: number,
  jobTtlMs: number,
): Plan {
  const actions: Action[] = [];
  const wakes: (number | undefined)[] = [];
  for (const old of jobs) {
    const isCurrent = old.metadata.name === current;
    if (isCurrent || old.metadata.deletionTimestamp !== undefined || !isFinished(old)) continue;
    const complete = findTrue(old.status?.conditions, 'Complete');
    const ended = complete ?? findTrue(old.status?.conditions, 'Failed');
    const deleteAt = (readStamp(ended?.lastTransitionTime) ?? nowMs) + jobTtlMs;
    if ((complete !== undefined && old.metadata.uid !== last) || nowMs >= deleteAt) {
      actions.push(deleteJob(old, 'Background'));
    } else wakes.push(deleteAt);
  }
  return { actions, wakeAt: earliest(...wakes) };
}
