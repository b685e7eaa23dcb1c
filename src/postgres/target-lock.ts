import { createHash } from 'node:crypto';
import { Failure } from '../api/failure.ts';
import type { Clock } from '../support/clock.ts';
import type { Connection } from './connection.ts';
import { endLoads } from './load-claim.ts';

const pauseMs = 500;

export interface LockOptions {
  /** What sessions of this request call themselves: the same for all its tries. */
  readonly holder: string;
  readonly waitMs: number;
  readonly clock: Clock;
  readonly onWaiting: (detail: string) => void;
}

/**
 * Locks databases of the server, by name and by oid and for as long as the connection lives, against other restores, however these
 * name the server and whichever database they sit in. Earlier sessions of the same request belong to a runner that is gone or will
 * be: all of them are ended first, so that none of them can commit or swap any more.
 * @throws Failure TargetBusy when another request holds one of them for longer than `waitMs`, or a session does not end
 */
export async function lockTargets(
  connection: Connection,
  names: readonly string[],
  options: LockOptions,
  signal: AbortSignal,
): Promise<void> {
  await connection.query(`SELECT set_config('application_name', $1, false)`, [options.holder]);
  const endMs = options.clock.monotonicMs() + options.waitMs;
  await endEarlier(connection, options, endMs, signal);
  // In one order everywhere: two requests for the same databases never wait for each other.
  const sorted = [...names].sort();
  for (const name of sorted) await lockOne(connection, name, lockKey(name), options, endMs, signal);
  // Whoever renames a database meanwhile does not make it another one.
  const rows = await connection.query<{ oid: string; name: string }>(
    'SELECT oid::text AS oid, datname AS name FROM pg_database WHERE datname = ANY ($1) ORDER BY oid',
    [sorted],
  );
  for (const { oid, name } of rows) await lockOne(connection, name, lockKey(`oid ${oid}`), options, endMs, signal);
}

/**
 * Advisory locks are of one database each, but all of them are seen in pg_locks. So to hold one is a claim, until nobody else is seen
 * with the same one in any database: of two that claim, one must have looked when the other one had claimed. The first by database
 * keeps its claim while it waits; the others make room.
 */
async function lockOne(
  connection: Connection,
  name: string,
  key: string,
  { clock, holder, onWaiting }: LockOptions,
  endMs: number,
  signal: AbortSignal,
): Promise<void> {
  let claimed = false;
  for (;;) {
    const seen = claimed ? [] : await findHolders(connection, key, holder);
    if (!claimed && seen.length === 0) {
      const [row] = await connection.query<{ got: boolean }>('SELECT pg_try_advisory_lock($1::bigint) AS got', [key]);
      claimed = row?.got === true;
    }
    const holders = await findHolders(connection, key, holder);
    const others = holders.filter(({ isUs }) => !isUs);
    if (claimed && others.length === 0) return;
    if (claimed && holders[0]?.isUs !== true) {
      await connection.query('SELECT pg_advisory_unlock($1::bigint)', [key]);
      claimed = false;
    }
    for (const { pid, isEarlier } of others) {
      if (isEarlier) await connection.query('SELECT pg_terminate_backend($1)', [pid]);
    }
    const detail = `another restore works on the database "${name}"${describe(others[0])}`;
    if (clock.monotonicMs() >= endMs) throw new Failure('TargetBusy', detail);
    onWaiting(detail);
    await clock.sleep(pauseMs, signal);
  }
}

/**
 * Ends every other session that calls itself so and is of our user, then loads whose script changed that, and waits until their processes
 * are gone. In this order: see `claimLoad`.
 */
async function endEarlier(
  connection: Connection,
  { clock, holder, onWaiting }: LockOptions,
  endMs: number,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const rows = await connection.query<{ pid: number }>(
      `SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name = $1 AND usename = session_user AND pid <> pg_backend_pid()`,
      [holder],
    );
    const pids = rows.length > 0 ? rows.map(({ pid }) => pid) : await endLoads(connection, holder);
    if (pids.length === 0) return;
    const detail = `waiting until sessions of an earlier try end (pid ${pids.join(', ')})`;
    if (clock.monotonicMs() >= endMs) throw new Failure('TargetBusy', `${detail} in vain`);
    onWaiting(detail);
    await clock.sleep(pauseMs, signal);
  }
}

/** Ends a session of ours that may have outlived its connection, and waits until its process is gone. */
export async function endSession(
  connection: Connection,
  session: { readonly pid: number; readonly holder: string },
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const rows = await connection.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE pid = $1 AND application_name = $2 AND pid <> pg_backend_pid()`,
      [session.pid, session.holder],
    );
    if (rows.length === 0) return;
    await clock.sleep(pauseMs, signal);
  }
}

/** A signed 64-bit number from the name; the prefix keeps away from other users of advisory locks. */
function lockKey(name: string): string {
  return createHash('sha256').update(`pgbackup restore ${name}`).digest().readBigInt64BE(0).toString();
}

interface Holder {
  readonly pid: number;
  readonly name: string;
  readonly isUs: boolean;
  /** An earlier try of the same request. */
  readonly isEarlier: boolean;
}

/** Whoever holds it, in any database of the server; in an order that all of them see. */
function findHolders(connection: Connection, key: string, holder: string): Promise<readonly Holder[]> {
  return connection.query<Holder>(
    `SELECT l.pid, coalesce(a.application_name, '') AS name, l.pid = pg_backend_pid() AS "isUs",
            l.pid <> pg_backend_pid() AND coalesce(a.application_name = $2 AND a.usename = session_user, false) AS "isEarlier"
       FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
      WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
        AND ((l.classid::bigint << 32) | l.objid::bigint) = $1::bigint
      ORDER BY l.database, l.pid`,
    [key, holder],
  );
}

function describe(holder: Holder | undefined): string {
  return holder === undefined || holder.name === '' ? '' : ` (${holder.name})`;
}
