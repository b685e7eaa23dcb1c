import { nextTurn, type Clock, type Random } from '../support/clock.ts';
import { backOffMs, type BackOffLimits } from './back-off.ts';

export interface QueueOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** How many keys are worked on at the same time. */
  readonly workers: number;
  /**
   * Works on one key. When it rejects, the key comes again after a back-off; when it resolves, its back-off begins anew. Before what is
   * not urgent it may await `giveWay`: its place goes to keys that are ready, until there are none (or it has waited long enough).
   */
  readonly work: (key: string, signal: AbortSignal, giveWay: () => Promise<void>) => Promise<void>;
  readonly onError: (key: string, error: unknown) => void;
  readonly backOff?: BackOffLimits;
}

/** For metrics. */
export interface QueueState {
  /** Keys that could be worked on now. */
  readonly depth: number;
  /** How long the oldest of them has been waiting, milliseconds; 0 when there is none. */
  readonly oldestMs: number;
  readonly running: number;
  /** How long the longest has been worked on, milliseconds. */
  readonly longestRunMs: number;
  /** Keys that come later. */
  readonly delayed: number;
  /** Rate-limited adds since the start. */
  readonly retries: number;
}

/** Keys to look at: each once however often it was added, and never by two workers at the same time. */
export interface Queue {
  add(key: string): void;
  /** Adds it later; of several times the earliest counts. Also due when the wall clock has moved that far. */
  addAfter(key: string, ms: number): void;
  /** Adds it after a time that doubles with each call until `forget`. */
  addRateLimited(key: string): void;
  /** What it stands for is gone: it does not come later, and its next back-off is the first again. */
  forget(key: string): void;
  state(): QueueState;
  /** Works until the signal aborts, then waits for the workers and resolves. Call it once; keys may be added before. */
  run(signal: AbortSignal): Promise<void>;
}

/** Long sleeps are cut, so that a wall clock that was set forward (or a machine that slept) is noticed. */
const longestSleepMs = 10_000;
/** Who gave way for this long goes first. */
const longestRestMs = 15_000;
/** About so long nobody else is let in. */
const turnMs = 10;
/** One for all: an abort without a reason makes an error with a stack each time. */
const earlier = new Error('something comes earlier');

