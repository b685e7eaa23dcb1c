import type { RestoredSource } from '../../api/restore-spec.ts';
import { toFailure } from '../../api/failure.ts';
import type { RestoreTask } from '../../domain/task.ts';
import { makeBound } from '../../postgres/bound-extension.ts';
import { dropDatabase } from '../../postgres/drop-database.ts';
import { endSession } from '../../postgres/target-lock.ts';
import type { Log } from '../../support/log.ts';
import { bounded } from '../bounded.ts';
import type { Workshop } from '../workshop.ts';
import type { TargetPlan } from './target/check-target.ts';
import { makeScratch, type Scratch } from './swap/make-scratch.ts';
import type { NewDatabase } from './swap/new-database.ts';
import type { OpenTarget } from './target/open-target.ts';
import { proveDatabase } from './prove/prove-database.ts';
import type { RestoreProgress } from './tell/restore-progress.ts';
import { runSql } from './prove/run-sql.ts';
import { scratchName, sessionName } from './target/scratch-names.ts';
import { settle } from './target/settle.ts';
import { swapScratch } from './swap/swap-scratch.ts';
import { Unsettled } from './unsettled.ts';

/** A pod gets 30 s between SIGTERM and SIGKILL. */
const dropMilliseconds = 20_000;
/** Dropping a large database takes minutes on slow disks. */
const finishMilliseconds = 15 * 60_000;
const finishTries = 5;
const finishPauseMilliseconds = 2_000;

export interface BesidePart {
  readonly plan: TargetPlan;
  readonly like: NewDatabase;
  /** Loads it. @returns notes */
  readonly load: () => Promise<readonly string[]>;
  /** It has an extension that takes no scratch database of any name. */
  readonly isBound: boolean;
  /** How much the server has refused of it. */
  readonly refused: () => number;
}

export interface BesideEnd {
  readonly plan: TargetPlan;
  readonly previous?: string;
  readonly notes: readonly string[];
}

/**
 * Modes Replace and Create: every database is made, loaded and proved under a name of its own; then all of them take their
 * targets' places at once. On a failure before that the targets are as they were, and what was made is dropped.
 * @param onWork names the database that is worked on
 */
export async function restoreBeside(
  task: RestoreTask,
  parts: readonly BesidePart[],
  source: RestoredSource,
  target: OpenTarget,
  progress: RestoreProgress,
  workshop: Workshop,
  onWork: (plan: TargetPlan | undefined) => void,
): Promise<readonly BesideEnd[]> {
  const { signal } = workshop;
  const made: Scratch[] = [];
  let begun = false;
  const notes = new Map<string, readonly string[]>();
  let previous: ReadonlyMap<string, string>;
  try {
    // All of them first: a locale or a right that is missing shows before a byte is fetched.
    for (const { plan, like, isBound } of parts) {
      onWork(plan);
      begun = true;
      made.push(await makeScratch(plan, like, task.request, target));
      if (isBound) await makeBound(target.session, plan.loadInto, (name) => target.connect(name, signal));
    }
    for (const [index, { plan, load }] of parts.entries()) {
      onWork(plan);
      signal.throwIfAborted();
      progress.at('Loading', plan.target);
      await prepareDatabase(task, plan.loadInto, target, signal);
      const loaded = await load();
      const proved = await proveDatabase(task, plan, made[index]?.properties, target, progress, signal);
      notes.set(plan.target, [...loaded, ...proved]);
      progress.databaseDone();
    }
    onWork(undefined);
    progress.at('Swapping');
    previous = await swapScratch(
      made,
      {
        uid: task.request.uid,
        keepPrevious: task.keepPrevious,
        source,
        refused: new Map(parts.map(({ plan, refused }) => [plan.target, refused()])),
      },
      target,
      workshop,
    );
  } catch (error) {
    const dropped = begun ? await dropAll(task, target, workshop) : true;
    if (error instanceof Unsettled) throw error;
    throw dropped ? error : new Unsettled(toFailure(error));
  }
  const tidying = await finish(task, target, workshop);
  return made.map(({ plan, notes: madeNotes }) => {
    const kept = previous.get(plan.target);
    return {
      plan,
      ...(kept === undefined ? {} : { previous: kept }),
      notes: [...madeNotes, ...(notes.get(plan.target) ?? []), ...tidying],
    };
  });
}

/** beforeSql, in the new database. @throws Failure SqlFailed */
async function prepareDatabase(
  { beforeSql = [] }: Pick<RestoreTask, 'beforeSql'>,
  database: string,
  target: OpenTarget,
  signal: AbortSignal,
): Promise<void> {
  if (beforeSql.length === 0) return;
  const connection = await target.connect(database, signal);
  try {
    await connection.query('RESET search_path');
    await runSql('beforeSql', (text) => connection.query(text), beforeSql);
  } finally {
    await connection.close();
  }
}

/**
 * The targets hold what was restored, whatever happens here. A connection that is lost is followed by another one.
 * @returns what is left to be done, for people
 */
async function finish(task: RestoreTask, target: OpenTarget, { clock, log }: Workshop): Promise<readonly string[]> {
  try {
    return await bounded(clock, finishMilliseconds, async (limit) => {
      for (let tries = 1; ; tries += 1) {
        try {
          return await finishOnce(task, target, log, limit);
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
  task: RestoreTask,
  target: OpenTarget,
  log: Log,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const session = await target.connect(target.server.database, signal);
  const connect: OpenTarget['connect'] = (name, until) => target.connect(name, until);
  try {
    const settled = await settle(task.request, task.target.databases, { session, connect }, { log, signal });
    return settled.databases[0]?.notes ?? [];
  } finally {
    await session.close();
  }
}

/**
 * In a time and on a connection of its own: the run may be aborted. The session is ended first, so that nothing it began on the
 * server comes to its end afterwards. @returns whether nothing is left; a cleanup drops what is
 */
async function dropAll(task: RestoreTask, target: OpenTarget, { attempt, clock, log }: Workshop): Promise<boolean> {
  const names = task.target.databases.map((_, index) => scratchName(task.request.uid, attempt, index));
  try {
    await bounded(clock, dropMilliseconds, async (limit) => {
      const connection = await target.connect(target.server.database, limit);
      try {
        const session = { pid: target.sessionPid, holder: sessionName(task.request.uid) };
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
