import { toFailure, type Failure } from '../../api/failure.ts';
import { CommitLost, fateOf } from '../../postgres/commit-lost.ts';
import { waitForServer } from '../../postgres/wait-for-server.ts';
import { bounded } from '../bounded.ts';
import type { Workshop } from '../workshop.ts';
import type { OpenTarget } from './open-target.ts';

const lookMilliseconds = 60_000;
/** A pod gets 30 s between SIGTERM and SIGKILL. */
const hurryMilliseconds = 15_000;

/**
 * Asks the server what became of a transaction whose COMMIT nobody heard the answer to: to repeat it would double what it did.
 * @returns notes, if it is committed
 * @throws the failure as it was, if it is not (or was of another kind); CommitLost when nobody could be asked
 */
export async function settleCommit(
  error: unknown,
  database: string,
  target: OpenTarget,
  { clock, signal, log }: Workshop,
): Promise<readonly string[]> {
  if (!(error instanceof CommitLost)) throw error;
  let fate: Awaited<ReturnType<typeof fateOf>>;
  try {
    fate = await bounded(
      clock,
      lookMilliseconds + 10_000,
      async (limit) => {
        const onWaiting = ({ message }: Failure): void =>
          log.warn('waiting to see whether the load was committed', { error: message });
        await waitForServer(target.server, { budgetMs: lookMilliseconds, clock, onWaiting }, limit);
        const connection = await target.connect(database, limit);
        try {
          return await fateOf(connection, error.xid, clock, limit);
        } finally {
          await connection.close();
        }
      },
      { signal, milliseconds: hurryMilliseconds },
    );
  } catch (thrown) {
    log.error('whether the load was committed could not be found out', { error: toFailure(thrown).message });
    throw error;
  }
  if (fate === undefined) throw error;
  log.warn('the connection was lost while the load was committed', { transaction: fate });
  if (fate === 'aborted') throw error.lost;
  return ['the connection was lost while it was committed; the server says that it is'];
}
