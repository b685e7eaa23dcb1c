import type { BackupStatus, DestinationStatus } from '../../api/backup.ts';
import type { Backup } from '../../api/kinds.ts';
import { sameValue } from '../../domain/same-value.ts';
import { readStamp, stamp } from '../../domain/stamp.ts';
import { earliest, type Action, type Plan } from '../action.ts';
import { findCondition, setCondition, type ConditionChange } from '../conditions.ts';
import { fitStatus } from '../fit-status.ts';
import { resources } from '../resources.ts';
import { deleteJob } from '../run/delete-job.ts';
import { isFinished } from '../run/pods.ts';
import { planPlace, type PlaceEnd } from './plan-place.ts';
import type { DeletionSeen } from './observe.ts';

const lookEveryMs = 10_000;

/**
 * A Backup with deletionPolicy Delete goes when its data has gone from every place, or cannot (an event says why). A place that does not
 * answer is asked again, and a condition says so; deletionPolicy Retain lets the object go without it.
 */
export function planDeletion(seen: DeletionSeen): Plan {
  const { backup, job, places, nowMs, mode } = seen;
  const release: Action = { type: 'release', resource: resources.backup, object: backup };
  if (backup.spec.deletionPolicy !== 'Delete') return { actions: [release] };
  if (job !== undefined && !isFinished(job)) {
    const stop = job.metadata.deletionTimestamp === undefined ? [deleteJob(job, 'Foreground')] : [];
    return { actions: stop, wakeAt: nowMs + lookEveryMs };
  }
  // Who did not mean it sets deletionPolicy Retain by then; and who uninstalls the operator has ended it, and lost nothing.
  const from = (readStamp(backup.metadata.deletionTimestamp) ?? nowMs) + mode.deletionGraceMs;
  if (places.length > 0 && nowMs < from) {
    const message = `its data is deleted from ${stamp(from)} on; deletionPolicy Retain keeps it`;
    const conditions = setCondition(backup.status?.conditions, deletedCondition(backup, 'Removing', message), nowMs);
    return { actions: setStatus(backup, { ...backup.status, conditions }), wakeAt: from };
  }
  const ends = places.map((place) => planPlace(seen, place));
  const before = ends.flatMap(({ actions = [] }) => actions);
  const waits = ends.filter(({ state }) => state === 'waits');
  const status = describe(backup, ends, nowMs);
  const write = setStatus(backup, status);
  const condition = findCondition(status.conditions, 'Deleted');
  const isNews =
    condition !== undefined && findCondition(backup.status?.conditions, 'Deleted')?.reason !== condition.reason;
  if (waits.length > 0) {
    const tell: readonly Action[] = isNews
      ? [{ type: 'tell', about: backup, level: 'Warning', reason: condition.reason, message: condition.message }]
      : [];
    return { actions: [...before, ...write, ...tell], wakeAt: earliest(...waits.map(({ wakeAt }) => wakeAt)) };
  }
  // The version of the object that is released must be the one that says so.
  if (write.length > 0 && ends.some(({ state }) => state === 'done'))
    return { actions: [...before, ...write], wakeAt: nowMs };
  return { actions: [...before, tellEnd(backup, ends, seen.isLost), release] };
}

function tellEnd(backup: Backup, ends: readonly PlaceEnd[], isLost: boolean): Action {
  const left = ends.flatMap(({ state, copy, message = '' }) =>
    state === 'left' ? `${copy.location}: ${message}` : [],
  );
  const lost = isLost ? ['where its run was storing, which nobody knows: its policy is gone'] : [];
  const stays = [...left, ...lost];
  if (stays.length === 0) {
    const message = 'its data is deleted everywhere';
    return { type: 'tell', about: backup, level: 'Normal', reason: 'BackupDeleted', message };
  }
  const message = `its data stays at ${stays.join('; ')}`;
  return { type: 'tell', about: backup, level: 'Warning', reason: 'DataLeft', message };
}

/** Places from which it has gone say so, and a condition says what is waited for. */
function describe(backup: Backup, ends: readonly PlaceEnd[], nowMs: number): BackupStatus {
  const { status } = backup;
  const gone = ends
    .filter(({ state }) => state === 'done')
    .map(({ copy }) => ({ ...copy, outcome: 'Removed', removedAt: stamp(nowMs) }) as const);
  const isGone = new Set(gone.map(({ location }) => location));
  const others = (status?.destinations ?? []).filter(({ location }) => !isGone.has(location));
  const destinations = others.length + gone.length === 0 ? undefined : inOrder([...others, ...gone], status);
  const waiting = ends.find(({ state, reason }) => state === 'waits' && reason !== undefined);
  const message =
    waiting === undefined ? 'its data is being deleted' : `${waiting.copy.location}: ${waiting.message ?? ''}`;
  const change = deletedCondition(backup, waiting?.reason ?? 'Removing', message);
  return fitStatus({
    ...status,
    ...(destinations === undefined ? {} : { destinations }),
    conditions: setCondition(status?.conditions, change, nowMs),
  });
}

/** The index of a place is part of a Job's name. */
function inOrder(destinations: readonly DestinationStatus[], before: Backup['status']): DestinationStatus[] {
  const known = (before?.destinations ?? []).map(({ location }) => location);
  const at = ({ location }: DestinationStatus): number =>
    known.includes(location) ? known.indexOf(location) : Infinity;
  return destinations.toSorted((a, b) => at(a) - at(b) || 0);
}

const deletedCondition = ({ metadata }: Backup, reason: string, message: string): ConditionChange => {
  return { type: 'Deleted', status: 'False', reason, message, observedGeneration: metadata.generation };
};

function setStatus(backup: Backup, status: BackupStatus): readonly Action[] {
  if (sameValue(status, backup.status)) return [];
  return [{ type: 'set-status', resource: resources.backup, object: backup, status }];
}
