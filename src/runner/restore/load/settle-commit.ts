import { toFailure, type Failure } from '../../../api/failure.ts';
import { CommitLost, fateOf } from '../../../postgres/commit-lost.ts';
import { waitForServer } from '../../../postgres/wait-for-server.ts';
import { bounded } from '../../bounded.ts';
import type { Workshop } from '../../workshop.ts';
import type { OpenTarget } from '../target/open-target.ts';
import { findSeals } from '../target/seals.ts';
import { Unsettled } from '../unsettled.ts';

const lookMilliseconds = 60_000;
/** A pod gets 30 s between SIGTERM and SIGKILL. */
const hurryMilliseconds = 15_000;

/**
 * Asks the server what became of a transaction whose COMMIT nobody heard the answer to: to repeat it would double what it did. Its seal
 * tells, as soon as the transaction does not go on any more.
 * @returns notes, if it is committed
 * @throws the failure as it was, if it is not (or was of another kind); Unsettled when nobody could be asked: the next try asks
 */
export async function settleCommit(
  error: unknown,
  { uid, database }: { readonly uid: string; readonly database: string },
  target: OpenTarget,
  { clock, signal, log }: Workshop,
): Promise<readonly string[]> {
  if (!(error instanceof CommitLost)) throw error;
  let committed: boolean;
  try {
    committed = await bounded(
      clock,
      lookMilliseconds + 10_000,
      async (limit) => {
        const onWaiting = ({ message }: Failure): void =>
          log.warn('waiting to see whether the load was committed', { error: message });
        await waitForServer(target.server, { budgetMs: lookMilliseconds, clock, onWaiting }, limit);
        const connection = await target.connect(target.server.database, limit);
        try {
          const fate = await fateOf(connection, error.xid, clock, limit);
          const seal = (await findSeals(uid, [database], connection)).get(database);
          return seal?.is === 'loaded' || fate === 'committed';
        } finally {
          await connection.close();
        }
      },
      { signal, milliseconds: hurryMilliseconds },
    );
  } catch (thrown) {
    log.error('whether the load was committed could not be found out', { error: toFailure(thrown).message });
    throw new Unsettled(error);
  }
  log.warn('the connection was lost while the load was committed', { committed });
  if (!committed) throw error.lost;
  return ['the connection was lost while it was committed; the server says that it is'];
}
