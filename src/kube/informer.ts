import type { Clock, Random } from '../support/clock.ts';
import { backOffMs, type BackOffLimits } from './back-off.ts';
import { KubeError, isKubeError, type KubeClient, type KubeObject, type ResourceType } from './client.ts';
import { startDeadline } from './deadline.ts';
import { inSlices } from './in-slices.ts';
import { listPages } from './list-pages.ts';
import { ObjectCache, type IndexObject, type ObjectChange } from './object-cache.ts';

export interface InformerOptions {
  readonly client: KubeClient;
  readonly type: ResourceType;
  /** Undefined: all namespaces. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string;
  readonly clock: Clock;
  readonly random: Random;
  /** More ways to look objects up; an index must depend on the object alone. `owner` is taken. */
  readonly indexes?: Readonly<Record<string, IndexObject>>;
  /** What to keep of an object, for those that are large and of which little is read. Default: all of it. */
  readonly keep?: ((object: KubeObject) => KubeObject) | undefined;
  /** Told after the cache changed. What it throws is reported as an error and stops nothing. */
  readonly onChange: (change: ObjectChange) => void;
  readonly onState?: (state: InformerState) => void;
  /** Every failure, also those the loop recovers from. */
  readonly onError?: (error: unknown) => void;
  /** Objects a page; fewer where they are large. Default 500. */
  readonly pageSize?: number;
  /**
   * The server is asked to end a watch after this, and up to half as much again by chance. Default 120: no server promises
   * bookmarks, so the end of a quiet watch is the sign that somebody is still there.
   */
  readonly watchTimeoutSeconds?: number;
  /** A watch that stays silent for this long after it should have ended is a failure. Default 20 s. */
  readonly graceMs?: number;
  readonly backOff?: BackOffLimits;
}

/** For readiness and metrics; times are monotonic milliseconds of the clock. */
export interface InformerState {
  readonly phase: 'listing' | 'watching' | 'waiting' | 'stopped';
  /** The whole list was read once. Stays true; see lastContactMs for how old the cache may be. */
  readonly synced: boolean;
  /** When the server last answered (a page, an event, a bookmark, the end of a watch in good order). A refusal is no answer. */
  readonly lastContactMs: number | undefined;
  readonly lastError: string | undefined;
  /** In a row; 0 when all is well. */
  readonly failures: number;
  readonly lists: number;
  readonly watches: number;
}

export interface Informer {
  readonly type: ResourceType;
  /** Runs until the signal aborts, whatever happens, and resolves then. Call it once. */
  run(signal: AbortSignal): Promise<void>;
  hasSynced(): boolean;
  /** Resolves when synced; rejects with the signal's reason. */
  whenSynced(signal: AbortSignal): Promise<void>;
  state(): InformerState;
  /** Cached objects are frozen and may be older than the server's. */
  get(namespace: string | undefined, name: string): KubeObject | undefined;
  list(namespace?: string): readonly KubeObject[];
  byOwner(uid: string): readonly KubeObject[];
  byIndex(index: string, value: string): readonly KubeObject[];
  size(): number;
}

