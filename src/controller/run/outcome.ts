import type { Backup } from '../../api/kinds.ts';
import type { runResults } from '../../api/backup-policy.ts';
import { findCondition } from '../conditions.ts';
import { pastOnly } from '../../domain/clocks.ts';
import { readStamp } from '../../domain/stamp.ts';

export type RunResult = (typeof runResults)[number];

/** How a Backup ended; undefined while it has not. A Backup has ended if and only if Succeeded is True or False. */
export function resultOf(backup: Backup): RunResult | undefined {
  const succeeded = findCondition(backup.status?.conditions, 'Succeeded');
  if (succeeded?.status === 'True') return 'Succeeded';
  if (succeeded?.status !== 'False') return undefined;
  return storedAnywhere(backup) ? 'PartlyFailed' : 'Failed';
}

const storedAnywhere = (backup: Backup): boolean =>
  backup.status?.destinations?.some(({ outcome }) => outcome !== 'Failed') ?? false;

/** When it ended: by its runner, else by our own judgement. */
export function endOf({ status }: Pick<Backup, 'status'>): number | undefined {
  const judged = judgedAt(status);
  return pastOnly(readStamp(status?.completedAt), judged ?? Infinity) ?? judged;
}

/** When it began, or else was made: the order of runs. */
export function startOf({ status, spec, metadata }: Backup): number {
  const judged = judgedAt(status) ?? Infinity;
  return (
    pastOnly(readStamp(status?.startedAt), judged) ??
    pastOnly(readStamp(spec.slot), judged) ??
    readStamp(metadata.creationTimestamp) ??
    0
  );
}

/** Nothing of a run is later: what says so comes from a node whose clock was ahead, or from a hand. */
const judgedAt = (status: Backup['status']): number | undefined =>
  readStamp(findCondition(status?.conditions, 'Succeeded')?.lastTransitionTime);
