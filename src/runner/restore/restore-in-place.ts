import { toFailure, type Failure } from '../../api/failure.ts';
import type { RestoreTask } from '../../domain/task.ts';
import { CommitLost } from '../../postgres/commit-lost.ts';
import { LeftTransaction } from '../../postgres/left-transaction.ts';
import type { OpenTransaction } from '../../postgres/open-transaction.ts';
import type { Workshop } from '../workshop.ts';
import type { TargetPlan } from './check-target.ts';
import { isOfOneCopy } from './next-copy.ts';
import type { OpenTarget } from './open-target.ts';
import type { PreparedInput } from './prepare-input.ts';
import { proveDatabase } from './prove-database.ts';
import { proveWithin } from './prove-within.ts';
import type { RestoreProgress } from './restore-progress.ts';
import type { TargetOutcome } from './restore-verdict.ts';
import { settleCommit } from './settle-commit.ts';

export interface InPlaceEnd {
  readonly plan: TargetPlan;
  readonly outcome: TargetOutcome;
  readonly failure?: Failure;
  readonly notes: readonly string[];
}

/**
 * Mode InPlace: each database is loaded in a transaction of its own, one after the other; the first failure ends it. afterSql and
 * checks are part of that transaction: nobody sees what does not pass. Only ANALYZE comes after the commit, and fails nothing.
 * @param onWork names the database that is worked on
 * @throws Failure a copy's, while nothing is changed yet: another copy may be better
 */
export async function restoreInPlace(
  task: RestoreTask,
  inputs: readonly PreparedInput[],
  target: OpenTarget,
  progress: RestoreProgress,
  workshop: Workshop,
  onWork: (plan: TargetPlan | undefined) => void,
): Promise<readonly InPlaceEnd[]> {
  const { signal } = workshop;
  const ends: InPlaceEnd[] = [];
  for (const { plan, load } of inputs) {
    if (ends.some(({ failure }) => failure !== undefined)) {
      ends.push({ plan, outcome: 'Untouched', notes: [] });
      continue;
    }
    onWork(plan);
    let notes: readonly string[] = [];
    try {
      signal.throwIfAborted();
      const beforeCommit = (transaction: OpenTransaction): Promise<void> =>
        proveWithin(task, plan.target, transaction, progress);
      notes = await load(progress, signal, { beforeCommit }).catch((error: unknown) =>
        settleCommit(error, plan.loadInto, target, workshop),
      );
      const told = await analyze(task, plan, target, progress, signal);
      progress.databaseDone();
      ends.push({ plan, outcome: 'Restored', notes: [...notes, ...told] });
    } catch (error) {
      const failure = toFailure(error);
      // Not known counts as changed: nobody repeats it.
      const isChanged = failure instanceof CommitLost || (failure instanceof LeftTransaction && failure.committed);
      const outcome = isChanged ? 'Changed' : 'Untouched';
      if (ends.length === 0 && outcome === 'Untouched' && isOfOneCopy(failure)) throw failure;
      ends.push({ plan, outcome, failure, notes: [...notes, ...explain(failure)] });
    }
  }
  return ends;
}

/** @returns notes: what is committed stays, whatever becomes of its statistics */
async function analyze(
  task: RestoreTask,
  plan: TargetPlan,
  target: OpenTarget,
  progress: RestoreProgress,
  signal: AbortSignal,
): Promise<readonly string[]> {
  try {
    return await proveDatabase({ ...task, afterSql: [], checks: [] }, plan, undefined, target, progress, signal);
  } catch (error) {
    return [`restored, but ANALYZE was not done: ${toFailure(error).message}`];
  }
}

function explain(failure: Failure): readonly string[] {
  if (failure instanceof CommitLost) {
    return [
      'look whether its rows are there before it is restored again: it was being committed when the server was lost',
    ];
  }
  return [];
}
