import type { BackupPolicyStatus } from '../../api/backup-policy.ts';
import { apiVersion, labels, type BackupPolicy } from '../../api/kinds.ts';
import { toFailure } from '../../api/failure.ts';
import { parseSchedule, type Schedule } from '../../domain/schedule.ts';
import { readStamp, stamp } from '../../domain/stamp.ts';
import { sameValue } from '../../domain/same-value.ts';
import { earliest, type Action, type Plan, type TellAction } from '../action.ts';
import { findCondition, setCondition, type ConditionChange } from '../conditions.ts';
import { checkDestinations, type Destinations } from '../destinations.ts';
import { awaitsInspection } from '../location/first-inspection.ts';
import { resultOf } from '../outcome.ts';
import { managedBy, resources } from '../resources.ts';
import { judgeHealth, lastSuccess } from './health.ts';
import type { PolicySeen } from './observe.ts';
import { countRuns } from './runs.ts';
import { decideSlots, type SlotsDecision } from './slots.ts';

/** Makes runs for slots, and says how the policy fares. */
export function planPolicy(seen: PolicySeen): Plan {
  const { nowMs, mode, backups } = seen;
  const { object: policy, fault } = seen.policy;
  if (policy.metadata.deletionTimestamp !== undefined) return { actions: [] };
  if (fault !== undefined) return planUnreadable(policy, fault, nowMs);

  const { schedule, problem } = readSchedule(policy);
  const destinations = checkDestinations(policy.spec.destinations, seen.locations, mode.claimRequired);
  const blocked = problem !== undefined || destinations.blocking !== undefined;
  const slots = decideSlots({
    nowMs,
    policy,
    schedule,
    backups,
    backupNamed: seen.backupNamed,
    blocked,
    gateUntil: findGate(seen),
    policiesOutliveObjects: mode.policiesOutliveObjects,
  });
  const health = judgeHealth({
    nowMs,
    policy,
    schedule,
    backups,
    stuckAt: seen.stuckAt,
    scheduledSince: slots.scheduledSince,
  });
  const ready = judgeReady(policy, problem, destinations, slots);
  const status = buildStatus(seen, policy, slots, ready, health.condition);

  const actions: Action[] = [];
  if (slots.start !== undefined) actions.push(createBackup(policy, slots.start));
  if (!sameValue(status, policy.status)) {
    actions.push({ type: 'set-status', resource: resources.policy, object: policy, status });
  }
  actions.push(...tellAll(policy, slots, ready, health.condition));
  return { actions, wakeAt: earliest(slots.wakeAt, health.wakeAt) };
}

