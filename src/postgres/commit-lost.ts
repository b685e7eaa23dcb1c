import { Failure, toFailure } from '../api/failure.ts';
import type { Clock } from '../support/clock.ts';
import type { Connection } from './connection.ts';
import { sqlstateOf } from './create-database.ts';

/** The server was told to commit, and nobody heard what it answered. */
export class CommitLost extends Failure {
  /** Of the transaction, as the server counts them (xid8). */
  readonly xid: string;
  readonly lost: Failure;

  constructor(xid: string, lost: Failure) {
    super('ConnectionLost', `whether the server committed is not known: ${lost.message}`, { cause: lost });
    this.xid = xid;
    this.lost = lost;
  }
}

/** @returns what is to be thrown after a COMMIT that failed so: a server that answered did not commit */
export function afterCommit(error: unknown, xid: string | undefined): unknown {
  const failure = toFailure(error);
  const isLost = failure.reason === 'ConnectionLost' || failure.reason === 'Aborted';
  return isLost && xid !== undefined ? new CommitLost(xid, failure) : error;
}

const pauseMs = 250;
const invalidParameter = '22023';

/** What became of a transaction of this server; waits while it goes on. Undefined: the server does not know it (any more). */
export async function fateOf(
  connection: Connection,
  xid: string,
  clock: Pick<Clock, 'sleep'>,
  signal: AbortSignal,
): Promise<'committed' | 'aborted' | undefined> {
  for (;;) {
    const status = await statusOf(connection, xid);
    if (status === 'committed' || status === 'aborted') return status;
    if (status !== 'in progress') return undefined;
    await clock.sleep(pauseMs, signal);
  }
}

async function statusOf(connection: Connection, xid: string): Promise<string | undefined> {
  try {
    const [row] = await connection.query<{ status: string | null }>(
      'SELECT pg_catalog.pg_xact_status($1::pg_catalog.xid8) AS status',
      [xid],
    );
    return row?.status ?? undefined;
  } catch (error) {
    // Of the future: another server took over that had not come so far.
    if (sqlstateOf(toFailure(error)) === invalidParameter) return undefined;
    throw error;
  }
}
