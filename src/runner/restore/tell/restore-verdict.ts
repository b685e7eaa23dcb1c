import type { Failure } from '../../../api/failure.ts';
import { remedyFor } from '../../../api/remedies.ts';
import type { RestoredSource } from '../../../api/restore-spec.ts';
import { fitSource } from '../../../domain/fit-source.ts';
import { reportVersion, type RefusedSum, type RestoreVerdict } from '../../../domain/report.ts';
import { cutToBytes } from '../../../support/cut-to-bytes.ts';
import type { ReportLines } from '../../report-lines.ts';

export interface RestoreTotals {
  readonly attempt: string;
  readonly startedAt: string;
  readonly completedAt: string;
  readonly source?: RestoredSource | undefined;
  readonly readBytes: number;
  readonly plainBytes: number;
  readonly resultLines: number;
}

export type TargetOutcome = RestoreVerdict['target'];

/** What became of one target; a result line. */
export interface DatabaseEnd {
  readonly source?: string | undefined;
  readonly target: string;
  readonly outcome: TargetOutcome;
  readonly failure?: Failure | undefined;
  readonly previous?: string | undefined;
  readonly notes: readonly string[];
  readonly refused?: RefusedSum | undefined;
  readonly plainBytes?: number | undefined;
  readonly durationMilliseconds?: number | undefined;
}

const notesMax = 16;
const noteMaxBytes = 500;

export function judgeRestored(
  totals: RestoreTotals,
  target: TargetOutcome,
  more: { readonly unchanged?: boolean; readonly message?: string } = {},
): RestoreVerdict {
  return { ...envelope(totals), verdict: 'Succeeded', target, ...more };
}

export function judgeFailed(totals: RestoreTotals, target: TargetOutcome, failure: Failure): RestoreVerdict {
  const { reason, message, hint } = failure;
  return {
    ...envelope(totals),
    verdict: 'Failed',
    reason,
    message,
    hint: hint ?? remedyFor(reason, 'restore'),
    target,
  };
}

/** Restored, and not all of it: never repeated, and no success. */
export function judgeInPart(totals: RestoreTotals, target: TargetOutcome, message: string): RestoreVerdict {
  const reason = 'RestoredInPart';
  return { ...envelope(totals), verdict: 'PartlyFailed', reason, message, hint: remedyFor(reason, 'restore'), target };
}

export function tellDatabase(lines: ReportLines, end: DatabaseEnd): void {
  const { source, target, outcome, failure, previous, refused, plainBytes, durationMilliseconds } = end;
  const notes = [...new Set(end.notes)].slice(0, notesMax).map((note) => cutToBytes(note, noteMaxBytes));
  lines.result({
    kind: 'restored',
    ...(source === undefined ? {} : { source }),
    target,
    outcome,
    ...(failure === undefined ? {} : { reason: failure.reason, detail: failure.message }),
    ...(previous === undefined ? {} : { previous }),
    ...(notes.length === 0 ? {} : { notes }),
    ...(refused === undefined ? {} : { refused }),
    ...(plainBytes === undefined ? {} : { plainBytes }),
    ...(durationMilliseconds === undefined ? {} : { durationMilliseconds: Math.round(durationMilliseconds) }),
  });
}

function envelope(totals: RestoreTotals) {
  const { source, ...rest } = totals;
  return {
    v: reportVersion,
    kind: 'restore',
    ...rest,
    ...(source === undefined ? {} : { source: fitSource(source) }),
  } as const;
}

/** What became of all targets together. */
export function sumUp(ends: readonly Pick<DatabaseEnd, 'outcome'>[]): TargetOutcome {
  const [first] = ends;
  if (first === undefined) return 'Untouched';
  return ends.every(({ outcome }) => outcome === first.outcome) ? first.outcome : 'Changed';
}