function readSchedule(policy: BackupPolicy): {
  readonly schedule: Schedule | undefined;
  readonly problem: { readonly reason: string; readonly message: string } | undefined;
} {
  if (policy.spec.schedule === undefined) return { schedule: undefined, problem: undefined };
  try {
    return { schedule: parseSchedule(policy.spec.schedule, policy.spec.timeZone), problem: undefined };
  } catch (error) {
    const { reason, message } = toFailure(error);
    return { schedule: undefined, problem: { reason, message } };
  }
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

function judgeReady(
  policy: BackupPolicy,
  problem: { readonly reason: string; readonly message: string } | undefined,
  destinations: Destinations,
  slots: SlotsDecision,
): ConditionChange {
  const base = { type: 'Ready', observedGeneration: policy.metadata.generation } as const;
  const blocking = problem ?? destinations.blocking;
  if (blocking !== undefined) return { ...base, status: 'False', reason: blocking.reason, message: blocking.message };
  if (slots.taken !== undefined) {
    const message = `the Backup ${slots.taken} exists and is not this policy's run of that slot`;
    return { ...base, status: 'False', reason: 'NameTaken', message };
  }
  const missing = destinations.problems.map(({ message }) => `; ${message} (not required)`).join('');
  if (policy.spec.suspend) {
    return {
      ...base,
      status: 'True',
      reason: 'Suspended',
      message: `nothing is scheduled, manual backups still run${missing}`,
    };
  }
  return { ...base, status: 'True', reason: 'PolicyReady', message: `the policy can run${missing}` };
}

function buildStatus(
  { nowMs, backups }: PolicySeen,
  policy: BackupPolicy,
  slots: SlotsDecision,
  ready: ConditionChange,
  healthy: ConditionChange,
): BackupPolicyStatus {
  const before = policy.status;
  const last = lastSuccess(backups);
  const lastSuccessTime = Math.max(readStamp(before?.lastSuccessTime) ?? 0, last?.end ?? 0);
  const running = backups
    .filter((backup) => backup.spec.import === undefined && resultOf(backup) === undefined)
    .map(({ metadata }) => metadata.name);
  const started = slots.start === undefined ? [] : [slots.start.name];
  const stampOf = (time: number | undefined) => (time === undefined ? undefined : stamp(time));
  return {
    conditions: setCondition(setCondition(before?.conditions, ready, nowMs), healthy, nowMs),
    observedGeneration: policy.metadata.generation,
    phase: phaseOf(policy, ready, healthy),
    lastScheduleTime: stampOf(slots.lastSchedule),
    nextScheduleTime: policy.spec.suspend ? undefined : stampOf(slots.next),
    lastSuccessTime: lastSuccessTime === 0 ? undefined : stamp(lastSuccessTime),
    active: [...running, ...started].toSorted().slice(0, 50),
    missedRuns: (before?.missedRuns ?? 0) + slots.missed,
    handledSlot: stampOf(slots.handledSlot),
    scheduledBy: slots.scheduledBy,
    scheduledSince: stamp(slots.scheduledSince),
    ...countRuns(policy, backups),
    lastSizeBytes: last?.backup.status?.plainBytes ?? before?.lastSizeBytes,
  };
}

function phaseOf(policy: BackupPolicy, ready: ConditionChange, healthy: ConditionChange): BackupPolicyStatus['phase'] {
  if (ready.status === 'False') return 'NotReady';
  if (policy.spec.suspend) return 'Suspended';
  return healthy.status === 'False' ? 'Unhealthy' : 'Ready';
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
      spec: { policy: policy.metadata.name, slot },
    },
    ours: { specMembers: { policy: policy.metadata.name, slot } },
  };
}

/** Events: what happened to slots, and conditions that changed for the worse. */
function tellAll(
  policy: BackupPolicy,
  slots: SlotsDecision,
  ready: ConditionChange,
  healthy: ConditionChange,
): readonly TellAction[] {
  const tell = (level: TellAction['level'], reason: string, message: string): TellAction => {
    return { type: 'tell', about: policy, level, reason, message };
  };
  const told: TellAction[] = [];
  const others = slots.missed - (slots.tooLate === undefined ? 0 : 1);
  if (others > 0) told.push(tell('Warning', 'SlotsMissed', `${others} slots passed without a run`));
  if (slots.tooLate !== undefined) {
    told.push(
      tell('Warning', 'SlotTooLate', `the slot of ${stamp(slots.tooLate)} could not start in time and is missed`),
    );
  }
  if (slots.skipped !== undefined) {
    const { slot, running } = slots.skipped;
    told.push(tell('Warning', 'RunSkipped', `the slot of ${stamp(slot)} is skipped: ${running} still goes on`));
  }
  if (slots.start !== undefined) {
    const { slot, name, replaces } = slots.start;
    if (replaces) told.push(tell('Normal', 'RunReplaced', `the run before ${name} is ended for it`));
    told.push(tell('Normal', 'RunCreated', `created ${name} for the slot of ${stamp(slot)}`));
  }
  for (const condition of [ready, healthy]) {
    const before = findCondition(policy.status?.conditions, condition.type);
    const same = before?.status === condition.status && before.reason === condition.reason;
    if (condition.status === 'False' && !same) told.push(tell('Warning', condition.reason, condition.message));
  }
  return told;
}

/** A spec that this version cannot read: nothing is decided about slots, they stay due. */
function planUnreadable(policy: BackupPolicy, fault: string, nowMs: number): Plan {
  const ready: ConditionChange = {
    type: 'Ready',
    status: 'False',
    reason: 'SpecInvalid',
    message: fault,
    observedGeneration: policy.metadata.generation,
  };
  const status: BackupPolicyStatus = {
    ...policy.status,
    conditions: setCondition(policy.status?.conditions, ready, nowMs),
    observedGeneration: policy.metadata.generation,
    phase: 'NotReady',
  };
  if (sameValue(status, policy.status)) return { actions: [] };
  return {
    actions: [
      { type: 'set-status', resource: resources.policy, object: policy, status },
      { type: 'tell', about: policy, level: 'Warning', reason: ready.reason, message: ready.message },
    ],
  };
}
