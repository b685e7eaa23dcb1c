import type { StoredMeta } from '../../api/kinds.ts';
import { pastOnly } from '../../domain/clocks.ts';
import { readStamp, stamp } from '../../domain/stamp.ts';

/** What makes runs by a schedule: a BackupPolicy or a RestorePolicy, as slots, health and counts see it. */
export interface Scheduler<Result extends string = string> {
  readonly metadata: StoredMeta;
  readonly spec: {
    readonly schedule?: string | undefined;
    readonly timeZone: string;
    readonly jitterSeconds: number;
    readonly startingDeadlineSeconds?: number | undefined;
    readonly suspend: boolean;
  };
  readonly status?:
    | {
        readonly lastScheduleTime?: string | undefined;
        readonly lastSuccessTime?: string | undefined;
        readonly handledSlot?: string | undefined;
        readonly missedRuns?: number | undefined;
        readonly scheduledBy?: string | undefined;
        readonly scheduledSince?: string | undefined;
        readonly runs?: Readonly<Partial<Record<Result, number>>> | undefined;
        readonly countedUids?: readonly string[] | undefined;
        readonly countedThrough?: string | undefined;
      }
    | undefined;
}

/** One run of it: a Backup or a RestoreRequest. Times are ms since 1970. */
export interface Run<T = unknown, Result extends string = string> {
  readonly object: T;
  readonly name: string;
  readonly uid: string;
  readonly createdAt: number;
  /** The scheduled time that it is for. */
  readonly slot: number | undefined;
  /** It bears the name that the schedule gives to the run of its slot; one that was named otherwise by hand says nothing. */
  readonly isNamedBySlot: boolean;
  /** When it began, or else was made: the order of runs. */
  readonly start: number;
  /** The time of whose data it is: its slot, or its beginning. 0 when it has neither. */
  readonly keptFor: number;
  readonly end: number | undefined;
  /** Undefined while it goes on. */
  readonly result: Result | undefined;
  readonly isGood: boolean;
  /** Made by or for the scheduler, not found or another's: it counts. */
  readonly isOwn: boolean;
}

/** Runs that ended, newest first; equal times by name, so that every look agrees. */
export function endedRuns<R extends Run>(runs: readonly R[]): readonly R[] {
  return runs
    .filter(({ result }) => result !== undefined)
    .toSorted((a, b) => b.start - a.start || b.name.localeCompare(a.name));
}

/** The last successful run, if there is one. */
export function lastSuccess<R extends Run>(runs: readonly R[]): { readonly run: R; readonly end: number } | undefined {
  const run = endedRuns(runs).find(({ isGood }) => isGood);
  return run?.end === undefined ? undefined : { run, end: run.end };
}

/** The later one of what is known (RFC 3339) and the end of this run, as far as they do not lie ahead. */
export function lastSuccessTime(
  known: string | undefined,
  last: { readonly end: number } | undefined,
  nowMs: number,
): string | undefined {
  const times = [readStamp(known), last?.end].flatMap((time) => pastOnly(time, nowMs) ?? []);
  return times.length === 0 ? undefined : stamp(Math.max(...times));
}
