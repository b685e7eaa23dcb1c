import { toFailure, type Failure } from '../api/failure.ts';
import { aborted } from '../pipeline/aborted.ts';
import type { Clock } from '../support/clock.ts';
import { mayHealSoon } from './connect-failure.ts';
import { connectClient } from './connection.ts';
import type { Server } from './server.ts';

export interface WaitOptions {
  /** How long it is tried again; one attempt is always made. */
  readonly budgetMs: number;
  readonly clock: Clock;
  /** Called before each pause with why the last attempt failed. */
  readonly onWaiting: (failure: Failure) => void;
}

const attemptMs = 10_000;
const firstPauseMs = 500;
const longestPauseMs = 5_000;
/** For words of a pooler that leave open whether time can heal it. */
const doubtMs = 30_000;

/**
 * Waits until the server lets us in. What time can heal is tried again within the budget: a name that is not found yet, refused
 * or hanging connections, a server that is starting up or full. Whatever else somebody answers fails at once: wrong credentials, TLS,
 * missing and closed databases, a pooler that knows no such user.
 */
export async function waitForServer(server: Server, options: WaitOptions, signal: AbortSignal): Promise<void> {
  const { clock } = options;
  const beganMs = clock.monotonicMs();
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    try {
      const connection = await connectClient(server, server.database, { timeoutMs: attemptMs }, signal);
      await connection.close();
      return;
    } catch (error) {
      const failure = toFailure(error);
      const leftMs = beganMs + patienceMs(failure, options.budgetMs) - clock.monotonicMs();
      if (leftMs <= 0) throw failure;
      options.onWaiting(failure);
      try {
        await clock.sleep(Math.min(pauseMs, leftMs), signal);
      } catch (thrown) {
        throw signal.aborted ? aborted(signal) : thrown;
      }
    }
  }
}

function patienceMs(failure: Failure, budgetMs: number): number {
  if (failure.reason === 'ServerUnreachable') return budgetMs;
  return mayHealSoon(failure) ? Math.min(budgetMs, doubtMs) : 0;
}
