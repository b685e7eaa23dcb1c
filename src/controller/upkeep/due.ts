import type { BackupPolicy } from '../../api/kinds.ts';
import { readStamp } from '../../domain/stamp.ts';

/** How far some work on what a location holds has come, as the status of its policy says. */
export interface UpkeepEntry {
  readonly location: string;
  readonly decidedFor?: string | undefined;
  readonly decidedTime?: string | undefined;
  readonly countedJob?: string | undefined;
  readonly failures?: number | undefined;
  readonly failuresInRow?: number | undefined;
  readonly reason?: string | undefined;
}

const firstRetryMs = 60_000;
const lastRetryMs = 6 * 3_600_000;

/** What a decision was made for: the newest success, the policy's spec, and somebody's request. A new one of them has it made anew. */
export function decisionKey({ metadata }: BackupPolicy, successUid: string, request: string): string {
  const requested = metadata.annotations?.[request]?.slice(0, 60);
  return [successUid.slice(0, 40), metadata.generation, ...(requested === undefined ? [] : [requested])].join(' ');
}

/** Whether it is to be decided now: for anything new, to go on with what is left, or to try again. */
export function isDue(before: UpkeepEntry | undefined, left: number, key: string, nowMs: number): boolean {
  if (before?.decidedFor !== key) return true;
  const at = retryAt(before, left);
  return at !== undefined && nowMs >= at;
}

/** When the same is decided again: at once when a batch went well and others are `left`, later after a failure. */
export function retryAt(before: UpkeepEntry | undefined, left: number): number | undefined {
  const failures = before?.failuresInRow ?? 0;
  if (before?.reason === undefined) return left > 0 ? 0 : undefined;
  if (failures === 0) return undefined;
  const decidedAt = readStamp(before.decidedTime) ?? 0;
  return decidedAt + Math.min(firstRetryMs * 2 ** Math.min(failures - 1, 20), lastRetryMs);
}
