import { stamp } from './stamp.ts';

/** As far as clocks of a cluster may differ. */
const toleranceMs = 5 * 60_000;

/** A time that some clock will have to be wrong for: whoever wrote it, or ours now. It counts for nothing as long as it lies ahead. */
export function isAhead(timeMs: number, nowMs: number): boolean {
  return timeMs > nowMs + toleranceMs;
}

/** The time, unless it lies ahead. */
export function pastOnly(timeMs: number | undefined, nowMs: number): number | undefined {
  return timeMs === undefined || isAhead(timeMs, nowMs) ? undefined : timeMs;
}

/** A remark for people. @param what has that time, such as `the run nightly-x` */
export function tellAhead(what: string, timeMs: number): string {
  return `${what} is of ${stamp(timeMs)}, which is ahead of the clock and counts for nothing`;
}
