import { classifyStatement } from './classify-statement.ts';
import type { LoadSubject } from './classify-load-end.ts';
import { openLoadSession, type LoadSession } from './load-session.ts';
import type { RowSink } from './separate-rows.ts';
import type { Server } from './server.ts';

export interface RowLanesOptions {
  readonly count: number;
  /** Run in each session first. */
  readonly setUp: readonly string[];
  readonly tableOf: (dumpId: number) => RowsTable;
  readonly about: LoadSubject;
}

export interface RowsTable {
  /** COPY … FROM stdin, as its bytes. */
  readonly copy: Uint8Array;
  /** Something looks at its rows as they come: by one session, as they were dumped. */
  readonly inOrder: boolean;
}

export interface RowLanes extends RowSink {
  /** Idempotent, never throws. */
  close(): Promise<void>;
}

/** What may wait in a lane before whoever brings more waits, too. */
const waitingBytes = 1024 * 1024;

interface Rows {
  /** Undefined: there are no more of the entry before. */
  readonly dumpId: number | undefined;
  readonly pieces: readonly Uint8Array[];
  readonly bytes: number;
  /** They were sent, or the entry has ended. */
  readonly release: () => void;
}

interface Lane {
  readonly session: LoadSession;
  /** The first ones are being sent. */
  readonly queue: Rows[];
  bytes: number;
  wake: () => void;
}

/**
 * Several sessions that load the rows of one table at once, in any order; each of them has a COPY and a transaction of its own. The
 * next table begins when all have ended. @throws Failure ConnectionLost …
 */
export async function openRowLanes(
  server: Server,
  database: string,
  { count, setUp, tableOf, about }: RowLanesOptions,
  signal: AbortSignal,
): Promise<RowLanes> {
  const lanes: Lane[] = [];
  const works: Promise<void>[] = [];
  let broken: { readonly error: unknown } | undefined;
  /** For whoever waits for room, or for the end of an entry. */
  let tellRoom = (): void => {};
  let tellEnd = (): void => {};
  /** Where the rest of a row must follow. */
  let begun: Lane | undefined;

  const orFail = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw classifyStatement(error, about, undefined);
    }
  };
  const whenMore = async (lane: Lane): Promise<Rows> => {
    for (;;) {
      if (broken !== undefined) throw broken.error;
      const [rows] = lane.queue;
      if (rows !== undefined) return rows;
      await new Promise<void>((resolve) => {
        lane.wake = resolve;
      });
    }
  };
  /** Rows of one entry, as long as no others are waiting. */
  async function* rowsOf(lane: Lane, dumpId: number): AsyncGenerator<readonly Uint8Array[], void, void> {
    for (;;) {
      const rows = await whenMore(lane);
      if (rows.dumpId !== dumpId) return;
      yield rows.pieces;
      rows.release();
      lane.queue.shift();
      lane.bytes -= rows.bytes;
      tellRoom();
    }
  }
  const work = async (lane: Lane): Promise<void> => {
    for (;;) {
      const { dumpId, release } = await whenMore(lane);
      if (dumpId === undefined) {
        lane.queue.shift();
        release();
      } else await orFail(lane.session.copy([tableOf(dumpId).copy], rowsOf(lane, dumpId)));
    }
  };
  const fail = (error: unknown): void => {
    broken ??= { error };
    tellRoom();
    tellEnd();
    for (const lane of lanes) lane.wake();
  };
  const close = async (): Promise<void> => {
    fail(new Error('the lanes were closed'));
    await Promise.all(lanes.map(async ({ session }) => session.close()));
    await Promise.all(works);
  };

  try {
    for (let opened = 0; opened < count; opened += 1) {
      const session = await openLoadSession(server, database, signal);
      lanes.push({ session, queue: [], bytes: 0, wake: () => {} });
      for (const statement of setUp) await orFail(session.run([Buffer.from(statement, 'latin1')]));
    }
  } catch (error) {
    await close();
    throw error;
  }
  works.push(...lanes.map(async (lane) => work(lane).catch(fail)));

  /** The one that has least to do. */
  const choose = (): Lane => {
    if (begun !== undefined) return begun;
    const [first, ...others] = lanes;
    if (first === undefined) throw new Error('there are no lanes');
    return others.reduce((best, lane) => (lane.bytes < best.bytes ? lane : best), first);
  };

  const findRoom = async (): Promise<Lane> => {
    for (;;) {
      if (broken !== undefined) throw broken.error;
      const lane = choose();
      if (lane.bytes < waitingBytes) return lane;
      await new Promise<void>((resolve) => {
        tellRoom = resolve;
      });
    }
  };

  return {
    close,
    async take(dumpId, { pieces, isWhole, release }) {
      const lane = await findRoom();
      const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
      lane.queue.push({ dumpId, pieces, bytes, release });
      lane.bytes += bytes;
      lane.wake();
      begun = isWhole && !tableOf(dumpId).inOrder ? undefined : lane;
    },
    async endEntry() {
      begun = undefined;
      let left = lanes.length;
      await new Promise<void>((resolve) => {
        tellEnd = resolve;
        const release = (): void => {
          left -= 1;
          if (left === 0) resolve();
        };
        if (broken !== undefined) resolve();
        for (const lane of lanes) {
          lane.queue.push({ dumpId: undefined, pieces: [], bytes: 0, release });
          lane.wake();
        }
      });
      if (broken !== undefined) throw broken.error;
    },
  };
}
