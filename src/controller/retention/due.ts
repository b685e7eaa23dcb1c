import { annotations, type BackupPolicy } from '../../api/kinds.ts';
import type { RetentionStatus } from '../../api/retention.ts';
import { readStamp } from '../../domain/stamp.ts';

const firstRetryMs = 60_000;
const lastRetryMs = 6 * 3_600_000;

/** What a decision was made for: the newest success, the policy's spec, and somebody's request. A new one of them has it made anew. */
export function decisionKey({ metadata }: BackupPolicy, successUid: string): string {
  const requested = metadata.annotations?.[annotations.pruneRequestedAt]?.slice(0, 60);
  return [successUid.slice(0, 40), metadata.generation, ...(requested === undefined ? [] : [requested])].join(' ');
}

/** Whether it is to be decided now: for anything new, to go on with what is left, or to try again. */
export function isDue(before: RetentionStatus | undefined, key: string, nowMs: number): boolean {
  if (before?.decidedFor !== key) return true;
  const at = retryAt(before);
  return at !== undefined && nowMs >= at;
}

/** When the same is decided again: at once when a batch went well and others are left, later after a failure. */
export function retryAt(before: RetentionStatus | undefined): number | undefined {
  const failures = before?.failuresInRow ?? 0;
  // What a dry run found stays as it is.
  if (before?.removes !== undefined) return undefined;
  if (before?.reason === undefined) return (before?.removable ?? 0) > 0 ? 0 : undefined;
  if (failures === 0) return undefined;
  const decidedAt = readStamp(before.decidedTime) ?? 0;
  return decidedAt + Math.min(firstRetryMs * 2 ** Math.min(failures - 1, 20), lastRetryMs);
}
