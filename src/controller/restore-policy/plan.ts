import { annotations, apiVersion, labels, type RestorePolicy } from '../../api/kinds.ts';
import type { RestorePolicyStatus } from '../../api/restore-policy.ts';
import type { RestoredSource } from '../../api/restore-spec.ts';
import { restoreRequestName } from '../../domain/names.ts';
import { sameValue } from '../../domain/same-value.ts';
import { stamp } from '../../domain/stamp.ts';
import { earliest, type Action, type Plan } from '../action.ts';
import { setCondition, type ConditionChange } from '../conditions.ts';
import { findLocationProblem } from '../destinations.ts';
import { judgeHealth } from '../schedule/health.ts';
import { phaseOf } from '../schedule/phase.ts';
import { planUnreadable } from '../schedule/plan-unreadable.ts';
import { readSchedule } from '../schedule/read-schedule.ts';
import { lastSuccess, lastSuccessTime } from '../schedule/run.ts';
import { countRuns } from '../schedule/runs.ts';
import { slotStatus } from '../schedule/slot-status.ts';
import { expectMissed } from '../schedule/expect-missed.ts';
import { decideSlots, type SlotsDecision } from '../schedule/slots.ts';
import { remarkSlots, tellChanges, tellSlots } from '../schedule/tell-slots.ts';
import { managedBy, resources } from '../resources.ts';
import { deleteOldRequests } from './history.ts';
import { findUnlessRestored, foldRestored } from './last-restored.ts';
import type { RestorePolicySeen } from './observe.ts';
import { restoreRun, type RestoreRun } from './restore-run.ts';
import { decideRetry, type RetryDecision } from './retry.ts';

interface Problem {
  readonly reason: string;
  readonly message: string;
}

/** Makes requests for slots, one at a time, and says how the policy fares. */
export function planRestorePolicy(seen: RestorePolicySeen): Plan {
  const { nowMs } = seen;
  const { object: policy, fault } = seen.policy;
  if (policy.metadata.deletionTimestamp !== undefined) return { actions: [] };
  if (fault !== undefined) return planUnreadable(resources.restorePolicy, policy, fault, nowMs);

  const { schedule, problem: unreadable } = readSchedule(policy);
  const problem = unreadable ?? findSourceProblem(seen, policy);
  const runs = seen.requests.map((request) => restoreRun(policy, request));
  const slots = decideSlots({
    nowMs,
    policy,
    schedule,
    runs,
    concurrencyPolicy: 'Forbid',
    // Whoever goes on keeps others from starting, also what an earlier policy of this name has left.
    counts: () => true,
    nameOf: (slot) => restoreRequestName(policy.metadata.name, slot),
    isTaken: seen.isTaken,
    blocked: problem !== undefined,
    gateUntil: undefined,
    policiesOutliveObjects: false,
  });
  const mayRetry = problem === undefined && slots.start === undefined;
  const { handledSlot } = slots;
  const retry = mayRetry ? decideRetry({ nowMs, policy, runs, handledSlot, isTaken: seen.isTaken }) : {};
  const own = runs.filter(({ isOwn }) => isOwn);
  const health = judgeHealth({
    nowMs,
    policy,
    deadlineSeconds: policy.spec.template.spec.runner.deadlineSeconds,
    schedule,
    runs: own,
    stuckAt: ({ object }) => seen.stuckAt(object),
    scheduledSince: slots.scheduledSince,
    blocked: problem,
  });
  const ready = judgeReady(policy, problem, slots.taken ?? retry.taken, remarkSlots(slots));
  const status = buildStatus(seen, policy, runs, slots, retry, [ready, health.condition]);

  const start = slots.start ?? retry.start;
  const actions: Action[] = [...expectMissed(resources.restoreRequest, policy, slots)];
  if (start !== undefined) actions.push(createRequest(policy, start.name, findUnlessRestored(policy, status)));
  if (!sameValue(status, policy.status)) {
    actions.push({ type: 'set-status', resource: resources.restorePolicy, object: policy, status });
  }
  actions.push(...tellSlots(policy, slots, 'RestoreCreated'));
  if (retry.start !== undefined) {
    const message = `created ${retry.start.name}: try ${retry.start.retry} after the first for the slot of ${stamp(retry.start.slot)}`;
    actions.push({ type: 'tell', about: policy, level: 'Normal', reason: 'RestoreRetried', message });
  }
  actions.push(...tellChanges(policy, policy.status?.conditions, [ready, health.condition]));
  // Last: what they say is in the status by then.
  actions.push(...deleteOldRequests(runs, policy.spec, retry.failed));
  return { actions, wakeAt: earliest(slots.wakeAt, health.wakeAt, retry.wakeAt) };
}