export function createQueue(options: QueueOptions): Queue {
  const { clock, random, workers, work, onError } = options;
  const { backOff = { firstMs: 500, longestMs: 5 * 60_000 } } = options;
  /** When each key became ready, oldest first. */
  const ready = new Map<string, number>();
  const running = new Map<string, number>();
  /** Added while it was worked on: comes again afterwards. */
  const again = new Set<string>();
  const delayed = new Map<string, { readonly monotonicMs: number; readonly wallMs: number }>();
  const failures = new Map<string, number>();
  const tasks = new Set<Promise<void>>();
  /** Keys that gave way, oldest first: still worked on, but without a place. */
  const resting = new Set<{
    readonly sinceMs: number;
    readonly resume: () => void;
    readonly stop: (reason: unknown) => void;
  }>();
  let turnBeganMs = clock.monotonicMs();
  /** All workers wait for the same one, and go on in their order. */
  let coming: Promise<void> | undefined;
  /** Places taken. */
  let busy = 0;
  let retries = 0;
  let active: AbortSignal | undefined;
  let wakeTimer = new AbortController();
  /** When the timer looks at the keys again by itself. */
  let wakesAtMs = -Infinity;

  const start = (): void => {
    const signal = active;
    if (!signal || signal.aborted) return;
    while (busy < workers) {
      const [key] = ready.keys();
      const [rested] = resting;
      if (rested && (key === undefined || clock.monotonicMs() - rested.sinceMs >= longestRestMs)) {
        rested.resume();
        continue;
      }
      if (key === undefined) return;
      busy += 1;
      ready.delete(key);
      running.set(key, clock.monotonicMs());
      const task = perform(key, signal).finally(() => tasks.delete(task));
      tasks.add(task);
    }
  };

  const giveWay = async (signal: AbortSignal): Promise<void> => {
    if (ready.size === 0 || signal.aborted) return;
    const place = Promise.withResolvers<void>();
    const retake = (): void => {
      resting.delete(rest);
      busy += 1;
    };
    const stop = (reason: unknown): void => {
      retake();
      place.reject(reason);
    };
    const resume = (): void => {
      retake();
      place.resolve();
    };
    // Without a listener of its own: a thousand of them on one signal make each further one slow.
    const rest = { sinceMs: clock.monotonicMs(), resume, stop };
    resting.add(rest);
    busy -= 1;
    start();
    await place.promise;
  };

  const isTurnOver = (): boolean => clock.monotonicMs() - turnBeganMs >= turnMs;
  /** Looks that wait for nothing would let nobody else in (leases, probes), and there may be a hundred thousand of them. */
  const beginTurn = (): Promise<void> =>
    (coming ??= nextTurn().then(() => {
      turnBeganMs = clock.monotonicMs();
      coming = undefined;
    }));

  const perform = async (key: string, signal: AbortSignal): Promise<void> => {
    const before = failures.get(key);
    try {
      if (isTurnOver()) await beginTurn();
      await work(key, signal, () => giveWay(signal));
      // A worker that asked for a rate-limited return itself keeps its back-off.
      if (failures.get(key) === before) failures.delete(key);
    } catch (error) {
      if (!signal.aborted) queue.addRateLimited(key);
      try {
        onError(key, error);
      } catch {
        // A reporter that throws has nobody left to tell, and must not stop the queue.
      }
    } finally {
      running.delete(key);
      busy -= 1;
      if (again.delete(key)) queue.add(key);
      start();
    }
  };

  /** Moves keys whose time has come, and sleeps until the next. */
  const keepTime = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      wakeTimer = new AbortController();
      let nextMs = longestSleepMs;
      for (const [key, due] of delayed) {
        const leftMs = Math.min(due.monotonicMs - clock.monotonicMs(), due.wallMs - clock.nowMs());
        if (leftMs > 0) nextMs = Math.min(nextMs, leftMs);
        else if (delayed.delete(key)) queue.add(key);
      }
      // Without a key there is no time to keep: the first one wakes it.
      wakesAtMs = delayed.size > 0 ? clock.monotonicMs() + nextMs : Infinity;
      try {
        await clock.sleep(delayed.size > 0 ? nextMs : 3_600_000, AbortSignal.any([signal, wakeTimer.signal]));
      } catch (error) {
        if (!signal.aborted && !wakeTimer.signal.aborted) throw error;
      }
    }
  };

  const queue: Queue = {
    add: (key) => {
      if (running.has(key)) {
        again.add(key);
        return;
      }
      if (!ready.has(key)) ready.set(key, clock.monotonicMs());
      start();
    },
    addAfter: (key, ms) => {
      if (ms <= 0) return queue.add(key);
      const due = { monotonicMs: clock.monotonicMs() + ms, wallMs: clock.nowMs() + ms };
      const known = delayed.get(key);
      if (known && known.monotonicMs <= due.monotonicMs) return;
      delayed.set(key, due);
      // Only for what comes before: each wake looks at all of them, and a burst adds thousands.
      if (due.monotonicMs < wakesAtMs) wakeTimer.abort(earlier);
    },
    addRateLimited: (key) => {
      const count = (failures.get(key) ?? 0) + 1;
      failures.set(key, count);
      retries += 1;
      queue.addAfter(key, backOffMs(backOff, count, random));
    },
    forget: (key) => {
      failures.delete(key);
      delayed.delete(key);
    },
    state: () => {
      const now = clock.monotonicMs();
      const [oldest = now] = ready.values();
      const longest = Math.min(now, ...running.values());
      return {
        depth: ready.size,
        oldestMs: now - oldest,
        running: running.size,
        longestRunMs: now - longest,
        delayed: delayed.size,
        retries,
      };
    },
    run: async (signal) => {
      active = signal;
      start();
      try {
        await keepTime(signal);
      } finally {
        active = undefined;
        for (const rest of resting) rest.stop(signal.reason);
        while (tasks.size > 0) await Promise.allSettled(tasks);
      }
    },
  };
  return queue;
}
