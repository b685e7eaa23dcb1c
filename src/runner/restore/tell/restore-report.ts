import { placeKindOf } from '../../../api/remedies.ts';
import type { Failure } from '../../../api/failure.ts';
import type { RestoreVerdict } from '../../../domain/report.ts';
import { isoTime } from '../../iso-time.ts';
import { withRemedy } from '../../with-remedy.ts';
import type { Workshop } from '../../workshop.ts';
import type { RestoreSource } from '../source/source.ts';
import { tellRecovered, untried } from '../target/earlier-try.ts';
import type { Settled } from '../target/settle.ts';
import type { Wanted } from '../wanted.ts';
import { adviseConflict } from './advise-conflict.ts';
import { tellRefused } from './count-refusals.ts';
import { logWords } from './log-words.ts';
import { openProgress, type RestoreProgress } from './restore-progress.ts';
import {
  judgeFailed,
  judgeInPart,
  judgeRestored,
  sumUp,
  tellDatabase,
  type DatabaseEnd,
  type TargetOutcome,
} from './restore-verdict.ts';

/** What came before the copy that is tried. */
export interface Before {
  readonly startedAt: string;
  readonly startMs: number;
  readonly passedOver: readonly { readonly location: string; readonly failure: Failure }[];
}

/** Hears how far a restore comes, and says in the end what became of it: a result line for each target, and the verdict. */
export interface RestoreReport {
  /** What an earlier try had done. */
  readonly found: (settled: Settled) => void;
  readonly chose: (source: Pick<RestoreSource, 'chosen' | 'readBytes'>) => void;
  /** Where what was chosen lies. */
  readonly location: () => string | undefined;
  /** Who fails from here on: the restore into this target; undefined: all of them. */
  readonly workOn: (target: string | undefined) => void;
  /** The load begins; its progress is told until `stop`. */
  readonly load: (databases: number, estimatedBytes: number | undefined) => RestoreProgress;
  readonly stop: () => Promise<void>;
  readonly recovered: (settled: Settled) => RestoreVerdict;
  readonly unchanged: () => RestoreVerdict;
  readonly ended: (ends: readonly DatabaseEnd[]) => RestoreVerdict;
  /** Nothing was changed by this try; unsettled: perhaps. */
  readonly failed: (failure: Failure, unsettled: boolean) => RestoreVerdict;
}

export function openReport(
  { target, source: from, load }: Pick<Wanted, 'target' | 'source' | 'load'>,
  { startedAt, startMs, passedOver }: Before,
  workshop: Workshop,
): RestoreReport {
  const { clock, lines, log, attempt } = workshop;
  let settled: Settled | undefined;
  let source: Pick<RestoreSource, 'chosen' | 'readBytes'> | undefined;
  let working: string | undefined;
  let progress: RestoreProgress | undefined;
  const totals = () => ({
    attempt,
    startedAt,
    completedAt: isoTime(clock),
    source: source?.chosen,
    readBytes: source?.readBytes() ?? 0,
    plainBytes: progress?.loaded.bytes() ?? 0,
    resultLines: lines.resultLines(),
  });
  const passedNotes = passedOver.map(
    ({ location, failure }) => `the copy in ${location} could not be used: ${failure.reason}: ${failure.message}`,
  );
  const tell = (end: DatabaseEnd): void =>
    tellDatabase(lines, {
      ...end,
      notes: [...passedNotes, ...end.notes],
      durationMilliseconds: clock.monotonicMs() - startMs,
    });
  const fail = (failure: Failure, outcome: TargetOutcome): RestoreVerdict => {
    logWords(failure, log);
    const place = from.backup?.copies[0]?.location.place ?? from.file?.location.place;
    const advised = adviseConflict(failure, load, source?.chosen);
    return judgeFailed(totals(), outcome, withRemedy(advised, place && placeKindOf(place)));
  };
  const workOn = (name: string | undefined): void => {
    working = name;
  };
  return {
    found: (earlier) => {
      settled = earlier;
    },
    chose: (chosen) => {
      source = chosen;
    },
    location: () => source?.chosen.location,
    workOn,
    load: (databases, estimatedBytes) => {
      progress = openProgress(workshop, databases, estimatedBytes, workOn);
      return progress;
    },
    stop: async () => progress?.stop(),
    recovered: (earlier) => tellRecovered(earlier, tell, totals),
    unchanged: () => judgeRestored(totals(), 'Untouched', { unchanged: true }),
    ended: (ends) => {
      for (const end of ends) tell(end);
      const failure = ends.find((end) => end.failure !== undefined)?.failure;
      const outcome = sumUp(ends);
      if (failure !== undefined) return fail(failure, outcome);
      const refused = tellRefused(ends.flatMap((end) => end.refused ?? []));
      return refused === undefined ? judgeRestored(totals(), outcome) : judgeInPart(totals(), outcome, refused);
    },
    failed: (failure, unsettled) => {
      const ends = untried(target.databases, settled);
      for (const end of ends) {
        const guilty = working === undefined || working === end.target;
        tell({ ...end, failure: guilty ? failure : undefined });
      }
      return { ...fail(failure, sumUp(ends)), ...(unsettled ? { unsettled: true } : {}) };
    },
  };
}
