import { annotations, type RestorePolicy, type RestoreRequest } from '../../api/kinds.ts';
import type { RestorePolicyStatus } from '../../api/restore-policy.ts';
import type { RestoredSource } from '../../api/restore-spec.ts';
import { readStamp } from '../../domain/stamp.ts';
import type { RestoreRun } from './restore-run.ts';

type LastRestored = Pick<RestorePolicyStatus, 'lastRestored' | 'lastRestoredGeneration' | 'lastDurationSeconds'>;

/**
 * What the target holds by now, after runs that have just ended (in the order of their ends). A failure that changed the target, or may
 * have, leaves nothing that could be called unchanged.
 */
export function foldRestored(status: RestorePolicyStatus | undefined, fresh: readonly RestoreRun[]): LastRestored {
  let { lastRestored, lastRestoredGeneration, lastDurationSeconds } = status ?? {};
  for (const { object, result } of fresh) {
    if (result === 'Succeeded') {
      lastRestored = object.status?.source;
      lastRestoredGeneration = generationOf(object);
      lastDurationSeconds = durationOf(object) ?? lastDurationSeconds;
    } else if (result === 'Failed' && !isUntouched(object)) {
      lastRestored = undefined;
      lastRestoredGeneration = undefined;
    }
  }
  return { lastRestored, lastRestoredGeneration, lastDurationSeconds };
}

/** What need not be restored again; never after a change of the policy, which may mean another target. */
export function findUnlessRestored(policy: RestorePolicy, last: LastRestored): RestoredSource | undefined {
  const isSame = last.lastRestoredGeneration === policy.metadata.generation;
  return policy.spec.whenUnchanged === 'Skip' && isSame ? last.lastRestored : undefined;
}

/** It is known that each of its targets is as it was. */
export function isUntouched({ status }: RestoreRequest): boolean {
  const { databases = [] } = status ?? {};
  return databases.length > 0 && databases.every(({ outcome }) => outcome === 'Untouched');
}

function generationOf({ metadata }: RestoreRequest): number | undefined {
  const generation = Number(metadata.annotations?.[annotations.generation] ?? Number.NaN);
  return Number.isSafeInteger(generation) && generation >= 0 ? generation : undefined;
}

function durationOf({ status }: RestoreRequest): number | undefined {
  const [start, end] = [readStamp(status?.startedAt), readStamp(status?.completedAt)];
  return start === undefined || end === undefined || end < start ? undefined : Math.round((end - start) / 1000);
}
