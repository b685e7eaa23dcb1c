import { toFailure, type Failure } from '../api/failure.ts';
import { aborted } from '../pipeline/aborted.ts';
import type { Clock } from '../support/clock.ts';
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

/**
 * Waits until the server lets us in. What time can heal is tried again within the budget: a name that is not found yet, refused
 * or hanging connections, a server that is starting up or full. Wrong credentials, TLS and missing databases fail at once.
 */
export async function waitForServer(server: Server, options: WaitOptions, signal: AbortSignal): Promise<void> {
  const { clock } = options;
  const endMs = clock.monotonicMs() + options.budgetMs;
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    try {
      const connection = await connectClient(server, server.database, { timeoutMs: attemptMs }, signal);
      await connection.close();
      return;
    } catch (error) {
      const failure = toFailure(error);
      const leftMs = endMs - clock.monotonicMs();
      if (failure.reason !== 'ServerUnreachable' || leftMs <= 0) throw failure;
      options.onWaiting(failure);
      try {
        await clock.sleep(Math.min(pauseMs, leftMs), signal);
      } catch (thrown) {
        throw signal.aborted ? aborted(signal) : thrown;
      }
    }
  }
}
