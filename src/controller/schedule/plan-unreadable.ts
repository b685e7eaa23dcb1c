import type { Condition } from '../../api/parts.ts';
import { sameValue } from '../../domain/same-value.ts';
import type { ResourceType } from '../../kube/client.ts';
import type { ObjectSeen, Plan } from '../action.ts';
import { setCondition, type ConditionChange } from '../conditions.ts';

/** A spec that this version cannot read: nothing is decided about slots, they stay due. */
export function planUnreadable(
  resource: ResourceType,
  policy: ObjectSeen & {
    readonly metadata: { readonly generation: number };
    readonly status?: { readonly conditions?: readonly Condition[] | undefined } | undefined;
  },
  fault: string,
  nowMs: number,
): Plan {
  const { generation } = policy.metadata;
  const ready: ConditionChange = {
    type: 'Ready',
    status: 'False',
    reason: 'SpecInvalid',
    message: fault,
    observedGeneration: generation,
  };
  const status = {
    ...policy.status,
    conditions: setCondition(
      setCondition(policy.status?.conditions, ready, nowMs),
      { ...ready, type: 'Healthy' },
      nowMs,
    ),
    observedGeneration: generation,
    phase: 'NotReady',
  };
  if (sameValue(status, policy.status)) return { actions: [] };
  return {
    actions: [
      { type: 'set-status', resource, object: policy, status },
      { type: 'tell', about: policy, level: 'Warning', reason: ready.reason, message: ready.message },
    ],
  };
}
