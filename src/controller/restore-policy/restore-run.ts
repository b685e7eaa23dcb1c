import type { RestorePolicy, RestoreRequest } from '../../api/kinds.ts';
import { parseRestoreRequestName } from '../../domain/names.ts';
import { readStamp } from '../../domain/stamp.ts';
import { isControlledBy } from '../run/pods.ts';
import type { Run } from '../schedule/run.ts';
import { restoreEndOf, restoreResultOf, type RestoreResult } from '../restore/outcome.ts';

export interface RestoreRun extends Run<RestoreRequest, RestoreResult> {
  /** Which try of its slot it is, from 0. */
  readonly retry: number;
}

/** A RestoreRequest as a run of its policy. One that an earlier policy of this name left is no run of this one, but may still go on. */
export function restoreRun({ metadata: policy }: RestorePolicy, request: RestoreRequest): RestoreRun {
  const { metadata, status } = request;
  const named = parseRestoreRequestName(policy.name, metadata.name);
  const result = restoreResultOf(request);
  const createdAt = readStamp(metadata.creationTimestamp) ?? 0;
  const startedAt = readStamp(status?.startedAt);
  return {
    object: request,
    name: metadata.name,
    uid: metadata.uid,
    createdAt,
    slot: named?.slotMs,
    retry: named?.retry ?? 0,
    isNamedBySlot: named !== undefined,
    start: startedAt ?? named?.slotMs ?? createdAt,
    keptFor: named?.slotMs ?? startedAt ?? 0,
    end: restoreEndOf(request),
    result,
    isGood: result === 'Succeeded' || result === 'Unchanged',
    isOwn: isControlledBy(request, policy.uid),
  };
}
