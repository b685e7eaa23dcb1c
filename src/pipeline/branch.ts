import { Failure, toFailure } from '../api/failure.ts';
import { aborted } from './aborted.ts';
import type { Sink, SinkOutcome } from './sink.ts';

/** One sink of a fan-out with what waits for it. */
export interface Branch<R> {
  readonly name: string;
  /** Settles when the sink did, or was let go of; never rejects. */
  readonly outcome: Promise<SinkOutcome<R>>;
  /** True while the sink is to get chunks. */
  isLive(): boolean;
  isFull(): boolean;
  push(chunk: Uint8Array): void;
  /** There are no more chunks. */
  end(): void;
  isEnded(): boolean;
  /** The body throws `error` instead of its next chunk. */
  fail(error: unknown): void;
  abort(reason: Failure): void;
  /** It gets nothing more, is aborted, and has failed whatever it says from now on. */
  giveUp(failure: Failure): void;
  /** It is not waited for any longer. */
  letGo(): void;
  /** True while it is the sink's turn: a chunk waits, or the end, and the sink has not settled. */
  owes(): boolean;
  /** Grows with every chunk that the sink takes, and when it reaches the end. */
  moves(): number;
  /** True while the source, or its end, waits for this sink. */
  holds(): boolean;
  /** True while the sink is well and has taken all that it got. */
  isSated(): boolean;
}

export function openBranch<R>(sink: Sink<R>, ahead: number, onRoom: () => void): Branch<R> {
  const controller = new AbortController();
  const waiting: Uint8Array[] = [];
  let state: 'open' | 'ended' | 'failed' = 'open';
  let error: unknown;
  let moves = 0;
  let started = false;
  let left = false;
  let settled = false;
  let readToEnd = false;
  let givenUp: Failure | undefined;
  let wentWrong = false;
  let wakeReader = (): void => {};
  let wakeWaiter = (): void => {};

  async function* body(): AsyncGenerator<Uint8Array, void, void> {
    if (started) throw new Failure('Internal', `${sink.name} read a stream for the second time`);
    started = true;
    try {
      for (;;) {
        if (state === 'failed') throw error;
        const chunk = waiting.shift();
        if (chunk !== undefined) {
          moves += 1;
          onRoom();
          yield chunk;
        } else if (state === 'ended') {
          moves += 1;
          readToEnd = true;
          return;
        } else {
          await new Promise<void>((resolve) => {
            wakeReader = resolve;
          });
        }
      }
    } finally {
      left = true;
      waiting.length = 0;
      onRoom();
    }
  }

  const fail = (cause: unknown): void => {
    if (state === 'failed' || readToEnd) return;
    state = 'failed';
    error = cause;
    waiting.length = 0;
    wakeReader();
  };

  const failed = (failure: Failure): SinkOutcome<R> => {
    wentWrong = true;
    return { name: sink.name, outcome: 'failed', failure };
  };
  const run = async (): Promise<SinkOutcome<R>> => {
    try {
      const result = await sink.write({ [Symbol.asyncIterator]: body }, controller.signal);
      if (givenUp !== undefined) return failed(givenUp);
      if (!readToEnd) {
        return failed(
          new Failure('StoredBytesDiffer', `${sink.name} said that it was done before it had read all bytes`),
        );
      }
      return { name: sink.name, outcome: 'done', result };
    } catch (caught) {
      return failed(givenUp ?? toFailure(caught));
    } finally {
      settled = true;
      waiting.length = 0;
      onRoom();
    }
  };
  const letGo = new Promise<SinkOutcome<R>>((resolve) => {
    wakeWaiter = () => resolve(failed(givenUp ?? aborted(controller.signal)));
  });

  return {
    name: sink.name,
    outcome: Promise.race([run(), letGo]),
    isLive: () => state === 'open' && !left && !settled && givenUp === undefined,
    isFull: () => waiting.length >= ahead,
    push(chunk) {
      waiting.push(chunk);
      wakeReader();
    },
    end() {
      if (state !== 'open') return;
      state = 'ended';
      wakeReader();
    },
    isEnded: () => state === 'ended' && waiting.length === 0,
    fail,
    abort: (reason) => controller.abort(reason),
    giveUp(failure) {
      if (settled) return;
      givenUp ??= failure;
      fail(failure);
      controller.abort(failure);
      onRoom();
    },
    letGo: () => wakeWaiter(),
    owes: () => !settled && (waiting.length > 0 || state !== 'open' || left),
    moves: () => moves,
    holds: () => !settled && (waiting.length >= ahead || state === 'ended'),
    isSated: () => !wentWrong && givenUp === undefined && state !== 'failed' && (settled || waiting.length === 0),
  };
}
