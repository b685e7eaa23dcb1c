import { toFailure, type Failure } from '../../api/failure.ts';
import type { RestoreTask } from '../../domain/task.ts';
import { CommitLost } from '../../postgres/commit-lost.ts';
import { LeftTransaction } from '../../postgres/left-transaction.ts';
import type { Workshop } from '../workshop.ts';
import type { TargetPlan } from './check-target.ts';
import { isOfOneCopy } from './next-copy.ts';
import type { OpenTarget } from './open-target.ts';
import type { PreparedInput } from './prepare-input.ts';
import { proveDatabase } from './prove-database.ts';
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
 * checks come after the commit and cannot take it back: what fails there leaves the target Changed.
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
    let outcome: TargetOutcome = 'Untouched';
    try {
      signal.throwIfAborted();
      notes = await load(progress, signal).catch((error: unknown) =>
        settleCommit(error, plan.loadInto, target, workshop),
      );
      outcome = 'Changed';
      notes = [...notes, ...(await proveDatabase(task, plan, undefined, target, progress, signal))];
      progress.databaseDone();
      ends.push({ plan, outcome: 'Restored', notes });
    } catch (error) {
      const failure = toFailure(error);
      // Not known counts as changed: nobody repeats it.
      if (failure instanceof CommitLost || (failure instanceof LeftTransaction && failure.committed))
        outcome = 'Changed';
      if (ends.length === 0 && outcome === 'Untouched' && isOfOneCopy(failure)) throw failure;
      ends.push({ plan, outcome, failure, notes: [...notes, ...explain(outcome, failure)] });
    }
  }
  return ends;
}

function explain(outcome: TargetOutcome, failure: Failure): readonly string[] {
  // It says itself what stays.
  if (failure instanceof LeftTransaction) return [];
  if (failure instanceof CommitLost) {
    return [
      'look whether its rows are there before it is restored again: it was being committed when the server was lost',
    ];
  }
  if (outcome === 'Changed') {
    return ['what was restored is committed: afterSql and checks of mode InPlace come after it'];
  }
  return [];
}
