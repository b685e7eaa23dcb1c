import type { BackupPolicyStatus } from '../../api/backup-policy.ts';
import type { RetentionStatus } from '../../api/retention.ts';
import { isAhead } from '../../domain/clocks.ts';
import { sameValue } from '../../domain/same-value.ts';
import { stamp } from '../../domain/stamp.ts';
import { earliest, type Action, type CreateAction, type Plan } from '../action.ts';
import { findCondition, setCondition } from '../conditions.ts';
import { describeFailure } from '../describe-failure.ts';
import { runsOf } from '../policy/backup-run.ts';
import { resources } from '../resources.ts';
import { mayComeYet } from '../run/await-results.ts';
import { deleteAnsweredJobs } from '../run/delete-answered-jobs.ts';
import { deleteJob } from '../run/delete-job.ts';
import { isControlledBy, type JobSeen } from '../run/pods.ts';
import { giveUpJob, shouldRebuild } from '../run/rebuild.ts';
import { judgeRun } from '../run/run-state.ts';
import { lastSuccess } from '../schedule/run.ts';
import { addPruned, addSilentPrune, describeRemoved, noteRemoved } from './answer.ts';
import { judgePruned } from './condition.ts';
import { decideAt } from './decide.ts';
import { decisionKey, isDue, retryAt } from './due.ts';
import { createPruneJob, firstBatch, originOfPrune } from './job.ts';
import { findObstacle } from './obstacle.ts';
import type { RetentionPlace, RetentionSeen } from './observe.ts';
import { tellDecision } from './tell-decision.ts';

/** Objects that one look writes; the next look goes on. */
const writesMax = 100;
const busyMs = 10_000;
const waitingMs = 60_000;
/** A change of the location brings a look by itself. */
const obstacleMs = 10 * 60_000;

/** What is to be done at one place. `actions` come before the policy's status, `after` come after it. */
interface PlacePlan {
  readonly entry: RetentionStatus | undefined;
  readonly actions?: readonly Action[];
  readonly after?: readonly Action[];
  readonly wakeAt?: number | undefined;
  /** There are more objects to be written first: the status waits. */
  readonly isUnfinished?: boolean;
}

/** Decides after each success what stays at each destination, has the rest removed there, and takes the answers. */
export function planRetention(seen: RetentionSeen): Plan {
  const { policy, nowMs, mode } = seen;
  const plans = seen.places.map((place) => planPlace(seen, place));
  const answered = plans.map(({ entry }) => entry?.countedJob);
  const current = new Set(seen.places.map(({ run }) => run.job?.metadata.uid));
  const others = seen.jobs.filter(({ metadata }) => !current.has(metadata.uid));
  const old = others.map((job) => {
    const last = answered.find((uid) => uid === job.metadata.uid);
    return deleteAnsweredJobs([job], undefined, last, nowMs, mode.jobTtlMs);
  });
  const unfinished = plans.find(({ isUnfinished }) => isUnfinished === true);
  if (unfinished !== undefined) return { actions: unfinished.actions ?? [], wakeAt: nowMs };

  const entries = plans.flatMap(({ entry }) => entry ?? []);
  const condition = judgePruned(policy, entries);
  const before = policy.status;
  const conditions = (before?.conditions ?? []).filter(({ type }) => condition !== undefined || type !== 'Pruned');
  const status: BackupPolicyStatus = {
    ...before,
    conditions: condition === undefined ? conditions : setCondition(conditions, condition, nowMs),
    prunes: entries.length === 0 ? undefined : entries,
  };
  const earlier = findCondition(before?.conditions, 'Pruned');
  const isNews = condition?.status === 'False' && (earlier?.status !== 'False' || earlier.reason !== condition.reason);
  return {
    actions: [
      ...plans.flatMap(({ actions = [] }) => actions),
      ...(sameValue(status, before)
        ? []
        : [{ type: 'set-status', resource: resources.policy, object: policy, status } as const]),
      ...plans.flatMap(({ after = [] }) => after),
      ...(isNews
        ? [
            {
              type: 'tell',
              about: policy,
              level: 'Warning',
              reason: condition.reason,
              message: condition.message,
            } as const,
          ]
        : []),
      ...old.flatMap(({ actions }) => actions),
    ],
    wakeAt: earliest(...plans.map(({ wakeAt }) => wakeAt), ...old.map(({ wakeAt }) => wakeAt)),
  };
}

function planPlace(seen: RetentionSeen, place: RetentionPlace): PlacePlan {
  const { job } = place.run;
  if (job !== undefined && isControlledBy(job, seen.policy.metadata.uid)) return planAnswer(seen, place, job);
  return planNext(seen, place);
}

