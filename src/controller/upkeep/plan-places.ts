import type { BackupPolicyStatus } from '../../api/backup-policy.ts';
import type { BackupPolicy } from '../../api/kinds.ts';
import { sameValue } from '../../domain/same-value.ts';
import { earliest, type Action, type Plan } from '../action.ts';
import { findCondition, setCondition, type ConditionChange } from '../conditions.ts';
import { resources } from '../resources.ts';
import { deleteAnsweredJobs } from '../run/delete-answered-jobs.ts';
import { isControlledBy, type JobSeen } from '../run/pods.ts';
import type { UpkeepEntry } from './due.ts';
import type { PlaceSeen, UpkeepSeen } from './observe-places.ts';

/** What is to be done at one place. `actions` come before the policy's status, `after` come after it. */
export interface PlacePlan<Entry> {
  readonly entry: Entry | undefined;
  readonly actions?: readonly Action[];
  readonly after?: readonly Action[];
  readonly wakeAt?: number | undefined;
  /** There are more objects to be written first: the status waits. */
  readonly isUnfinished?: boolean;
}

/** Entries and a condition in the policy's status, with what its places want before and after it. */
export interface Said {
  readonly type: string;
  /** Undefined: there is no such work any more. */
  readonly condition: ConditionChange | undefined;
  readonly status: Partial<BackupPolicyStatus>;
}

/**
 * The look at all places: each takes the answer of its Job, or decides what is next; with the status, and without the Jobs that nobody
 * needs any more.
 */
export function planPlaces<Rule, Entry extends UpkeepEntry>(
  seen: UpkeepSeen<Rule, Entry>,
  planAnswer: (place: PlaceSeen<Rule, Entry>, job: JobSeen) => PlacePlan<Entry>,
  planNext: (place: PlaceSeen<Rule, Entry>) => PlacePlan<Entry>,
  say: (entries: Entry[] | undefined) => Said,
): Plan {
  const plans = seen.places.map((place) => {
    const { job } = place.run;
    const isOwn = job !== undefined && isControlledBy(job, seen.policy.metadata.uid);
    return isOwn ? planAnswer(place, job) : planNext(place);
  });
  return combinePlans(seen, plans, say);
}

function combinePlans<Entry extends UpkeepEntry>(
  seen: UpkeepSeen<unknown, Entry>,
  plans: readonly PlacePlan<Entry>[],
  say: (entries: Entry[] | undefined) => Said,
): Plan {
  const { policy, nowMs, mode } = seen;
  const unfinished = plans.find(({ isUnfinished }) => isUnfinished === true);
  if (unfinished !== undefined) return { actions: unfinished.actions ?? [], wakeAt: nowMs };

  const answered = new Set(plans.map(({ entry }) => entry?.countedJob));
  const current = new Set(seen.places.map(({ run }) => run.job?.metadata.uid));
  const old = seen.jobs
    .filter(({ metadata }) => !current.has(metadata.uid))
    .map((job) => {
      const last = answered.has(job.metadata.uid) ? job.metadata.uid : undefined;
      return deleteAnsweredJobs([job], undefined, last, nowMs, mode.jobTtlMs);
    });
  const entries = plans.flatMap(({ entry }) => entry ?? []);
  const { type, condition, status: members } = say(entries.length === 0 ? undefined : entries);
  const before = policy.status;
  const conditions = (before?.conditions ?? []).filter((each) => condition !== undefined || each.type !== type);
  const status: BackupPolicyStatus = {
    ...before,
    ...members,
    conditions: condition === undefined ? conditions : setCondition(conditions, condition, nowMs),
  };
  return {
    actions: [
      ...plans.flatMap(({ actions = [] }) => actions),
      ...(sameValue(status, before)
        ? []
        : [{ type: 'set-status', resource: resources.policy, object: policy, status } as const]),
      ...plans.flatMap(({ after = [] }) => after),
      ...tellNews(policy, condition),
      ...old.flatMap(({ actions }) => actions),
    ],
    wakeAt: earliest(...plans.map(({ wakeAt }) => wakeAt), ...old.map(({ wakeAt }) => wakeAt)),
  };
}

function tellNews(policy: BackupPolicy, condition: ConditionChange | undefined): readonly Action[] {
  if (condition?.status !== 'False') return [];
  const earlier = findCondition(policy.status?.conditions, condition.type);
  if (earlier?.status === 'False' && earlier.reason === condition.reason) return [];
  const { reason, message } = condition;
  return [{ type: 'tell', about: policy, level: 'Warning', reason, message }];
}
