import { annotations, type BackupPolicy } from '../../api/kinds.ts';
import type { RepairStatus } from '../../api/repair.ts';
import { isAhead } from '../../domain/clocks.ts';
import { stamp } from '../../domain/stamp.ts';
import type { Action, CreateAction, Plan } from '../action.ts';
import type { ConditionChange } from '../conditions.ts';
import { describeFailure } from '../describe-failure.ts';
import { runsOf } from '../policy/backup-run.ts';
import type { JobSeen } from '../run/pods.ts';
import { lastSuccess } from '../schedule/run.ts';
import { planPlaces, type PlacePlan } from '../upkeep/plan-places.ts';
import { waits } from '../upkeep/waits.ts';
import { decisionKey, isDue, retryAt } from '../upkeep/due.ts';
import { findPlaceObstacle } from '../upkeep/find-place-obstacle.ts';
import { judgePlaceJob } from '../upkeep/judge-place-job.ts';
import { addCopied, describeCopied, noteCopied } from './answer.ts';
import { findMissing } from './find-missing.ts';
import { createCopyJob } from './job.ts';
import type { RepairPlace, RepairSeen } from './observe.ts';

const writable = { modes: ['ReadWrite', 'AppendOnly'], else: 'LocationReadOnly', waits: 'RepairWaits' } as const;
/** Objects that one look writes; the next look goes on. */
const writesMax = 100;

/** Decides after each success what each destination lacks, has it copied there from another one, and takes the answers. */
export function planRepair(seen: RepairSeen): Plan {
  const planAnswer = (place: RepairPlace, job: JobSeen) => takeAnswer(seen, place, job);
  return planPlaces(
    seen,
    planAnswer,
    (place) => planNext(seen, place),
    (repairs) => {
      return { type: 'Repaired', condition: judgeRepaired(seen.policy, repairs ?? []), status: { repairs } };
    },
  );
}

function planNext(seen: RepairSeen, place: RepairPlace): PlacePlan<RepairStatus> {
  const { policy, nowMs, mode, backups } = seen;
  const { location, before, found } = place;
  const runs = runsOf(policy, backups);
  const success = lastSuccess(runs.filter(({ start }) => !isAhead(start, nowMs)))?.run;
  if (success === undefined) return { entry: before };
  const key = decisionKey(policy, success.uid, annotations.repairRequestedAt);
  const left = before?.missing ?? 0;
  if (!isDue(before, left, key, nowMs)) return { entry: before, wakeAt: retryAt(before, left) };
  const obstacle = findPlaceObstacle(mode, place, writable);
  if (obstacle !== undefined || found === undefined) {
    return { entry: { ...before, location, ...obstacle }, wakeAt: nowMs + waits.obstacle };
  }

  const missing = findMissing(
    seen,
    place,
    runs.map(({ object }) => object),
  );
  const { reason: _reason, message: _message, ...rest } = before ?? {};
  const entry = { ...rest, location, decidedFor: key, decidedTime: stamp(nowMs), missing: missing.length };
  const [first] = missing;
  if (first === undefined) return { entry: { ...entry, lastTime: stamp(nowMs), failuresInRow: 0 } };
  if (seen.otherPlaceJobs >= mode.inspections) return { entry: before, wakeAt: nowMs + waits.busy };
  const batch = missing.filter(({ from }) => from.metadata.name === first.from.metadata.name);
  let create: CreateAction;
  try {
    create = createCopyJob(policy, first.from, found.object, batch, before, mode);
  } catch (error) {
    const { reason, message } = describeFailure(error);
    return { entry: { ...entry, reason, message } };
  }
  if (place.run.refused !== undefined) {
    const message = `the Job is refused: ${place.run.refused}`;
    return {
      entry: { ...before, location, reason: 'PodRefused', message },
      after: [create],
      wakeAt: nowMs + waits.pod,
    };
  }
  // The status first: what is missing is due until it is there, whether the Job could be made or not.
  return { entry, after: [create], wakeAt: nowMs + waits.busy };
}

function takeAnswer(seen: RepairSeen, place: RepairPlace, job: JobSeen): PlacePlan<RepairStatus> {
  const { policy, nowMs } = seen;
  const { location, rule, run } = place;
  const before: RepairStatus = { ...place.before, location };
  const judged = judgePlaceJob(seen, place, 'copy', before, job, undefined);
  if ('plan' in judged) return judged.plan;
  const { verdict } = judged;
  const writes = noteCopied(location, rule.required, job, verdict, run.results, seen.backupNamed);
  if (writes.length > writesMax) return { entry: before, actions: writes.slice(0, writesMax), isUnfinished: true };
  const message = describeCopied(location, verdict);
  const tell: Action = { type: 'tell', about: policy, level: 'Normal', reason: 'BackupsCopied', message };
  return {
    entry: addCopied(before, job, verdict, nowMs),
    actions: writes,
    after: verdict.copied > 0 ? [tell] : [],
    wakeAt: nowMs,
  };
}

/** Whether each destination has what another one can give it. Undefined: repair is not wanted. */
function judgeRepaired(policy: BackupPolicy, entries: readonly RepairStatus[]): ConditionChange | undefined {
  if (policy.spec.repair === undefined) return undefined;
  const base = { type: 'Repaired', observedGeneration: policy.metadata.generation } as const;
  const bad = entries.find(({ reason }) => reason !== undefined);
  if (bad?.reason !== undefined) {
    const status = bad.reason === 'RepairWaits' ? 'Unknown' : 'False';
    return { ...base, status, reason: bad.reason, message: `${bad.location}: ${bad.message ?? ''}` };
  }
  if (entries.length === 0 || entries.some(({ decidedTime }) => decidedTime === undefined)) {
    return { ...base, status: 'Unknown', reason: 'RepairWaits', message: 'decided after the first success' };
  }
  const missing = entries.reduce((sum, entry) => sum + (entry.missing ?? 0), 0);
  if (missing > 0) return { ...base, status: 'Unknown', reason: 'Repairing', message: `${missing} copies are missing` };
  return {
    ...base,
    status: 'True',
    reason: 'RepairDone',
    message: 'each destination has what another one can give it',
  };
}
