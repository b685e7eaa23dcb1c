import type { BackupPolicyStatus } from '../../api/backup-policy.ts';
import { apiVersion, labels, type Backup, type BackupPolicy } from '../../api/kinds.ts';
import type { Condition } from '../../api/parts.ts';
import { pastOnly } from '../../domain/clocks.ts';
import { backupName } from '../../domain/names.ts';
import { readStamp, stamp } from '../../domain/stamp.ts';
import { sameValue } from '../../domain/same-value.ts';
import { earliest, type Action, type Plan } from '../action.ts';
import { createBackupJob } from '../backup/job.ts';
import { findCondition, setCondition, type ConditionChange } from '../conditions.ts';
import { describeFailure } from '../describe-failure.ts';
import { checkDestinations, type Destinations } from '../destinations.ts';
import { awaitsInspection } from '../location/first-inspection.ts';
import { programsCondition, programsCurrent } from '../programs-condition.ts';
import { managedBy, resources } from '../resources.ts';
import { runsOf, type BackupRun } from './backup-run.ts';
import { expectMissed } from '../schedule/expect-missed.ts';
import { judgeHealth } from '../schedule/health.ts';
import { deleteOldBackups } from './history.ts';
import type { PolicySeen } from './observe.ts';
import { phaseOf } from '../schedule/phase.ts';
import { planUnreadable } from '../schedule/plan-unreadable.ts';
import { readSchedule } from '../schedule/read-schedule.ts';
import { endedRuns, lastSuccess, lastSuccessTime } from '../schedule/run.ts';
import { countRuns } from '../schedule/runs.ts';
import { slotStatus } from '../schedule/slot-status.ts';
import { decideSlots, type SlotsDecision } from '../schedule/slots.ts';
import { remarkSlots, tellChanges, tellSlots } from '../schedule/tell-slots.ts';

/** Somebody who suspends a policy for work on a server takes it back by then, or has forgotten it. */
const suspendedMostMs = 7 * 86_400_000;

/** Why no Job could be made, if a run began now. */
function findUnbuildable(
  { nowMs, mode }: PolicySeen,
  policy: BackupPolicy,
  { usable }: Destinations,
): ReturnType<typeof describeFailure> | undefined {
  const { metadata } = policy;
  const name = backupName(metadata.name, nowMs);
  const run: Backup = {
    apiVersion,
    kind: 'Backup',
    metadata: { ...metadata, name },
    spec: { policy: metadata.name, deletionPolicy: 'Retain' },
  };
  try {
    createBackupJob(run, policy, usable, mode, nowMs);
    return undefined;
  } catch (error) {
    return describeFailure(error);
  }
}

/** Makes runs for slots, and says how the policy fares. */
export function planPolicy(seen: PolicySeen): Plan {
  const { nowMs, mode, backups } = seen;
  const { object: policy, fault } = seen.policy;
  if (policy.metadata.deletionTimestamp !== undefined) return { actions: [] };
  if (fault !== undefined) return planUnreadable(resources.policy, policy, fault, nowMs);

  const { schedule, problem } = readSchedule(policy);
  const destinations = checkDestinations(policy.spec, seen.locations, mode.claimRequired);
  const blocking = problem ?? destinations.blocking ?? findUnbuildable(seen, policy, destinations);
  const runs = runsOf(policy, backups);
  const slots = decideSlots({
    nowMs,
    policy,
    schedule,
    runs,
    concurrencyPolicy: policy.spec.concurrencyPolicy,
    // Backups by hand are between others, and hold no schedule up.
    counts: ({ isOwn, isNamedBySlot, slot }) => isOwn && isNamedBySlot && pastOnly(slot, nowMs) !== undefined,
    nameOf: (slot) => backupName(policy.metadata.name, slot),
    isTaken: (name) => seen.backupNamed(name) !== undefined,
    blocked: blocking !== undefined,
    gateUntil: findGate(seen),
    policiesOutliveObjects: mode.policiesOutliveObjects,
  });
  const health = judgeHealth({
    nowMs,
    policy,
    deadlineSeconds: policy.spec.runner.deadlineSeconds,
    schedule,
    runs,
    stuckAt: ({ object }) => seen.stuckAt(object),
    scheduledSince: slots.scheduledSince,
    blocked: blocking ?? nameTaken(slots),
    suspendedMostMs,
    flawOf: findFlaw,
  });
  const ready = judgeReady(policy, blocking ?? nameTaken(slots), destinations, slots);
  const status = buildStatus(seen, policy, runs, slots, ready, health.condition);

  const actions: Action[] = [...expectMissed(resources.backup, policy, slots)];
  if (slots.start !== undefined) actions.push(createBackup(policy, slots.start));
  if (!sameValue(status, policy.status)) {
    actions.push({ type: 'set-status', resource: resources.policy, object: policy, status });
  }
  const changes = [ready, health.condition];
  actions.push(...tellSlots(policy, slots, 'RunCreated'), ...tellChanges(policy, policy.status?.conditions, changes));
  // Last: what they say is in the status by then.
  const old = deleteOldBackups(runs, policy.spec, nowMs, seen.isNeeded);
  return { actions: [...actions, ...old.actions], wakeAt: earliest(slots.wakeAt, health.wakeAt, old.wakeAt) };
}

