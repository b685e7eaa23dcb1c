import { Failure } from '../api/failure.ts';
import type { Clock } from '../support/clock.ts';
import { atMost, throwIfAborted, untilAborted } from './abortable.ts';
import type { Storage } from './storage.ts';
import { WholeBytes } from './whole-bytes.ts';

export interface StorageLimits {
  /** For an answer, retries included: a stat, a delete, the next entry of a listing, an object that is put whole. */
  readonly answerMs: number;
  /** For the next chunk of an object that is read. */
  readonly stallMs: number;
  /**
   * For what a driver tidies behind itself: after an abort, when it is left early, when it closes. And for all that a place is asked that
   * did not answer the time before, until it answers something: many questions to a dead place do not add up.
   */
  readonly tidyMs: number;
  readonly clock: Clock;
}

/**
 * A storage that nobody waits for without a limit, whatever hangs behind it. What is not answered in time is StorageUnreachable; what
 * was aborted is over at once, a put when it was tidied. What comes of an operation after that is nobody's concern.
 * A stream that is put has no limit of its own: who sends it sees whether its bytes are taken.
 */
export function limitStorage(storage: Storage, limits: StorageLimits): Storage {
  const { answerMs, stallMs, tidyMs, clock } = limits;
  const place: Place = { name: storage.name, isSilent: false, whenSilentMs: tidyMs };
  const answer = <T>(what: string, ask: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> =>
    inTime((limit) => untilAborted(ask(limit), limit), { place, what, ms: answerMs }, clock, signal);
  return {
    name: storage.name,
    get conditionalPut() {
      return storage.conditionalPut;
    },
    put: async (key, body, options, signal) => {
      const put = (limit: AbortSignal) => untilTidied(storage.put(key, body, options, limit), limit, limits);
      if (!(body instanceof WholeBytes)) return await put(signal);
      return await inTime(put, { place, what: `put ${key}`, ms: answerMs }, clock, signal);
    },
    get: (key, range, signal) =>
      eachInTime(
        (limit) => storage.get(key, range, limit),
        { place, what: `read ${key}`, ms: stallMs },
        limits,
        signal,
      ),
    stat: (key, signal) => answer(`look at ${key}`, (limit) => storage.stat(key, limit), signal),
    list: (prefix, after, signal, leftOut) =>
      eachInTime(
        (limit) => storage.list(prefix, after, limit, leftOut),
        { place, what: `list ${prefix}`, ms: answerMs },
        limits,
        signal,
      ),
    delete: (key, signal) => answer(`delete ${key}`, (limit) => storage.delete(key, limit), signal),
    listUnfinished: (prefix, signal) =>
      eachInTime(
        (limit) => storage.listUnfinished(prefix, limit),
        { place, what: `list what is unfinished of ${prefix}`, ms: answerMs },
        limits,
        signal,
      ),
    removeUnfinished: (item, signal) =>
      answer(`remove what is unfinished of ${item.key}`, (limit) => storage.removeUnfinished(item, limit), signal),
    close: async () => {
      await atMost(storage.close(), tidyMs, clock);
    },
  };
}

interface Place {
  readonly name: string;
  /** The last thing that it was asked was not answered in time. */
  isSilent: boolean;
  readonly whenSilentMs: number;
}

interface Limit {
  readonly place: Place;
  readonly what: string;
  readonly ms: number;
}

/** Does `work` under a signal that aborts with the caller's, or when the time is over. */
async function inTime<T>(
  work: (signal: AbortSignal) => Promise<T>,
  limit: Limit,
  clock: Clock,
  signal: AbortSignal,
): Promise<T> {
  throwIfAborted(signal);
  const late = new AbortController();
  return await timed(late, limit, clock, () => work(AbortSignal.any([signal, late.signal])));
}

/** Does `work`, and aborts `late` when it takes too long. */
async function timed<T>(late: AbortController, limit: Limit, clock: Clock, work: () => Promise<T>): Promise<T> {
  const { place } = limit;
  const over = new AbortController();
  const ms = place.isSilent ? Math.min(limit.ms, place.whenSilentMs) : limit.ms;
  clock.sleep(ms, over.signal).then(
    () => {
      place.isSilent = true;
      late.abort(silent({ ...limit, ms }));
    },
    // The sleep ends with the work.
    () => undefined,
  );
  try {
    const result = await work();
    place.isSilent = false;
    return result;
  } finally {
    over.abort();
  }
}

/** Settles as `work` does; after an abort it is waited for a little longer, so that it can tidy behind itself, and then abandoned. */
async function untilTidied<T>(
  work: Promise<T>,
  signal: AbortSignal,
  { tidyMs, clock }: Pick<StorageLimits, 'tidyMs' | 'clock'>,
): Promise<T> {
  const aborted = untilAborted(work, signal);
  try {
    return await aborted;
  } catch (error) {
    if (signal.aborted) await atMost(work, tidyMs, clock);
    throw error;
  }
}

/** The items, each of them in time: while one is used no time counts. */
async function* eachInTime<T>(
  items: (signal: AbortSignal) => AsyncIterable<T>,
  limit: Limit,
  { tidyMs, clock }: Pick<StorageLimits, 'tidyMs' | 'clock'>,
  signal: AbortSignal,
): AsyncGenerator<T, void, undefined> {
  const late = new AbortController();
  const either = AbortSignal.any([signal, late.signal]);
  const iterator = items(either)[Symbol.asyncIterator]();
  let asked = false;
  try {
    for (;;) {
      asked = true;
      const next = await timed(late, limit, clock, () => untilAborted(iterator.next(), either));
      asked = false;
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    // What ended by itself, or hangs in its next(), is not asked to return: it would not hear of it.
    if (!asked && iterator.return !== undefined) await atMost(iterator.return(), tidyMs, clock);
  }
}

function silent({ place, what, ms }: Limit): Failure {
  return new Failure('StorageUnreachable', `${place.name} did not answer within ${Math.round(ms / 1000)} s (${what})`);
}
