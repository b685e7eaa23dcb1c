import { Failure, toFailure } from '../../../api/failure.ts';
import type { RestoredSource } from '../../../api/restore-spec.ts';
import { commentStatement, propertyStatements } from '../../../postgres/database-properties.ts';
import { keptStatement } from '../../../postgres/kept-database.ts';
import { swapDatabases, type Swap } from '../../../postgres/swap-databases.ts';
import { findDatabases, listMatching } from '../../../postgres/target-database.ts';
import { findHolds } from '../../../postgres/target-rights.ts';
import { endSession } from '../../../postgres/target-lock.ts';
import { waitForServer } from '../../../postgres/wait-for-server.ts';
import { bounded } from '../../bounded.ts';
import type { Workshop } from '../../workshop.ts';
import type { Scratch } from './make-scratch.ts';
import { likeExisting } from './new-database.ts';
import type { OpenTarget } from '../target/open-target.ts';
import { previousName, replacedName, sessionName } from '../target/scratch-names.ts';
import { findSeals, leaveSeal } from '../target/seals.ts';
import { Unsettled } from '../unsettled.ts';

const swapMilliseconds = 90_000;
const lookMilliseconds = 60_000;

export interface SwapRequest {
  readonly uid: string;
  readonly keepPrevious: boolean;
  readonly source: RestoredSource;
  /** How much the server refused, by target. */
  readonly refused: ReadonlyMap<string, number>;
}

/**
 * Puts all scratch databases in their targets' places, in one transaction, with the properties that the targets have at this
 * moment, and a seal on each that tells that it is done. Once begun it is not aborted.
 * @returns names under which replaced databases are kept, by target
 * @throws Failure TargetBusy and others: nothing is changed then. Unsettled when nobody could be asked whether it was done.
 */
export async function swapScratch(
  made: readonly Scratch[],
  request: SwapRequest,
  target: OpenTarget,
  workshop: Workshop,
): Promise<ReadonlyMap<string, string>> {
  const { clock, signal, log } = workshop;
  signal.throwIfAborted();
  target.shelter();
  const swaps = await describeSwaps(made, request, target, clock.nowMs());
  try {
    await bounded(clock, swapMilliseconds, async (limit) => {
      const second = await target.connect(target.server.database, limit);
      try {
        await swapDatabases(swaps, { connection: target.session, second, clock }, limit);
      } finally {
        await second.close();
      }
    });
  } catch (error) {
    const failure = toFailure(error);
    log.error('the swap failed', { reason: failure.reason, error: failure.message });
    if (failure.reason === 'TargetBusy') throw await withHolds(failure, swaps, target);
    if (failure.reason !== 'ConnectionLost' && failure.reason !== 'ServerUnreachable') throw failure;
    const done = await wasDone(swaps, request.uid, target, workshop).catch((thrown: unknown) => {
      const message = `the connection was lost in the swap, and whether it was done is not known: ${failure.message}`;
      throw new Unsettled(new Failure('ConnectionLost', message, { cause: thrown }));
    });
    if (!done) throw failure;
    log.warn('the connection was lost in the swap, which was done');
  }
  return new Map(
    request.keepPrevious
      ? swaps.flatMap(({ target: name, replaced }) => (replaced === undefined ? [] : [[name, replaced.name]]))
      : [],
  );
}

async function describeSwaps(
  made: readonly Scratch[],
  request: SwapRequest,
  { session, facts }: OpenTarget,
  nowMs: number,
): Promise<readonly Swap[]> {
  const existing = await findDatabases(
    session,
    facts.major,
    made.map(({ plan }) => plan.target),
  );
  const taken = new Set(await listMatching(session, ''));
  return made.map((scratch) => {
    const { index, target, existing: before } = scratch.plan;
    const now = existing.get(target);
    if (now?.oid !== before?.oid) {
      throw new Failure('TargetBusy', `the database "${target}" is another one than when the restore began`);
    }
    const like = now === undefined ? scratch : likeExisting(now);
    const replaced =
      now === undefined
        ? undefined
        : {
            oid: now.oid,
            name: request.keepPrevious
              ? previousName(target, nowMs, (name) => taken.has(name))
              : replacedName(request.uid, index),
          };
    if (replaced !== undefined) taken.add(replaced.name);
    const refused = request.refused.get(target) ?? 0;
    const seal = leaveSeal(
      request.uid,
      { name: target, oid: scratch.oid },
      {
        is: 'swapped',
        source: request.source,
        ...(refused === 0 ? {} : { refused }),
        ...(request.keepPrevious && replaced !== undefined ? { previous: replaced.name } : {}),
      },
    );
    return {
      scratch: { name: scratch.name, oid: scratch.oid },
      target,
      ...(replaced === undefined ? {} : { replaced }),
      statements: [
        ...propertyStatements(target, scratch.owner, like.properties),
        commentStatement(target, like.comment),
        ...(request.keepPrevious && replaced !== undefined ? [keptStatement(replaced)] : []),
        seal,
      ],
    };
  });
}

async function withHolds(failure: Failure, swaps: readonly Swap[], { session }: OpenTarget): Promise<Failure> {
  try {
    const holds: string[] = [];
    for (const { replaced } of swaps)
      if (replaced !== undefined) holds.push(...(await findHolds(session, replaced.oid)));
    if (holds.length === 0) return failure;
    return new Failure('TargetBusy', `${failure.message}; it has ${holds.join(', ')}`, {
      cause: failure,
      ...(failure.hint === undefined ? {} : { hint: failure.hint }),
    });
  } catch {
    return failure;
  }
}

/** A commit whose answer got lost: a seal tells. @throws Failure of connecting */
async function wasDone(
  swaps: readonly Swap[],
  requestUid: string,
  target: OpenTarget,
  workshop: Workshop,
): Promise<boolean> {
  const { clock, log } = workshop;
  return bounded(clock, lookMilliseconds + 10_000, async (limit) => {
    await waitForServer(
      target.server,
      {
        budgetMs: lookMilliseconds,
        clock,
        onWaiting: ({ message }) => log.warn('waiting to see whether the swap was done', { error: message }),
      },
      limit,
    );
    const connection = await target.connect(target.server.database, limit);
    try {
      // It may still be at it, with nobody to answer to.
      await endSession(connection, { pid: target.sessionPid, holder: sessionName(requestUid) }, clock, limit);
      const names = swaps.map((swap) => swap.target);
      return (await findSeals(requestUid, names, connection)).size > 0;
    } finally {
      await connection.close();
    }
  });
}
