import type { RestoreRequest } from '../../api/kinds.ts';
import type { restoreResults } from '../../api/restore-policy.ts';
import type { RestorePhase } from '../../api/restore-request.ts';
import { pastOnly } from '../../domain/clocks.ts';
import { readStamp } from '../../domain/stamp.ts';
import { findCondition } from '../conditions.ts';

export type RestoreResult = (typeof restoreResults)[number];

/** How a RestoreRequest ended; undefined while it has not. It has ended if and only if Succeeded is True or False. */
export function restoreResultOf({ status }: Pick<RestoreRequest, 'status'>): RestoreResult | undefined {
  const succeeded = findCondition(status?.conditions, 'Succeeded');
  if (succeeded?.status === 'False') return 'Failed';
  if (succeeded?.status !== 'True') return undefined;
  return succeeded.reason === 'Unchanged' ? 'Unchanged' : 'Succeeded';
}

/** The phase of one that has ended, from its condition. */
export function restorePhaseOf(ending: { readonly status: 'True' | 'False'; readonly reason: string }): RestorePhase {
  if (ending.status === 'True') return 'Succeeded';
  return ending.reason === 'RestoredInPart' ? 'RestoredInPart' : 'Failed';
}

/** When it ended: by its runner, else by our own judgement; later than that is the clock of a node that was ahead. */
export function restoreEndOf({ status }: Pick<RestoreRequest, 'status'>): number | undefined {
  const judged = readStamp(findCondition(status?.conditions, 'Succeeded')?.lastTransitionTime);
  return pastOnly(readStamp(status?.completedAt), judged ?? Infinity) ?? judged;
}
