import type { RestoredSource } from '../../api/restore-spec.ts';
import { toFailure } from '../../api/failure.ts';
import { makeBound } from '../../postgres/bound-extension.ts';
import type { Connection } from '../../postgres/connection.ts';
import { dropDatabase } from '../../postgres/drop-database.ts';
import { endSession } from '../../postgres/target-lock.ts';
import type { Log } from '../../support/log.ts';
import { bounded } from '../bounded.ts';
import type { Workshop } from '../workshop.ts';
import type { PreparedInput } from './plan/prepare-input.ts';
import type { DatabaseEnd } from './tell/restore-verdict.ts';
import { makeScratch, type Scratch } from './swap/make-scratch.ts';
import { planParts } from './swap/plan-parts.ts';
import type { OpenTarget } from './target/open-target.ts';
import { proveDatabase } from './prove/prove-database.ts';
import type { RestoreProgress } from './tell/restore-progress.ts';
import { runSql } from './prove/run-sql.ts';
import { scratchName, sessionName } from './target/scratch-names.ts';
import { settle } from './target/settle.ts';
import { swapScratch } from './swap/swap-scratch.ts';
import { Unsettled } from './unsettled.ts';
import type { LoadWanted, ProofWanted, RequestWanted, TargetWanted } from './wanted.ts';

/** A pod gets 30 s between SIGTERM and SIGKILL. */
const dropMilliseconds = 20_000;
/** Dropping a large database takes minutes on slow disks. */
const finishMilliseconds = 15 * 60_000;
const finishTries = 5;
const finishPauseMilliseconds = 2_000;

export interface BesideWanted {
  readonly request: RequestWanted;
  /** For the seals. */
  readonly source: RestoredSource;
  readonly databases: TargetWanted['databases'];
  readonly options: LoadWanted['options'];
  readonly beforeSql: LoadWanted['beforeSql'];
  readonly proof: ProofWanted;
  readonly keepPrevious: boolean;
}

/**
 * Modes Replace and Create: every database is made, loaded and proved under a name of its own; then all of them take their
 * targets' places at once. On a failure before that the targets are as they were, and what was made is dropped.
 */
export async function restoreBeside(
  inputs: readonly PreparedInput[],
  wanted: BesideWanted,
  target: OpenTarget,
  progress: RestoreProgress,
  workshop: Workshop,
): Promise<readonly DatabaseEnd[]> {
  const { request, source, beforeSql = [], proof, keepPrevious } = wanted;
  const { signal } = workshop;
  const parts = await planParts(inputs, wanted.options, target);
  const made: Scratch[] = [];
  let begun = false;
  const notes = new Map<string, readonly string[]>();
  let previous: ReadonlyMap<string, string>;
  try {
    // All of them first: a locale or a right that is missing shows before a byte is fetched.
    for (const { plan, like, isBound } of parts) {
      progress.workOn(plan.target);
      begun = true;
      made.push(await makeScratch(plan, like, request, target));
      if (isBound) await makeBound(target.session, plan.loadInto, (name) => target.connect(name, signal));
    }
    for (const [index, { plan, load }] of parts.entries()) {
      const { target: name, loadInto } = plan;
      const connect = (): Promise<Connection> => target.connect(loadInto, signal);
      progress.workOn(name);
      signal.throwIfAborted();
      progress.at('Loading', name);
      await prepareDatabase(beforeSql, connect);
      const loaded = await load(progress, signal);
      const settings = made[index]?.properties.settings;
      const proved = await proveDatabase(proof, { target: name, settings }, connect, progress);
      notes.set(name, [...loaded, ...proved]);
      progress.databaseDone();
    }
    progress.workOn(undefined);
    progress.at('Swapping');
    const refused = new Map(parts.map(({ plan, refusals }) => [plan.target, refusals?.sum()?.count ?? 0]));
    previous = await swapScratch(made, { uid: request.uid, keepPrevious, source, refused }, target, workshop);
  } catch (error) {
    const dropped = begun ? await dropAll(wanted, target, workshop) : true;
    if (error instanceof Unsettled) throw error;
    throw dropped ? error : new Unsettled(toFailure(error));
  }
  const tidying = await finish(wanted, target, workshop);
  return parts.map(({ plan, input, refusals, swapNotes }, index) => ({
    source: input.database,
    target: plan.target,
    outcome: 'Restored',
    previous: previous.get(plan.target),
    refused: refusals?.sum(),
    notes: [...(made[index]?.notes ?? []), ...(notes.get(plan.target) ?? []), ...tidying, ...swapNotes],
  }));
}

/** beforeSql, in the new database. @throws Failure SqlFailed */
async function prepareDatabase(beforeSql: readonly string[], connect: () => Promise<Connection>): Promise<void> {
  if (beforeSql.length === 0) return;
  const connection = await connect();
  try {
    await connection.query('RESET search_path');
    await runSql('beforeSql', (text) => connection.query(text), beforeSql);
  } finally {
    await connection.close();
  }
}

/** Whose leavings, and beside which targets. */
type Left = Pick<BesideWanted, 'request' | 'databases'>;

/**
 * The targets hold what was restored, whatever happens here. A connection that is lost is followed by another one.
 * @returns what is left to be done, for people
 */
async function finish(wanted: Left, target: OpenTarget, { clock, log }: Workshop): Promise<readonly string[]> {
  try {
    return await bounded(clock, finishMilliseconds, async (limit) => {
      for (let tries = 1; ; tries += 1) {
        try {
          return await finishOnce(wanted, target, log, limit);
        } catch (error) {
          const { reason, message } = toFailure(error);
          if (tries === finishTries || (reason !== 'ConnectionLost' && reason !== 'ServerUnreachable')) throw error;
          log.warn('the connection was lost while what is left was cleared up', { error: message });
          await clock.sleep(finishPauseMilliseconds, limit);
        }
      }
    });
  } catch (error) {
    const { message } = toFailure(error);
    log.error('restored, but what is left could not be cleared up', { error: message });
    return [`what was replaced could not be cleared up: ${message}`];
  }
}

/** On a connection of its own: the session may have been lost in the swap. */
async function finishOnce(
  { request, databases }: Left,
  target: OpenTarget,
  log: Log,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const session = await target.connect(target.server.database, signal);
  const connect: OpenTarget['connect'] = (name, until) => target.connect(name, until);
  try {
    const settled = await settle(request, databases, { session, connect }, { log, signal });
    return settled.databases[0]?.notes ?? [];
  } finally {
    await session.close();
  }
}

/**
 * In a time and on a connection of its own: the run may be aborted. The session is ended first, so that nothing it began on the
 * server comes to its end afterwards. @returns whether nothing is left; a cleanup drops what is
 */
async function dropAll(
  { request: { uid }, databases }: Left,
  target: OpenTarget,
  { attempt, clock, log }: Workshop,
): Promise<boolean> {
  const names = databases.map((_, index) => scratchName(uid, attempt, index));
  try {
    await bounded(clock, dropMilliseconds, async (limit) => {
      const connection = await target.connect(target.server.database, limit);
      try {
        const session = { pid: target.sessionPid, holder: sessionName(uid) };
        await endSession(connection, session, clock, limit);
        for (const name of names) await dropDatabase(connection, name, (other) => target.connect(other, limit));
      } finally {
        await connection.close();
      }
    });
    return true;
  } catch (error) {
    log.error('scratch databases could not be dropped', { databases: names, error: toFailure(error).message });
    return false;
  }
}
