import type { Failure } from '../../api/failure.ts';
import { placeKindOf, remedyFor } from '../../api/remedies.ts';
import { prunedPerLine, type PruneOutcome } from '../../domain/prune-report.ts';
import { reportVersion, type PruneVerdict } from '../../domain/report.ts';
import type { PruneTask } from '../../domain/task.ts';
import { gravestFailure } from '../gravest-failure.ts';
import { isoTime } from '../iso-time.ts';
import type { Workshop } from '../workshop.ts';
import type { Pruned } from './remove-backup.ts';

const detailCharacters = 200;

/** Prints what became of each backup, in lines. */
export function tellPruned(pruned: readonly Pruned[], { lines, redactor }: Pick<Workshop, 'lines' | 'redactor'>): void {
  for (let from = 0; from < pruned.length; from += prunedPerLine) {
    const backups = pruned.slice(from, from + prunedPerLine).map(({ failure, ...rest }) => ({
      ...rest,
      ...(failure === undefined
        ? {}
        : {
            reason: failure.reason,
            // Redacted before it is cut: half a secret is one too.
            detail: Array.from(redactor.text(failure.message)).slice(0, detailCharacters).join(''),
          }),
    }));
    lines.result({ kind: 'pruned', backups });
  }
}

/** How it ended. `stopped`: why not all backups were looked at. */
export function judgePruned(
  task: PruneTask,
  startedAt: string,
  pruned: readonly Pruned[],
  stopped: Failure | undefined,
  { clock, lines }: Pick<Workshop, 'clock' | 'lines'>,
): PruneVerdict {
  const count = (...outcomes: readonly PruneOutcome[]): number =>
    pruned.filter(({ outcome }) => outcomes.includes(outcome)).length;
  const done = count('Removed', 'Gone');
  const deferred = count('Deferred');
  const troubles = pruned.flatMap(asTrouble);
  // What another try of the Job can mend comes first: it tells of the others again.
  const trouble = troubles.find(({ failure }) => failure.consequence === 'retry') ?? gravest(troubles);
  const failure = stopped ?? trouble?.failure;
  const isWhole = failure === undefined;
  const some = done + deferred > 0 ? 'PartlyFailed' : 'Failed';
  const message = describe(task, pruned, stopped, troubles.length, trouble);
  return {
    v: reportVersion,
    kind: 'prune',
    verdict: isWhole ? 'Succeeded' : some,
    ...(isWhole
      ? {}
      : {
          reason: failure.reason,
          hint: failure.hint ?? remedyFor(failure.reason, placeKindOf(task.location.place)),
        }),
    ...(message === undefined ? {} : { message }),
    startedAt,
    completedAt: isoTime(clock),
    removed: done,
    freedBytes: pruned.reduce((sum, { bytes }) => sum + bytes, 0),
    deferred,
    refused: count('Refused'),
    failed: count('Failed'),
    resultLines: lines.resultLines(),
  };
}

interface Trouble {
  readonly id: string;
  readonly failure: Failure;
}

/** What is not as it should be: also volumes that could not be deleted for a reason that passes. Others are left to inspections. */
function asTrouble({ id, outcome, failure }: Pruned): readonly Trouble[] {
  if (failure === undefined || outcome === 'Deferred') return [];
  const isGone = outcome === 'Removed' || outcome === 'Gone';
  return isGone && failure.consequence !== 'retry' ? [] : [{ id, failure }];
}

function gravest(troubles: readonly Trouble[]): Trouble | undefined {
  const [first, ...others] = troubles.map(({ failure }) => failure);
  const worst = first === undefined ? undefined : gravestFailure([first, ...others]);
  return troubles.find(({ failure }) => failure === worst);
}

function describe(
  { remove }: PruneTask,
  pruned: readonly Pruned[],
  stopped: Failure | undefined,
  troubles: number,
  trouble: Trouble | undefined,
): string | undefined {
  if (stopped !== undefined) {
    return pruned.length === 0
      ? stopped.message
      : `${pruned.length} of ${remove.length} backups were looked at: ${stopped.message}`;
  }
  if (trouble !== undefined)
    return `${troubles} of ${remove.length} backups were not removed whole (${trouble.id}: ${trouble.failure.message})`;
  const left = pruned.find(({ outcome, failure }) => outcome !== 'Deferred' && failure !== undefined);
  return left === undefined ? undefined : `${left.id}: ${left.failure?.message}`;
}
