import { toFailure } from '../../../api/failure.ts';
import type { RestoredSource } from '../../../api/restore-spec.ts';
import type { RestoreSeal } from '../../../domain/restore-seal.ts';
import type { RefusedSum } from '../../../domain/report.ts';
import type { RestoreTaskTarget } from '../../../domain/task.ts';
import { findLeftBound } from '../../../postgres/bound-extension.ts';
import { dropDatabase, type Connect } from '../../../postgres/drop-database.ts';
import { sqlstateOf } from '../../../postgres/create-database.ts';
import { listMatching } from '../../../postgres/target-database.ts';
import type { Log } from '../../../support/log.ts';
import type { OpenTarget } from './open-target.ts';
import { sumUp, type TargetOutcome } from '../tell/restore-verdict.ts';
import { replacedPattern, scratchPattern } from './scratch-names.ts';
import { findSeals } from './seals.ts';

/** What an earlier try of the same request left, and what became of it. */
export interface Settled {
  /** Of all targets together. */
  readonly outcome: TargetOutcome;
  /** What was restored, if a seal tells it. */
  readonly source?: RestoredSource;
  readonly dropped: readonly string[];
  readonly databases: readonly SettledDatabase[];
}

export interface SettledDatabase {
  readonly source?: string;
  readonly target: string;
  readonly outcome: TargetOutcome;
  /** Name under which the replaced database is still there. */
  readonly previous?: string;
  /** How much the server had refused of it; which, the log of that try names. */
  readonly refused?: RefusedSum;
  readonly notes: readonly string[];
}

/**
 * Finds out by the seals of a request how far it came. Drops what it left beside its targets: scratch databases, and after a swap what
 * was replaced. All swaps of a request are one transaction: a seal of one target tells for all. A database that the server refuses to
 * drop stays and is named: what the targets are is known all the same.
 * @throws Failure of a connection
 */
export async function settle(
  request: { readonly uid: string },
  databases: RestoreTaskTarget['databases'],
  { session, connect }: Pick<OpenTarget, 'session' | 'connect'>,
  { log, signal }: { readonly log: Log; readonly signal: AbortSignal },
): Promise<Settled> {
  const seals = await findSeals(
    request.uid,
    databases.map(({ target }) => target),
    session,
  );
  const swapped = [...seals.values()].some(({ is }) => is === 'swapped');
  const dropped: string[] = [];
  const notes: string[] = [];
  const drop = async (name: string, what: string, open?: Connect): Promise<void> => {
    try {
      await dropDatabase(session, name, open);
      dropped.push(name);
    } catch (error) {
      const failure = toFailure(error);
      if (sqlstateOf(failure) === undefined) throw failure;
      log.warn(`${what} could not be dropped`, { database: name, error: failure.message });
      notes.push(`${what} is still there as "${name}" and can be dropped: ${failure.message}`);
    }
  };
  const scratch = scratchPattern(request.uid);
  for (const name of [...(await listMatching(session, scratch)), ...(await findLeftBound(session, scratch))]) {
    log.info('dropping what an earlier try left', { database: name });
    await drop(name, 'what an earlier try left', (other) => connect(other, signal));
  }
  for (const name of await listMatching(session, replacedPattern(request.uid))) {
    // Slots and prepared transactions in it are somebody's: it stays then.
    if (swapped) await drop(name, 'the replaced database');
    else notes.push(`a database "${name}" is there although nothing was swapped: it is left alone`);
  }
  const ends = databases.map(({ source, target }) => {
    const seal = seals.get(target);
    return {
      ...(source === undefined ? {} : { source }),
      target,
      outcome: swapped ? 'Restored' : outcomeOf(seal),
      ...(seal?.previous === undefined ? {} : { previous: seal.previous }),
      ...(seal?.refused === undefined ? {} : { refused: { count: seal.refused, entries: [] } }),
      notes,
    } as const;
  });
  const source = [...seals.values()].find((seal) => seal.source !== undefined)?.source;
  return { outcome: sumUp(ends), ...(source === undefined ? {} : { source }), dropped, databases: ends };
}

function outcomeOf(seal: RestoreSeal | undefined): TargetOutcome {
  if (seal === undefined) return 'Untouched';
  return seal.is === 'loading' ? 'Changed' : 'Restored';
}
