import { Failure, toFailure } from '../api/failure.ts';
import type { Clock } from '../support/clock.ts';
import type { Connection } from './connection.ts';
import { sqlstateOf } from './create-database.ts';
import { quoteName } from './quote.ts';

/** One database that takes the place of another. */
export interface Swap {
  readonly scratch: { readonly name: string; readonly oid: string };
  readonly target: string;
  /** What has the target's name until now, and which name it gets; undefined: nothing has it. */
  readonly replaced?: { readonly oid: string; readonly name: string };
  /** Statements in the same transaction, after the renames. */
  readonly statements: readonly string[];
}

export interface SwapTools {
  /** Does the swap; must be connected to none of the databases. */
  readonly connection: Connection;
  /** Ends other connections meanwhile. */
  readonly second: Connection;
  readonly clock: Clock;
}

const rounds = 3;
const pauseMs = 50;
const lockTimeoutMs = 10_000;

/**
 * Renames all of them in one transaction, or none. RENAME locks the database first: from then on nobody can connect to it (new
 * clients wait for the lock, then find another database or none), and it waits up to 5 s for those who are connected; these are
 * ended meanwhile from the second connection. The other way round (end first, then rename) loses against clients that come back
 * at once.
 * @throws Failure TargetBusy when somebody could not be ended, or a database is not any more what it was; ConnectionLost: then
 *   nobody knows whether it was done
 */
export async function swapDatabases(swaps: readonly Swap[], tools: SwapTools, signal: AbortSignal): Promise<void> {
  for (let round = 1; ; round += 1) {
    const over = new AbortController();
    const ending = endOthers(swaps, tools, AbortSignal.any([signal, over.signal]));
    let failure: Failure | undefined;
    try {
      await renameAll(swaps, tools.connection);
    } catch (error) {
      failure = toFailure(error);
    }
    over.abort();
    const kept = await ending;
    if (failure === undefined) return;
    const code = sqlstateOf(failure);
    const busy = code === '55006' || code === '55P03';
    if (!busy) throw failure;
    if (round >= rounds || signal.aborted) throw describeBusy(failure, kept);
  }
}

async function renameAll(swaps: readonly Swap[], connection: Connection): Promise<void> {
  await connection.query('BEGIN');
  try {
    await connection.query(`SET LOCAL lock_timeout = ${lockTimeoutMs}`);
    for (const { scratch, target, replaced } of swaps) {
      if (replaced !== undefined) await rename(connection, target, replaced.name, replaced.oid);
      await rename(connection, scratch.name, target, scratch.oid);
    }
    for (const { statements } of swaps) for (const statement of statements) await connection.query(statement);
  } catch (error) {
    // Without a connection the server rolls it back itself.
    await connection.query('ROLLBACK').catch(() => {});
    throw error;
  }
  await connection.query('COMMIT');
}

/** The oid is looked at after the rename, when nobody else can change it any more. */
async function rename(connection: Connection, from: string, to: string, oid: string): Promise<void> {
  try {
    await connection.query(`ALTER DATABASE ${quoteName(from)} RENAME TO ${quoteName(to)}`);
  } catch (error) {
    const failure = toFailure(error);
    const code = sqlstateOf(failure);
    if (code === '3D000') throw changed(`the database "${from}" is gone`, error);
    if (code === '42P04') throw changed(`a database "${to}" has appeared`, error);
    throw failure;
  }
  const [row] = await connection.query<{ oid: string }>('SELECT oid::text AS oid FROM pg_database WHERE datname = $1', [
    to,
  ]);
  if (row?.oid !== oid) throw changed(`the database "${from}" is another one than before`);
}

function changed(what: string, cause?: unknown): Failure {
  return new Failure('TargetBusy', `${what}; somebody else works on it`, cause === undefined ? {} : { cause });
}

/** Ends the connections of others to these databases again and again until aborted. @returns whom it may not end */
async function endOthers(
  swaps: readonly Swap[],
  { second, clock }: SwapTools,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const oids = swaps.flatMap(({ scratch, replaced }) => [
    scratch.oid,
    ...(replaced === undefined ? [] : [replaced.oid]),
  ]);
  const kept = new Map<string, string>();
  while (!signal.aborted) {
    try {
      const others = await second.query<{ pid: number; who: string }>(
        `SELECT pid, format('%s (pid %s)', coalesce(usename, backend_type), pid) AS who
           FROM pg_stat_activity WHERE datid = ANY ($1::oid[]) AND pid <> pg_backend_pid()`,
        [oids],
      );
      for (const { pid, who } of others) {
        if (signal.aborted) break;
        if (!kept.has(String(pid)) && !(await endOne(second, pid))) kept.set(String(pid), who);
      }
      await clock.sleep(pauseMs, signal);
    } catch {
      // Ended, or the second connection broke: then the rename says what is in its way.
      break;
    }
  }
  return new Set(kept.values());
}

async function endOne(connection: Connection, pid: number): Promise<boolean> {
  try {
    await connection.query('SELECT pg_terminate_backend($1)', [pid]);
    return true;
  } catch (error) {
    if (toFailure(error).reason === 'PermissionDenied') return false;
    throw error;
  }
}

function describeBusy(failure: Failure, kept: ReadonlySet<string>): Failure {
  const { cause } = failure;
  const detail =
    typeof cause === 'object' && cause !== null && 'detail' in cause && typeof cause.detail === 'string'
      ? ` (${cause.detail})`
      : '';
  const whom = kept.size === 0 ? '' : `; may not be ended by us: ${[...kept].slice(0, 10).join(', ')}`;
  return new Failure('TargetBusy', `the databases could not be swapped: ${failure.message}${detail}${whom}`, {
    cause: failure,
    hint:
      kept.size === 0
        ? 'look into pg_stat_activity and pg_prepared_xacts for what still uses the database'
        : 'grant pg_signal_backend to the user of the restore, or end these connections',
  });
}
