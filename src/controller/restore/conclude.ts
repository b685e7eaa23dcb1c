import type { RestoreRequest } from '../../api/kinds.ts';
import type { Reason } from '../../api/reasons.ts';
import type { RestorePhase, RestoreRequestStatus } from '../../api/restore-request.ts';
import { sameValue } from '../../domain/same-value.ts';
import type { Action, Plan } from '../action.ts';
import { setCondition } from '../conditions.ts';
import { resources } from '../resources.ts';
import type { Finished } from './finish.ts';
import type { RestoreSeen } from './observe.ts';

/** The end of a request: its status, and an event. What follows (Jobs, finalizer) the next look sees. */
export function endRequest({ nowMs }: Pick<RestoreSeen, 'nowMs'>, request: RestoreRequest, finished: Finished): Plan {
  const { reason, message } = finished.ending;
  const level = reason === 'Restored' || reason === 'Unchanged' ? 'Normal' : 'Warning';
  const tell: Action = { type: 'tell', about: request, level, reason, message };
  return { actions: [...setStatus(request, finished.status), tell], wakeAt: nowMs + 1000 };
}

/** Not decided yet: Unknown, with the reason for it. */
export function waitingStatus(
  { nowMs }: Pick<RestoreSeen, 'nowMs'>,
  { metadata, status }: RestoreRequest,
  reason: Reason,
  message: string,
  phase: RestorePhase,
): RestoreRequestStatus {
  const { generation } = metadata;
  const condition = { type: 'Succeeded', status: 'Unknown', reason, message, observedGeneration: generation } as const;
  return {
    ...status,
    conditions: setCondition(status?.conditions, condition, nowMs),
    observedGeneration: generation,
    phase,
  };
}

export function setStatus(request: RestoreRequest, status: RestoreRequestStatus): readonly Action[] {
  if (sameValue(status, request.status)) return [];
  return [{ type: 'set-status', resource: resources.restoreRequest, object: request, status }];
}
