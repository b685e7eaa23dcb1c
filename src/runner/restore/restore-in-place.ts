import { Failure, toFailure } from '../../api/failure.ts';
import type { RestoredSource } from '../../api/restore-spec.ts';
import { LeftTransaction } from '../../postgres/left-transaction.ts';
import { claimLoad } from '../../postgres/load-claim.ts';
import type { Connection } from '../../postgres/connection.ts';
import type { LoadHooks } from '../../postgres/load-types.ts';
import type { TargetDatabase } from '../../postgres/target-database.ts';
import type { Workshop } from '../workshop.ts';
import type { TargetPlan } from './target/check-target.ts';
import { isOfOneCopy } from './source/next-copy.ts';
import type { OpenTarget } from './target/open-target.ts';
import type { PreparedInput } from './plan/prepare-input.ts';
import { proveDatabase } from './prove/prove-database.ts';
import { prepareWithin, proveWithin } from './prove/prove-within.ts';
import type { RestoreProgress } from './tell/restore-progress.ts';
import type { DatabaseEnd } from './tell/restore-verdict.ts';
import { sessionName } from './target/scratch-names.ts';
import { leaveSeal } from './target/seals.ts';
import { settleCommit } from './load/settle-commit.ts';
import { tellTriggers } from './tell/tell-triggers.ts';
import { Unsettled } from './unsettled.ts';
import type { LoadWanted, ProofWanted, RequestWanted } from './wanted.ts';

export interface InPlaceWanted {
  readonly request: RequestWanted;
  /** For the seals. */
  readonly source: RestoredSource;
  readonly beforeSql: LoadWanted['beforeSql'];
  readonly select: Pick<LoadWanted['select'], 'dataOnly'>;
  readonly proof: ProofWanted;
}

/**
 * Mode InPlace: each database is loaded in a transaction of its own, one after the other; the first failure ends it. afterSql, checks
 * and the seal are part of that transaction: nobody sees what does not pass. Only ANALYZE comes after the commit, and fails nothing.
 * @throws Failure a copy's, while nothing is changed yet: another copy may be better. Unsettled when nobody could be asked whether it
 *   is committed.
 */
export async function restoreInPlace(
  inputs: readonly PreparedInput[],
  wanted: InPlaceWanted,
  target: OpenTarget,
  progress: RestoreProgress,
  workshop: Workshop,
): Promise<readonly DatabaseEnd[]> {
  const { signal } = workshop;
  const ends: DatabaseEnd[] = [];
  for (const prepared of inputs) {
    const { plan, input, refusals } = prepared;
    const end = (what: Pick<DatabaseEnd, 'outcome' | 'failure' | 'notes'>): void =>
      void ends.push({ ...what, source: input.database, target: plan.target, refused: refusals?.sum() });
    if (ends.some(({ failure }) => failure !== undefined)) {
      end({ outcome: 'Untouched', notes: [] });
      continue;
    }
    progress.workOn(plan.target);
    try {
      signal.throwIfAborted();
      const database = sealedDatabase(plan);
      const fired: string[] = [];
      const onFired = (told: readonly string[]): void => void fired.push(...told);
      const hooks = hooksOf(wanted, { ...prepared, database, onFired }, target, progress);
      const notes = await prepared
        .load(progress, signal, hooks)
        .catch((error: unknown) =>
          settleCommit(error, { uid: wanted.request.uid, database: database.name }, target, workshop),
        );
      const told = await analyze(wanted.proof, plan.target, () => target.connect(plan.target, signal), progress);
      progress.databaseDone();
      end({ outcome: 'Restored', notes: [...notes, ...fired, ...told] });
    } catch (error) {
      if (error instanceof Unsettled) throw error;
      const failure = toFailure(error);
      const outcome = failure instanceof LeftTransaction && failure.committed ? 'Changed' : 'Untouched';
      if (ends.length === 0 && outcome === 'Untouched' && isOfOneCopy(failure)) throw failure;
      end({ outcome, failure, notes: [] });
    }
  }
  return ends;
}

interface InPlaceLoad extends Pick<PreparedInput, 'entries' | 'refusals'> {
  readonly database: Sealed;
  /** Notes on what ran for the rows. */
  readonly onFired: (notes: readonly string[]) => void;
}

/** The load's transaction begins with a claim and ends with a seal. */
function hooksOf(
  { request: { uid }, source, beforeSql, select, proof }: InPlaceWanted,
  { database, entries, refusals, onFired }: InPlaceLoad,
  { fence }: Pick<OpenTarget, 'fence'>,
  progress: RestoreProgress,
): LoadHooks {
  return {
    afterBegin: async (ask) => {
      await claimLoad(ask, sessionName(uid), fence);
      // Seen by others only if a statement of the source commits what should be one transaction.
      await ask(leaveSeal(uid, database, { is: 'loading' }));
    },
    beforeLoad: async (transaction) => {
      await prepareWithin(beforeSql ?? [], transaction);
      onFired(await tellTriggers(entries, select, transaction));
    },
    beforeCommit: async (transaction) => {
      await proveWithin(proof, database.name, transaction, progress);
      // Functions that a check called may have set something, or have left something for the end of the transaction.
      await transaction.settle();
      const refused = refusals?.sum()?.count;
      const told = refused === undefined ? {} : { refused };
      await transaction.ask(leaveSeal(uid, database, { is: 'loaded', source, ...told }));
    },
  };
}

type Sealed = Pick<TargetDatabase, 'name' | 'oid'>;

function sealedDatabase({ existing, target }: TargetPlan): Sealed {
  if (existing === undefined) throw new Failure('Internal', `there is no database "${target}" to restore into`);
  return { name: existing.name, oid: existing.oid };
}

/** @returns notes: what is committed stays, whatever becomes of its statistics */
async function analyze(
  proof: ProofWanted,
  target: string,
  connect: () => Promise<Connection>,
  progress: RestoreProgress,
): Promise<readonly string[]> {
  try {
    return await proveDatabase({ ...proof, afterSql: [], checks: [] }, { target }, connect, progress);
  } catch (error) {
    return [`restored, but ANALYZE was not done: ${toFailure(error).message}`];
  }
}
