import { Failure, toFailure } from '../../api/failure.ts';
import type { RestoredSource } from '../../api/restore-spec.ts';
import type { RestoreTask } from '../../domain/task.ts';
import { LeftTransaction } from '../../postgres/left-transaction.ts';
import { claimLoad } from '../../postgres/load-claim.ts';
import type { LoadHooks } from '../../postgres/load-types.ts';
import type { Workshop } from '../workshop.ts';
import type { TargetPlan } from './target/check-target.ts';
import type { Refusals } from './tell/count-refusals.ts';
import { isOfOneCopy } from './source/next-copy.ts';
import type { OpenTarget } from './target/open-target.ts';
import type { PreparedInput } from './plan/prepare-input.ts';
import { proveDatabase } from './prove/prove-database.ts';
import { prepareWithin, proveWithin } from './prove/prove-within.ts';
import type { RestoreProgress } from './tell/restore-progress.ts';
import type { TargetOutcome } from './tell/restore-verdict.ts';
import { sessionName } from './target/scratch-names.ts';
import { leaveSeal } from './target/seals.ts';
import { settleCommit } from './load/settle-commit.ts';
import { Unsettled } from './unsettled.ts';

export interface InPlaceEnd {
  readonly plan: TargetPlan;
  readonly outcome: TargetOutcome;
  readonly failure?: Failure;
  readonly notes: readonly string[];
}

/**
 * Mode InPlace: each database is loaded in a transaction of its own, one after the other; the first failure ends it. afterSql, checks
 * and the seal are part of that transaction: nobody sees what does not pass. Only ANALYZE comes after the commit, and fails nothing.
 * @param onWork names the database that is worked on
 * @throws Failure a copy's, while nothing is changed yet: another copy may be better. Unsettled when nobody could be asked whether it
 *   is committed.
 */
export async function restoreInPlace(
  task: RestoreTask,
  inputs: readonly PreparedInput[],
  source: RestoredSource,
  target: OpenTarget,
  progress: RestoreProgress,
  workshop: Workshop,
  onWork: (plan: TargetPlan | undefined) => void,
): Promise<readonly InPlaceEnd[]> {
  const { signal } = workshop;
  const ends: InPlaceEnd[] = [];
  for (const { plan, load, refusals } of inputs) {
    if (ends.some(({ failure }) => failure !== undefined)) {
      ends.push({ plan, outcome: 'Untouched', notes: [] });
      continue;
    }
    onWork(plan);
    try {
      signal.throwIfAborted();
      const database = sealedDatabase(plan);
      const notes = await load(progress, signal, hooksOf(task, database, source, target, progress, refusals)).catch(
        (error: unknown) => settleCommit(error, task.request.uid, database.name, target, workshop),
      );
      const told = await analyze(task, plan, target, progress, signal);
      progress.databaseDone();
      ends.push({ plan, outcome: 'Restored', notes: [...notes, ...told] });
    } catch (error) {
      if (error instanceof Unsettled) throw error;
      const failure = toFailure(error);
      const outcome = failure instanceof LeftTransaction && failure.committed ? 'Changed' : 'Untouched';
      if (ends.length === 0 && outcome === 'Untouched' && isOfOneCopy(failure)) throw failure;
      ends.push({ plan, outcome, failure, notes: [] });
    }
  }
  return ends;
}

/** The load's transaction begins with a claim and ends with a seal. */
function hooksOf(
  task: RestoreTask,
  database: { readonly name: string; readonly oid: string },
  source: RestoredSource,
  { fence }: OpenTarget,
  progress: RestoreProgress,
  refusals: Refusals | undefined,
): LoadHooks {
  const { uid } = task.request;
  return {
    afterBegin: async (ask) => {
      await claimLoad(ask, sessionName(uid), fence);
      // Seen by others only if a statement of the source commits what should be one transaction.
      await ask(leaveSeal(uid, database, { is: 'loading' }));
    },
    beforeLoad: async (transaction) => prepareWithin(task, transaction),
    beforeCommit: async (transaction) => {
      await proveWithin(task, database.name, transaction, progress);
      // Functions that a check called may have set something, or have left something for the end of the transaction.
      await transaction.settle();
      const refused = refusals?.sum()?.count;
      const told = refused === undefined ? {} : { refused };
      await transaction.ask(leaveSeal(uid, database, { is: 'loaded', source, ...told }));
    },
  };
}

function sealedDatabase({ existing, target }: TargetPlan): { readonly name: string; readonly oid: string } {
  if (existing === undefined) throw new Failure('Internal', `there is no database "${target}" to restore into`);
  return { name: existing.name, oid: existing.oid };
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
