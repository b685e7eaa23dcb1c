import type { Clock } from '../support/clock.ts';
import { KubeError, type KubeObject, type WatchEvent, type WatchOptions } from '../kube/client.ts';
import { parseLabelSelector } from './label-selector.ts';
import { requireWatchVersion } from '../kube/resource-path.ts';

interface Change {
  readonly version: number;
  readonly before: KubeObject | undefined;
  /** Undefined: deleted; `last` is then the object as it went, with the version of its deletion. */
  readonly after: KubeObject | undefined;
  readonly last: KubeObject;
}

const bookmarkEveryMs = 60_000;

/** The recent changes of one kind, and the watches that follow them. */
export class ChangeLog {
  #changes: Change[] = [];
  /** Changes up to this version are forgotten. */
  #forgotten = 0;
  #waiting = new Set<() => void>();
  readonly #clock: Clock;
  readonly #limit: number;
  readonly #currentVersion: () => number;

  constructor(clock: Clock, limit: number, currentVersion: () => number) {
    this.#clock = clock;
    this.#limit = limit;
    this.#currentVersion = currentVersion;
  }

  append(version: number, before: KubeObject | undefined, after: KubeObject | undefined, last: KubeObject): void {
    this.#changes.push({ version, before, after, last });
    if (this.#changes.length > this.#limit) this.#forget(this.#changes.splice(0, this.#changes.length - this.#limit));
    this.#wake();
  }

  /** Forgets all changes: watches that have not read them yet fail with Gone. */
  trim(): void {
    this.#forget(this.#changes.splice(0));
    this.#wake();
  }

  #forget(dropped: readonly Change[]): void {
    this.#forgotten = dropped.at(-1)?.version ?? this.#forgotten;
  }

  #wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }

  /** Sleeps until something changes, `ms` are over or the signal aborts (then it rejects). */
  async #wait(ms: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    const wake = (): void => woken.abort();
    this.#waiting.add(wake);
    try {
      await this.#clock.sleep(ms, AbortSignal.any([signal, woken.signal]));
    } catch (error) {
      signal.throwIfAborted();
      if (!woken.signal.aborted) throw error;
    } finally {
      this.#waiting.delete(wake);
    }
  }

  async *watch(options: WatchOptions, signal: AbortSignal): AsyncGenerator<WatchEvent> {
    signal.throwIfAborted();
    const selects = parseLabelSelector(options.labelSelector);
    const inScope = (object: KubeObject): boolean => {
      return (options.namespace === undefined || object.metadata.namespace === options.namespace) && selects(object);
    };
    let seen = Number(requireWatchVersion(options.resourceVersion));
    if (seen > this.#currentVersion()) {
      throw new KubeError('ServerError', `Too large resource version: ${seen}`, { status: 504, retryAfterSeconds: 1 });
    }
    const endsAt = this.#clock.monotonicMs() + (options.timeoutSeconds ?? 1800) * 1000;
    let bookmarkAt = this.#clock.monotonicMs() + bookmarkEveryMs;
    for (;;) {
      signal.throwIfAborted();
      if (seen < this.#forgotten) {
        throw new KubeError('Gone', `too old resource version: ${seen} (${this.#forgotten})`, { status: 410 });
      }
      const next = this.#after(seen);
      if (next) {
        seen = next.version;
        const event = eventOf(next, inScope);
        if (event) yield event;
        continue;
      }
      // Everything until now was told, changes of other kinds included: a later watch may begin here.
      seen = this.#currentVersion();
      const now = this.#clock.monotonicMs();
      if (now >= bookmarkAt || now >= endsAt) {
        bookmarkAt = now + bookmarkEveryMs;
        yield { type: 'BOOKMARK', resourceVersion: String(seen) };
        if (now >= endsAt) return;
        continue;
      }
      await this.#wait(Math.min(endsAt, bookmarkAt) - now, signal);
    }
  }

  /** The first change after a version. */
  #after(version: number): Change | undefined {
    let low = 0;
    let high = this.#changes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#changes[middle]?.version ?? Infinity) > version) high = middle;
      else low = middle + 1;
    }
    return this.#changes[low];
  }
}

/** What a change means to a watch that sees only some objects: coming into its scope is ADDED, leaving it is DELETED. */
function eventOf(change: Change, inScope: (object: KubeObject) => boolean): WatchEvent | undefined {
  const was = change.before !== undefined && inScope(change.before);
  const is = change.after !== undefined && inScope(change.after);
  if (!was && !is) return undefined;
  if (was && is) return { type: 'MODIFIED', object: change.last };
  return { type: is ? 'ADDED' : 'DELETED', object: change.last };
}
