import type { Backup } from '../../api/kinds.ts';
import type { runResults } from '../../api/backup-policy.ts';
import { findCondition } from '../conditions.ts';
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
export function endOf(backup: Backup): number | undefined {
  const judged = findCondition(backup.status?.conditions, 'Succeeded')?.lastTransitionTime;
  return readStamp(backup.status?.completedAt) ?? readStamp(judged);
}

/** When it began, or else was made: the order of runs. */
export function startOf(backup: Backup): number {
  return (
    readStamp(backup.status?.startedAt) ??
    readStamp(backup.spec.slot) ??
    readStamp(backup.metadata.creationTimestamp) ??
    0
  );
}