function planNext(seen: RetentionSeen, place: RetentionPlace): PlacePlan {
  const { policy, nowMs, mode, backups } = seen;
  const { location, before, rule, found } = place;
  const runs = runsOf(policy, backups);
  // One that lies ahead of the clock would be the newest for as long as it does.
  const success = lastSuccess(runs.filter(({ start }) => !isAhead(start, nowMs)))?.run;
  // Before the first one there is nothing that could be given up for it.
  if (success === undefined) return { entry: before };
  const key = decisionKey(policy, success.uid);
  if (!isDue(before, key, nowMs)) return { entry: before, wakeAt: retryAt(before) };

  const obstacle = findObstacle(seen, place);
  if (obstacle !== undefined || found === undefined) {
    return { entry: { ...before, location, ...obstacle }, wakeAt: nowMs + obstacleMs };
  }
  const own = runs.map(({ object }) => object);
  const decision = decideAt(location, own, rule, policy.spec.timeZone, seen.inUse, nowMs);
  const { reason: _reason, message: _message, keeps: _keeps, removes: _removes, ...rest } = before ?? {};
  const decided = { ...rest, location, decidedFor: key, decidedTime: stamp(nowMs) };
  if (decision === undefined) {
    const message = 'the sets of databases of these backups differ too much to judge all of them: nothing is removed';
    return { entry: { ...decided, removable: 0, reason: 'TooManySets', message } };
  }
  const { kept, removable } = decision;
  const entry: RetentionStatus = { ...decided, kept, removable: removable.length };
  if (rule.dryRun) return { entry: { ...entry, ...tellDecision(decision), lastTime: stamp(nowMs), failuresInRow: 0 } };
  if (removable.length === 0) return { entry: { ...entry, lastTime: stamp(nowMs), failuresInRow: 0, deferred: 0 } };
  if (seen.otherPlaceJobs >= mode.inspections) return { entry: before, wakeAt: nowMs + busyMs };

  let create: CreateAction;
  try {
    create = createPruneJob(policy, found.object, decision, firstBatch(removable), before, mode);
  } catch (error) {
    const { reason, message } = describeFailure(error);
    return { entry: { ...entry, reason, message } };
  }
  if (place.run.refused !== undefined) {
    const message = `the Job is refused: ${place.run.refused}`;
    // Not noted as decided: it is asked for again.
    return {
      entry: { ...before, location, reason: 'PodRefused', message },
      after: [create],
      wakeAt: nowMs + waitingMs,
    };
  }
  // The status first: what is left to be removed is due until it has gone, whether the Job could be made or not.
  return { entry, after: [create], wakeAt: nowMs + busyMs };
}

function planAnswer(seen: RetentionSeen, place: RetentionPlace, job: JobSeen): PlacePlan {
  const { policy, nowMs, mode } = seen;
  const { location, found } = place;
  const { pods, progress, trouble, results } = place.run;
  const before: RetentionStatus = { ...place.before, location };
  const state = judgeRun({ nowMs, kind: 'prune', job, pods, progress, trouble, startBudgetMs: mode.startBudgetMs });
  if (state.phase === 'going') {
    const goes = job.metadata.deletionTimestamp !== undefined;
    const origin =
      found?.fault === undefined && found !== undefined ? originOfPrune(policy, found.object, mode) : undefined;
    if (!goes && shouldRebuild(state.reason, job, origin, undefined)) {
      return { entry: before, after: giveUpJob(policy, job), wakeAt: nowMs + busyMs };
    }
    return { entry: before, wakeAt: earliest(state.recheckAt, nowMs + waitingMs) };
  }
  if (state.phase === 'failed') {
    const stop = state.stop ? [deleteJob(job, 'Background')] : [];
    return { entry: addSilentPrune(before, job, state.reason, state.message), after: stop, wakeAt: nowMs };
  }
  const { verdict } = state;
  if (verdict.kind !== 'prune') return { entry: before, wakeAt: nowMs + waitingMs };
  if (mayComeYet(state.pod, verdict, results, nowMs)) return { entry: before, wakeAt: nowMs + 5000 };
  const writes = noteRemoved(location, job, verdict, results, seen.backupNamed, nowMs);
  if (writes.length > writesMax) return { entry: before, actions: writes.slice(0, writesMax), isUnfinished: true };
  const message = describeRemoved(location, verdict);
  const tell: Action = { type: 'tell', about: policy, level: 'Normal', reason: 'BackupsRemoved', message };
  return {
    entry: addPruned(before, job, verdict, results, nowMs),
    actions: writes,
    after: verdict.removed > 0 ? [tell] : [],
    wakeAt: nowMs,
  };
}
