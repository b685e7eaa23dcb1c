import { createHash } from 'node:crypto';
import { Failure } from '../api/failure.ts';
import type { Random } from '../support/clock.ts';
import type { Connection } from './connection.ts';

/** Of a try's own session: a number, of which it holds the lock for as long as it lives. */
export type Fence = string;

/** Runs one statement of ours: the first column of its first row as the server prints it. */
export type AskLoad = (text: string) => Promise<string | undefined>;

/** A condition over pg_locks `l`: an advisory lock of this number, in any database. No setting changes what its operators mean. */
function isLock(key: string): string {
  const bits = BigInt.asUintN(64, BigInt(key));
  const is = 'OPERATOR(pg_catalog.=)';
  const [high, low] = [bits >> 32n, bits & 0xffff_ffffn].map((half) => `'${half}'::pg_catalog.oid`);
  return `l.locktype ${is} 'advisory' AND l.granted AND l.objsubid ${is} 1 AND l.classid ${is} ${high} AND l.objid ${is} ${low}`;
}

/** Sets up the fence of a try: whoever finds its lock gone knows that the try's session was ended. */
export async function plantFence(connection: Connection, random: Pick<Random, 'bytes'>): Promise<Fence> {
  const fence = Buffer.from(random.bytes(8)).readBigInt64BE(0).toString();
  await connection.query('SELECT pg_advisory_lock($1::bigint)', [fence]);
  return fence;
}

/**
 * The first thing that a load does in its transaction, in the database that it changes. What it takes cannot be given back before the
 * transaction ends, whatever the SQL that follows does: so the next try finds its session, whatever that calls itself by then. And a load
 * that comes too late, because the next try has looked already, finds its fence gone. One of both always sees the other.
 * @throws Failure TargetBusy
 */
export async function claimLoad(ask: AskLoad, holder: string, fence: Fence): Promise<void> {
  const taken = await ask(`SELECT pg_catalog.pg_try_advisory_xact_lock(${claimOf(holder)})`);
  if (taken !== 't') throw new Failure('TargetBusy', 'another session holds the lock that this load has to itself');
  const stands = await ask(`SELECT 1 FROM pg_catalog.pg_locks l WHERE ${isLock(fence)} LIMIT 1`);
  if (stands === undefined) throw new Failure('TargetBusy', 'this try was ended by another one of the same request');
}

/** Ends loads of earlier tries, whatever they call themselves. To be called when their fences are gone. @returns whom it has told */
export async function endLoads(connection: Connection, holder: string): Promise<readonly number[]> {
  const rows = await connection.query<{ pid: number }>(
    `SELECT l.pid, pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
      WHERE a.usename = session_user AND l.pid <> pg_backend_pid() AND ${isLock(claimOf(holder))}`,
  );
  return rows.map(({ pid }) => pid);
}

function claimOf(holder: string): string {
  return createHash('sha256').update(`pgbackup load ${holder}`).digest().readBigInt64BE(0).toString();
}
