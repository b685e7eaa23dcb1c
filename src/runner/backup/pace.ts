import { Failure } from '../../api/failure.ts';

/** What is judged by. */
export interface PaceOptions {
  /** Milliseconds of the wall clock when the run is ended; undefined when nobody ends it. */
  readonly deadlineMs: number | undefined;
  /** Plain bytes of the whole run, as far as they can be known. */
  readonly totalBytes: number | undefined;
  /** Plain bytes that have gone by. */
  readonly passedBytes: () => number;
  readonly nowMs: () => number;
  /** Places that may be left out. */
  readonly bestEffort: ReadonlySet<string>;
}

export interface Pace {
  /** Told every second which places hold the others up at this moment. @returns those that must be left out, each with why */
  look(holding: readonly string[]): ReadonlyMap<string, Failure>;
}

/** Looks (seconds) that are judged together: shorter, and a pause of the source would look like a slow place. */
const windowLooks = 60;
/** A place holds the others up that did so at four of five looks. */
const holdingShare = 0.8;
/** Committing and a guess that was too low need time, too. */
const reserveShare = 0.1;

interface Look {
  readonly atMs: number;
  readonly bytes: number;
  readonly holding: readonly string[];
}

/**
 * Whether a run will be done before its deadline at the pace of the last minute; if not, a best-effort place that sets this pace has to go:
 * rather a copy less than none. Where size or deadline are not known, nothing is judged.
 */
export function openPace({ deadlineMs, totalBytes, passedBytes, nowMs, bestEffort }: PaceOptions): Pace {
  const looks: Look[] = [];
  return {
    look(holding) {
      const now = { atMs: nowMs(), bytes: passedBytes(), holding };
      looks.push(now);
      if (looks.length > windowLooks) looks.shift();
      const [first] = looks;
      if (deadlineMs === undefined || totalBytes === undefined || first === undefined) return new Map();
      if (looks.length < windowLooks) return new Map();
      const perMs = Math.max(0, now.bytes - first.bytes) / Math.max(1, now.atMs - first.atMs);
      const leftMs = (deadlineMs - now.atMs) * (1 - reserveShare);
      if (perMs * leftMs >= totalBytes - now.bytes) return new Map();
      const slow = [...bestEffort].filter(
        (name) => looks.filter((look) => look.holding.includes(name)).length >= windowLooks * holdingShare,
      );
      // What is left is judged by a new minute.
      if (slow.length > 0) looks.length = 0;
      const minutes = Math.max(0, Math.round((deadlineMs - now.atMs) / 60_000));
      const rate = Math.round((perMs * 1000) / 1024);
      return new Map(
        slow.map((name) => [
          name,
          new Failure(
            'StorageTooSlow',
            `${name} takes ${rate} KiB/s of the dump: the run would not be done before its deadline in ${minutes} min`,
            { hint: 'raise runner.deadlineSeconds, or give this place a policy of its own' },
          ),
        ]),
      );
    },
  };
}
