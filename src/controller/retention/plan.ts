import { annotations } from '../../api/kinds.ts';
import type { RetentionStatus } from '../../api/retention.ts';
import { isAhead } from '../../domain/clocks.ts';
import { stamp } from '../../domain/stamp.ts';
import type { Action, CreateAction, Plan } from '../action.ts';
import { describeFailure } from '../describe-failure.ts';
import { runsOf } from '../policy/backup-run.ts';
import type { JobSeen } from '../run/pods.ts';
import { lastSuccess } from '../schedule/run.ts';
import { planPlaces, type PlacePlan } from '../upkeep/plan-places.ts';
import { waits } from '../upkeep/waits.ts';
import { decisionKey, isDue, retryAt } from '../upkeep/due.ts';
import { judgePlaceJob } from '../upkeep/judge-place-job.ts';
import { addPruned, describeRemoved, noteRemoved } from './answer.ts';
import { judgePruned } from './condition.ts';
import { decideAt } from './decide.ts';
import { createPruneJob, firstBatch, originOfPrune } from './job.ts';
import { findObstacle } from './obstacle.ts';
import type { RetentionPlace, RetentionSeen } from './observe.ts';
import { tellDecision } from './tell-decision.ts';

/** Objects that one look writes; the next look goes on. */
const writesMax = 100;

/** Decides after each success what stays at each destination, has the rest removed there, and takes the answers. */
export function planRetention(seen: RetentionSeen): Plan {
  const planAnswer = (place: RetentionPlace, job: JobSeen) => takeAnswer(seen, place, job);
  return planPlaces(
    seen,
    planAnswer,
    (place) => planNext(seen, place),
    (prunes) => {
      return { type: 'Pruned', condition: judgePruned(seen.policy, prunes ?? []), status: { prunes } };
    },
  );
}

function planNext(seen: RetentionSeen, place: RetentionPlace): PlacePlan<RetentionStatus> {
  const { policy, nowMs, mode, backups } = seen;
  const { location, before, rule, found } = place;
  const runs = runsOf(policy, backups);
  // One that lies ahead of the clock would be the newest for as long as it does.
  const success = lastSuccess(runs.filter(({ start }) => !isAhead(start, nowMs)))?.run;
  // Before the first one there is nothing that could be given up for it.
  if (success === undefined) return { entry: before };
  const key = decisionKey(policy, success.uid, annotations.pruneRequestedAt);
  // What a dry run found stays as it is.
  const left = before?.removes === undefined ? (before?.removable ?? 0) : 0;
  if (!isDue(before, left, key, nowMs)) return { entry: before, wakeAt: retryAt(before, left) };

  const obstacle = findObstacle(seen, place);
  if (obstacle !== undefined || found === undefined) {
    return { entry: { ...before, location, ...obstacle }, wakeAt: nowMs + waits.obstacle };
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
  if (seen.otherPlaceJobs >= mode.inspections) return { entry: before, wakeAt: nowMs + waits.busy };

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
      wakeAt: nowMs + waits.pod,
    };
  }
  // The status first: what is left to be removed is due until it has gone, whether the Job could be made or not.
  return { entry, after: [create], wakeAt: nowMs + waits.busy };
}

function takeAnswer(seen: RetentionSeen, place: RetentionPlace, job: JobSeen): PlacePlan<RetentionStatus> {
  const { policy, nowMs, mode } = seen;
  const { location, found } = place;
  const before: RetentionStatus = { ...place.before, location };
  const isReadable = found !== undefined && found.fault === undefined;
  const origin = isReadable ? originOfPrune(policy, found.object, mode) : undefined;
  const judged = judgePlaceJob(seen, place, 'prune', before, job, origin);
  if ('plan' in judged) return judged.plan;
  const { verdict } = judged;
  const { results } = place.run;
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