/** A cache that follows the server: list in pages, watch, and again from the last version, or from a new list when that is Gone. */
export function createInformer(options: InformerOptions): Informer {
  const { client, type, namespace, clock, random, onChange, onState, onError } = options;
  const { keep = (object: KubeObject): KubeObject => object } = options;
  const { pageSize = 500, watchTimeoutSeconds = 120, graceMs = 20_000 } = options;
  const { backOff = { firstMs: 500, longestMs: 30_000 } } = options;
  const selection = { namespace, ...(options.labelSelector ? { labelSelector: options.labelSelector } : {}) };
  const cache = new ObjectCache(options.indexes ?? {});
  const synced = Promise.withResolvers<void>();
  let state: InformerState = {
    phase: 'waiting',
    synced: false,
    lastContactMs: undefined,
    lastError: undefined,
    failures: 0,
    lists: 0,
    watches: 0,
  };

  const guard = (call: () => void): void => {
    try {
      call();
    } catch (error) {
      try {
        onError?.(error);
      } catch {
        // A reporter that throws has nobody left to tell.
      }
    }
  };

  const setState = (change: Partial<InformerState>): void => {
    state = { ...state, ...change };
    guard(() => onState?.(state));
  };

  const tell = (change: ObjectChange | undefined): void => {
    if (change) guard(() => onChange(change));
  };

  const touch = (): void => setState({ lastContactMs: clock.monotonicMs() });

  /**
   * Reads the whole list, makes the cache equal to it and returns the version to watch from. In slices: who else is to work in this
   * process (leases, probes) gets to it, however long the list is.
   */
  const relist = async (signal: AbortSignal): Promise<string> => {
    setState({ phase: 'listing', lists: state.lists + 1 });
    const objects: KubeObject[] = [];
    let resourceVersion = '';
    for await (const page of listPages(client, type, { ...selection, limit: pageSize }, signal)) {
      touch();
      await inSlices(page.items, (item) => void objects.push(keep(item)));
      ({ resourceVersion } = page);
    }
    await inSlices(cache.listOthers(objects), ({ namespace, name = '' }) => tell(cache.remove(namespace, name)));
    await inSlices(objects, (object) => tell(cache.set(object)));
    setState({ synced: true });
    synced.resolve();
    return resourceVersion;
  };

  /** Follows one watch; `advance` is told each version that was reached. Returns when the server ends it in good order. */
  const follow = async (from: string, advance: (version: string) => void, signal: AbortSignal): Promise<void> => {
    setState({ phase: 'watching', watches: state.watches + 1 });
    const timeoutSeconds = Math.ceil(watchTimeoutSeconds * (1 + random.fraction() / 2));
    const silenceMs = timeoutSeconds * 1000 + graceMs;
    const idle = startDeadline(clock, silenceMs, signal, () => {
      return new KubeError('Unreachable', `the watch of ${type.plural} was silent for ${silenceMs / 1000} s`);
    });
    try {
      const watching = { ...selection, resourceVersion: from, timeoutSeconds };
      for await (const event of client.watch(type, watching, idle.signal)) {
        idle.touch();
        // Whatever came before this is told: the failures are over.
        setState({ lastContactMs: clock.monotonicMs(), failures: 0, lastError: undefined });
        if (event.type === 'BOOKMARK') {
          advance(event.resourceVersion);
          continue;
        }
        const { namespace, name = '', resourceVersion = '' } = event.object.metadata;
        tell(event.type === 'DELETED' ? cache.remove(namespace, name) : cache.set(keep(event.object)));
        advance(resourceVersion);
      }
    } finally {
      idle.clear();
    }
  };

  /** Reports, and tells how long to wait. */
  const fail = (error: unknown): number => {
    const failures = state.failures + 1;
    const lastError = error instanceof Error ? error.message : String(error);
    setState({ phase: 'waiting', failures, lastError });
    guard(() => onError?.(error));
    const asked = isKubeError(error) ? (error.retryAfterSeconds ?? 0) * 1000 : 0;
    // A server that asks for an hour would leave us blind for one.
    return Math.max(backOffMs(backOff, failures, random), Math.min(asked, backOff.longestMs * 4));
  };

  const loop = async (signal: AbortSignal): Promise<void> => {
    let version: string | undefined;
    for (;;) {
      const startedAt = clock.monotonicMs();
      try {
        version ??= await relist(signal);
        await follow(version, (reached) => (version = reached === '' ? version : reached), signal);
        // A server that ends each watch at once must not be asked in a circle.
        const tooShort = clock.monotonicMs() - startedAt < 1000;
        setState({ failures: tooShort ? state.failures : 0, lastContactMs: clock.monotonicMs() });
        if (tooShort) await clock.sleep(1000 * (0.5 + random.fraction()), signal);
      } catch (error) {
        signal.throwIfAborted();
        if (isKubeError(error, 'Gone')) version = undefined;
        const waitMs = fail(error);
        await clock.sleep(waitMs, signal);
      }
    }
  };

  return {
    type,
    run: async (signal) => {
      try {
        await loop(signal);
      } catch (error) {
        // The loop ends in no other way than by its signal; if it did, silence would be the worst answer.
        if (!signal.aborted) throw error;
      } finally {
        setState({ phase: 'stopped' });
      }
    },
    hasSynced: () => state.synced,
    whenSynced: (signal) => abortable(synced.promise, signal),
    state: () => state,
    get: (namespace, name) => cache.get(namespace, name),
    list: (namespace) => cache.list(namespace),
    byOwner: (uid) => cache.byOwner(uid),
    byIndex: (index, value) => cache.byIndex(index, value),
    size: () => cache.size,
  };
}

async function abortable(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const stop = (): void => aborted.reject(signal.reason as Error);
  signal.addEventListener('abort', stop, { once: true });
  try {
    await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