/** Why no request could begin to work. */
function findSourceProblem(seen: RestorePolicySeen, { spec }: RestorePolicy): Problem | undefined {
  const { backup, policy, file } = spec.template.spec.source;
  const location = backup?.location ?? policy?.location ?? file?.location;
  const problem =
    location === undefined
      ? undefined
      : findLocationProblem(location, seen.locations.get(location), seen.mode.claimRequired);
  if (problem !== undefined || policy === undefined || seen.hasBackups(policy.name)) return problem;
  return { reason: 'PolicyMissing', message: `there is no BackupPolicy ${policy.name}, and no backup of it` };
}

function judgeReady(
  policy: RestorePolicy,
  problem: Problem | undefined,
  taken: string | undefined,
  remarks: readonly string[],
): ConditionChange {
  const base = { type: 'Ready', observedGeneration: policy.metadata.generation } as const;
  if (problem !== undefined) return { ...base, status: 'False', reason: problem.reason, message: problem.message };
  if (taken !== undefined) {
    const message = `the RestoreRequest ${taken} exists and is not this policy's`;
    return { ...base, status: 'False', reason: 'NameTaken', message };
  }
  const besides = remarks.map((remark) => `; ${remark}`).join('');
  return policy.spec.suspend
    ? { ...base, status: 'True', reason: 'Suspended', message: `nothing is scheduled${besides}` }
    : { ...base, status: 'True', reason: 'PolicyReady', message: `the policy can run${besides}` };
}

function buildStatus(
  { nowMs }: RestorePolicySeen,
  policy: RestorePolicy,
  runs: readonly RestoreRun[],
  slots: SlotsDecision,
  retry: RetryDecision,
  conditions: readonly [ConditionChange, ConditionChange],
): RestorePolicyStatus {
  const before = policy.status;
  const [ready, healthy] = conditions;
  const last = lastSuccess(runs.filter(({ isOwn }) => isOwn));
  const running = runs.filter(({ result }) => result === undefined).map(({ name }) => name);
  const started = [slots.start, retry.start].flatMap((start) => (start === undefined ? [] : [start.name]));
  const { counts, fresh } = countRuns(policy, runs, { Succeeded: 0, Unchanged: 0, Failed: 0 }, nowMs);
  return {
    conditions: setCondition(setCondition(before?.conditions, ready, nowMs), healthy, nowMs),
    observedGeneration: policy.metadata.generation,
    phase: phaseOf(policy, ready, healthy),
    ...slotStatus(policy, slots),
    lastSuccessTime: lastSuccessTime(before?.lastSuccessTime, last, nowMs),
    active: [...running, ...started].toSorted().slice(0, 50),
    ...counts,
    ...foldRestored(before, fresh),
  };
}

function createRequest(policy: RestorePolicy, name: string, unlessRestored: RestoredSource | undefined): Action {
  const { name: policyName, namespace, uid, generation } = policy.metadata;
  return {
    type: 'create',
    resource: resources.restoreRequest,
    object: {
      apiVersion,
      kind: 'RestoreRequest',
      metadata: {
        name,
        namespace,
        labels: { [managedBy.key]: managedBy.value, [labels.restorePolicy]: policyName },
        annotations: { [annotations.generation]: String(generation) },
        ownerReferences: [
          { apiVersion, kind: 'RestorePolicy', name: policyName, uid, controller: true, blockOwnerDeletion: true },
        ],
      },
      spec: { ...policy.spec.template.spec, ...(unlessRestored === undefined ? {} : { unlessRestored }) },
    },
    ours: { controllerUid: uid },
  };
}
