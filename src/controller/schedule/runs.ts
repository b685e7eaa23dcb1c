import { readStamp, stamp } from '../../domain/stamp.ts';
import { endedRuns, type Run, type Scheduler } from './run.ts';

interface Counted<R extends Run, Result extends string> {
  readonly counts: {
    readonly runs: Record<Result, number>;
    readonly countedUids: string[];
    readonly countedThrough: string | undefined;
  };
  /** Those that were not counted before, in the order of their ends. */
  readonly fresh: readonly R[];
}

/** How many uids a status remembers. */
export const countedUidsMax = 100;

/**
 * Counts each run of a policy once: its uid is remembered in the same PUT. When there are more than are remembered, the oldest ends
 * are forgotten, and countedThrough says that everything up to there is counted, so that a deletion brings none of them back.
 */
export function countRuns<Result extends string, R extends Run<unknown, Result>>(
  { status, metadata }: Scheduler<Result>,
  all: readonly R[],
  nothing: Record<Result, number>,
  nowMs: number,
): Counted<R, Result> {
  const runs: Record<Result, number> = { ...nothing, ...status?.runs };
  const counted = [...(status?.countedUids ?? [])];
  let through = upTo(readStamp(status?.countedThrough), nowMs);
  const createdAt = readStamp(metadata.creationTimestamp) ?? 0;
  const ends = new Map(all.map(({ uid, end }) => [uid, end]));

  const known = new Set(counted);
  const fresh = endedRuns(all)
    // Found ones were no runs of ours; runs of an earlier policy of this name are not this one's.
    .filter(({ isOwn, createdAt: madeAt }) => isOwn && madeAt >= createdAt)
    .filter(({ uid, end = 0 }) => !known.has(uid) && end > (through ?? -1))
    .toSorted((a, b) => (a.end ?? 0) - (b.end ?? 0) || a.uid.localeCompare(b.uid));
  for (const { uid, result } of fresh) {
    if (result === undefined) continue;
    runs[result] += 1;
    counted.push(uid);
  }
  while (counted.length > countedUidsMax) {
    const end = ends.get(counted.shift() ?? '');
    if (end !== undefined) through = Math.max(through ?? 0, end);
  }
  const countedThrough = through === undefined ? undefined : stamp(Math.ceil(through / 1000) * 1000);
  return { counts: { runs, countedUids: counted, countedThrough }, fresh };
}

/** What a clock that was ahead has stored must not keep the runs to come from being counted. */
const upTo = (timeMs: number | undefined, nowMs: number): number | undefined =>
  timeMs === undefined ? undefined : Math.min(timeMs, nowMs);
