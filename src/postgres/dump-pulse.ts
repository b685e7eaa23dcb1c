import { Failure, toFailure } from '../api/failure.ts';
import { wasAnswered } from './connect-failure.ts';
import { connectClient } from './connection.ts';
import type { Server } from './server.ts';

interface Session {
  readonly state: string | null;
  readonly type: string | null;
  readonly event: string | null;
  readonly since: string | null;
}

/**
 * Whether a dump that gives nothing still works, asked of the server on another connection. It may scan a table of which it selects
 * nothing, sort, or wait for a lock: then it is left alone. It is over when the server does not answer, has no such session any more,
 * or is seen twice, unchanged, to wait for a client that waits for it.
 * @param session application_name of the dump's sessions, of nobody else's
 * @returns what tells why it is over; never rejects
 */
export function dumpPulse(
  server: Server,
  session: string,
  limitMs: number,
): (signal: AbortSignal) => Promise<Failure | undefined> {
  let before = '';
  return async (signal) => {
    try {
      const connection = await connectClient(
        server,
        server.database,
        { timeoutMs: limitMs, queryLimitMs: limitMs },
        signal,
      );
      try {
        const sessions = await connection.query<Session>(
          `SELECT state, wait_event_type AS type, wait_event AS event, state_change::text AS since FROM pg_stat_activity
            WHERE application_name = $1 AND pid <> pg_backend_pid() ORDER BY pid`,
          [session],
        );
        // A pooler may not hand on what its clients call themselves.
        if (sessions.length === 0)
          return connection.direct ? over('the server has no session of it any more') : undefined;
        const now = JSON.stringify(sessions);
        const unchanged = now === before;
        before = now;
        return unchanged && sessions.every(waitsForClient)
          ? over('the server waits for it, and it for the server')
          : undefined;
      } finally {
        await connection.close();
      }
    } catch (error) {
      const failure = toFailure(error);
      // Full, or starting up: whoever says so is alive. The dump will tell by itself.
      if (signal.aborted || wasAnswered(failure)) return undefined;
      return over(failure.message);
    }
  };
}

function waitsForClient({ state, type }: Session): boolean {
  return type === 'Client' || (state ?? '').startsWith('idle');
}

function over(why: string): Failure {
  return new Failure('ConnectionLost', `the dump gets nothing any more: ${why}`, {
    hint: 'A firewall or load balancer may drop connections without a word: let it keep those that are open.',
  });
}