/** Until when the first inspections of the destinations hold the schedule back. */
function findGate({ mode, policy, locations, nowMs }: PolicySeen): number | undefined {
  const { firstInspectionGateMs } = mode;
  if (firstInspectionGateMs === undefined) return undefined;
  const waits = policy.object.spec.destinations.flatMap(({ location }) => {
    const found = locations.get(location)?.object;
    if (found === undefined) return [];
    if (!awaitsInspection(found)) return [];
    return [(readStamp(found.metadata.creationTimestamp) ?? nowMs) + firstInspectionGateMs];
  });
  const until = waits.length === 0 ? undefined : Math.max(...waits);
  return until !== undefined && until > nowMs ? until : undefined;
}

interface Obstacle {
  readonly reason: string;
  readonly message: string;
}

function nameTaken({ taken }: SlotsDecision): Obstacle | undefined {
  if (taken === undefined) return undefined;
  return { reason: 'NameTaken', message: `the Backup ${taken} exists and is not this policy's run of that slot` };
}

function judgeReady(
  policy: BackupPolicy,
  blocking: Obstacle | undefined,
  destinations: Destinations,
  slots: SlotsDecision,
): ConditionChange {
  const base = { type: 'Ready', observedGeneration: policy.metadata.generation } as const;
  if (blocking !== undefined) return { ...base, status: 'False', reason: blocking.reason, message: blocking.message };
  const remarks = [...destinations.problems.map(({ message }) => `${message} (not required)`), ...remarkSlots(slots)];
  const besides = remarks.map((remark) => `; ${remark}`).join('');
  if (policy.spec.suspend) {
    return {
      ...base,
      status: 'True',
      reason: 'Suspended',
      message: `nothing is scheduled, manual backups still run${besides}`,
    };
  }
  return { ...base, status: 'True', reason: 'PolicyReady', message: `the policy can run${besides}` };
}

/** A mirror that did not get its copy, or a place that lost it. */
function findFlaw({ object }: BackupRun): string | undefined {
  const failed =
    object.status?.destinations?.filter(({ outcome }) => outcome === 'Failed' || outcome === 'Missing') ?? [];
  return failed.length === 0 ? undefined : `not at ${failed.map(({ location }) => location).join(', ')}`;
}

function buildStatus(
  { nowMs }: PolicySeen,
  policy: BackupPolicy,
  runs: readonly BackupRun[],
  slots: SlotsDecision,
  ready: ConditionChange,
  healthy: ConditionChange,
): BackupPolicyStatus {
  const before = policy.status;
  const last = lastSuccess(runs);
  const running = runs.filter(({ isOwn, result }) => isOwn && result === undefined).map(({ name }) => name);
  const started = slots.start === undefined ? [] : [slots.start.name];
  return {
    conditions: [ready, healthy, ...judgePrograms(policy, runs)].reduce<Condition[]>(
      (conditions, change) => setCondition(conditions, change, nowMs),
      before?.conditions ?? [],
    ),
    observedGeneration: policy.metadata.generation,
    phase: phaseOf(policy, ready, healthy),
    ...slotStatus(policy, slots),
    lastSuccessTime: lastSuccessTime(before?.lastSuccessTime, last, nowMs),
    active: [...running, ...started].toSorted().slice(0, 50),
    ...countRuns(policy, runs, { Succeeded: 0, PartlyFailed: 0, Failed: 0 }, nowMs).counts,
    lastSizeBytes: last?.run.object.status?.plainBytes ?? before?.lastSizeBytes,
    // Of the looks that do it (retention/plan.ts, repair/plan.ts).
    prunes: before?.prunes,
    repairs: before?.repairs,
  };
}

/** Whether the newest run that stored something had programs as new as its server; said only once it was not so. */
function judgePrograms(policy: BackupPolicy, runs: readonly BackupRun[]): readonly ConditionChange[] {
  const { generation } = policy.metadata;
  const newest = endedRuns(runs).find(
    ({ object }) => object.status?.storedBytes !== undefined && object.status.storedBytes > 0,
  );
  const outdated = newest?.object.status?.notes?.find(({ reason }) => reason === 'ProgramsOutdated');
  if (outdated !== undefined) return [programsCondition(generation, outdated)];
  const wasOutdated = findCondition(policy.status?.conditions, programsCurrent) !== undefined;
  return wasOutdated && newest !== undefined ? [programsCondition(generation)] : [];
}

function createBackup(policy: BackupPolicy, start: { readonly slot: number; readonly name: string }): Action {
  const slot = stamp(start.slot);
  return {
    type: 'create',
    resource: resources.backup,
    object: {
      apiVersion,
      kind: 'Backup',
      metadata: {
        name: start.name,
        namespace: policy.metadata.namespace,
        labels: { [managedBy.key]: managedBy.value, [labels.policy]: policy.metadata.name },
      },
      // What is the default is left out: definitions may be older than we are, and refuse what they do not know.
      spec: {
        policy: policy.metadata.name,
        slot,
        ...(policy.spec.deletionPolicy === 'Delete' ? { deletionPolicy: 'Delete' } : {}),
      },
    },
    ours: { specMembers: { policy: policy.metadata.name, slot } },
  };
}
