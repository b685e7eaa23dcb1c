import { toFailure, type Failure } from '../../../api/failure.ts';
import { connectClient, type Connection } from '../../../postgres/connection.ts';
import { plantFence, type Fence } from '../../../postgres/load-claim.ts';
import { inspectServer, type ServerFacts } from '../../../postgres/inspect.ts';
import type { Server } from '../../../postgres/server.ts';
import { readSettable } from '../../../postgres/read-settable.ts';
import { steadied } from '../../../postgres/steady-session.ts';
import { lockTargets } from '../../../postgres/target-lock.ts';
import { idleProgress } from '../../progress.ts';
import { readServer } from '../../read-server.ts';
import type { Workshop } from '../../workshop.ts';
import type { TargetWanted } from '../wanted.ts';
import { chooseBeside } from './choose-beside.ts';
import { sessionName } from './scratch-names.ts';

const connectTimeoutMilliseconds = 30_000;
const lockWaitMilliseconds = 30_000;
const tellMilliseconds = 5_000;

/** The server of a restore, reached and locked for its targets. */
export interface OpenTarget {
  /** Its `database` is one that is not among the targets. */
  readonly server: Server;
  readonly facts: ServerFacts;
  /** Holds the locks, and does the swap. */
  readonly session: Connection;
  /** The server's process behind it. */
  readonly sessionPid: number;
  /** Stands as long as that process does. */
  readonly fence: Fence;
  /** Another connection; to be closed by the caller. */
  connect(database: string, signal: AbortSignal): Promise<Connection>;
  /** From now on an abort does not end the session any more: what it does is finished. */
  shelter(): void;
  close(): Promise<void>;
}

/**
 * Waits for the server within the time for that, connects beside the targets, and locks them.
 * @throws Failure SecretMissing, SecretInvalid, TargetBusy and those of connecting
 */
export async function openTarget(wanted: TargetWanted, workshop: Workshop): Promise<OpenTarget> {
  const { clock, signal } = workshop;
  const holder = sessionName(wanted.request.uid);
  const given = {
    ...(await readServer(wanted.server, workshop.secrets, signal)),
    // All sessions, those of the programs too: the next try finds and ends them.
    sessionName: holder,
  };
  const names = wanted.databases.map(({ target }) => target);
  const waiting = tellWaiting(workshop);
  const budgetMs = wanted.waitForServerSeconds * 1000;
  const wait = { budgetMs, clock, onWaiting: ({ message }: Failure) => waiting(message) };
  const beside = { ...given, database: await chooseBeside(given, names, wait, signal) };
  const end = new AbortController();
  const onAbort = (): void => end.abort(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  const limits = { timeoutMs: connectTimeoutMilliseconds, readLimitMs: workshop.stallMilliseconds };
  const session = await connectClient(beside, beside.database, limits, end.signal);
  const close = async (): Promise<void> => {
    signal.removeEventListener('abort', onAbort);
    await session.close();
  };
  try {
    const facts = await inspectServer(session);
    const settable = await readSettable(session, facts.major);
    const server = steadied(beside, { direct: session.direct, major: facts.major, settable });
    await lockTargets(session, names, { holder, waitMs: lockWaitMilliseconds, clock, onWaiting: waiting }, signal);
    const fence = await plantFence(session, workshop.random);
    const [row] = await session.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    return {
      server,
      facts,
      session,
      sessionPid: row?.pid ?? 0,
      fence,
      connect: (database, until) => connectClient(server, database, { timeoutMs: connectTimeoutMilliseconds }, until),
      shelter: () => signal.removeEventListener('abort', onAbort),
      close,
    };
  } catch (error) {
    await close();
    signal.throwIfAborted();
    throw toFailure(error);
  }
}

function tellWaiting({ clock, lines }: Workshop): (detail: string) => void {
  let toldAtMs = Number.NEGATIVE_INFINITY;
  return (detail) => {
    if (clock.monotonicMs() - toldAtMs < tellMilliseconds) return;
    toldAtMs = clock.monotonicMs();
    lines.progress({ ...idleProgress, waiting: 'WaitingForServer', detail });
  };
}
