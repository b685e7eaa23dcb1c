import { createHash } from 'node:crypto';
import { Failure } from '../api/failure.ts';
import type { Clock } from '../support/clock.ts';
import type { Connection } from './connection.ts';

const pauseMs = 500;

/**
 * Locks databases of the server, by name and for as long as the connection lives, against other restores. An earlier holder of the
 * same request is a runner that is gone or will be: its session is ended, so that it can never swap any more.
 * @throws Failure TargetBusy when another request holds one of them for longer than `waitMs`
 */
export async function lockTargets(
  connection: Connection,
  names: readonly string[],
  options: {
    /** What this session calls itself: the same for all tries of one request. */
    readonly holder: string;
    readonly waitMs: number;
    readonly clock: Clock;
    readonly onWaiting: (detail: string) => void;
  },
  signal: AbortSignal,
): Promise<void> {
  const { clock, holder } = options;
  await connection.query(`SELECT set_config('application_name', $1, false)`, [holder]);
  const endMs = clock.monotonicMs() + options.waitMs;
  // In one order everywhere: two requests for the same databases never wait for each other.
  for (const name of [...names].sort()) {
    const key = lockKey(name);
    for (;;) {
      const [row] = await connection.query<{ got: boolean }>('SELECT pg_try_advisory_lock($1::bigint) AS got', [key]);
      if (row?.got === true) break;
      const other = await findHolder(connection, key);
      if (other?.name === holder) {
        await connection.query('SELECT pg_terminate_backend($1)', [other.pid]);
      } else if (clock.monotonicMs() >= endMs) {
        throw new Failure('TargetBusy', `another restore works on the database "${name}"${describe(other)}`);
      }
      options.onWaiting(`another restore works on the database "${name}"${describe(other)}`);
      await clock.sleep(pauseMs, signal);
    }
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
}

async function findHolder(connection: Connection, key: string): Promise<Holder | undefined> {
  const [row] = await connection.query<Holder>(
    `SELECT l.pid, coalesce(a.application_name, '') AS name
       FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
      WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND ((l.classid::bigint << 32) | l.objid::bigint) = $1::bigint`,
    [key],
  );
  return row;
}

function describe(holder: Holder | undefined): string {
  return holder === undefined || holder.name === '' ? '' : ` (${holder.name})`;
}
