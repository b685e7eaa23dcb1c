import { sameValue } from '../../domain/same-value.ts';
import type { Plan } from '../action.ts';
import { admit, type Turns } from './admit.ts';
import type { QueueEntry } from './entry.ts';
import type { Limits } from './places.ts';

export type Turn = { readonly admitted: true } | { readonly admitted: false; readonly waitsFor: string };

export interface AdmissionOptions {
  readonly limits: Limits;
  /** The run of a key as it is seen now; undefined when it wants no place (any more). */
  readonly read: (key: string) => QueueEntry | undefined;
  readonly nowMs: () => number;
  /** Told once of each run whose turn has come without its asking. */
  readonly onTurn: (key: string) => void;
}

/**
 * Keeps an index of the runs that go on or wait, so that a change costs a look at what changed and not at everybody who waits. It holds
 * nothing that `read` would not say again; whoever changes a run says so (`touch`).
 */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #going = new Map<string, QueueEntry>();
  readonly #waiting = new Map<string, QueueEntry>();
  readonly #touched = new Set<string>();
  /** Who was answered that it is admitted, and has not said yet what became of it: counts as going. */
  readonly #taken = new Set<string>();
  /** Of the last pass; undefined once an entry has changed. */
  #turns: Turns | undefined;
  /** Of the last pass that was, less those that have changed since: who may still make use of it. */
  #granted = new Set<string>();
  /** Who knows that it is admitted. */
  #told = new Set<string>();
  #last: Turns | undefined;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** How many keys it remembers. */
  size(): number {
    return Math.max(this.#going.size + this.#waiting.size, this.#touched.size, this.#told.size);
  }

  /** The run, or what it depends on, has changed. */
  touch(key: string): void {
    // Its place is its own until it says what it made of it, and then it is read.
    if (!this.#taken.has(key)) this.#touched.add(key);
  }

  /** Whether a run may make its Job now. When it may, it has the place until `release`. */
  turnOf(key: string): Turn {
    this.touch(key);
    this.#refresh();
    const entry = this.#waiting.get(key);
    if (entry === undefined) return { admitted: false, waitsFor: 'it is not in the queue' };
    if (this.#hasRoomForAll(entry)) this.#turns = undefined;
    else {
      if (!this.#granted.has(key) && this.#mayHaveRoom(entry)) this.#pass(key);
      if (!this.#granted.has(key)) return { admitted: false, waitsFor: this.#explain(entry) };
      if (entry.state === 'refused') this.#countRefused(entry);
    }
    this.#granted.delete(key);
    this.#told.add(key);
    this.#taken.add(key);
    this.#waiting.delete(key);
    this.#going.set(key, { ...entry, state: 'going' });
    return { admitted: true };
  }

  /** What was decided by the last look at the run is done, or was not. */
  release(key: string): void {
    this.#taken.delete(key);
    this.touch(key);
  }

  /** Something has changed, and somebody waits. */
  isDue(): boolean {
    this.#refresh();
    return this.#turns === undefined && this.#waiting.size > 0;
  }

  /** Gives places that became free to those who wait. `wakeAt`: when to call it again without a change, milliseconds since 1970. */
  settle(): Plan {
    this.#pass(undefined);
    return { actions: [], wakeAt: this.#turns?.changesAt };
  }

  /** A thousand at once would make a thousand passes, and order does not matter. */
  #hasRoomForAll({ kind }: QueueEntry): boolean {
    const { runs, perServer } = this.#options.limits;
    return kind === 'backup' && this.#going.size + this.#waiting.size <= Math.min(runs, perServer);
  }

  /** All that were refused may ask while there is room, but not all may be let in should they no longer be. */
  #countRefused(entry: QueueEntry): void {
    this.#last?.places.take(entry, false);
    this.#turns = undefined;
    for (const key of this.#granted) if (this.#waiting.get(key)?.state === 'refused') this.#granted.delete(key);
  }

  /** Without a pass: who finds no place left by the last one finds none by the next either, until something ends, which makes one. */
  #mayHaveRoom(entry: QueueEntry): boolean {
    return this.#last === undefined || this.#last.places.findFull(entry) === undefined;
  }

  #explain(entry: QueueEntry): string {
    const holder = this.#last?.busy.get(entry.key);
    if (holder !== undefined) return `waits for ${nameOf(holder)}, which restores to the same database`;
    const full = this.#last?.places.findFull(entry);
    return full === undefined ? 'others come first' : `${full.count} ${full.what}`;
  }

  #pass(asking: string | undefined): void {
    this.#refresh();
    const nowMs = this.#options.nowMs();
    const isOver = this.#turns?.changesAt !== undefined && nowMs >= this.#turns.changesAt;
    if (this.#turns !== undefined && !isOver) return;
    const turns = admit(this.#going.values(), this.#waiting.values(), this.#options.limits, nowMs);
    this.#turns = turns;
    this.#last = turns;
    const known = this.#told;
    this.#told = new Set([...this.#taken].filter((key) => known.has(key)));
    this.#granted = new Set(turns.admitted);
    for (const key of turns.admitted) {
      this.#told.add(key);
      if (key !== asking && !known.has(key)) this.#options.onTurn(key);
    }
  }

  /** Reads what was touched. */
  #refresh(): void {
    for (const key of this.#touched) {
      this.#touched.delete(key);
      this.#set(key, this.#options.read(key));
    }
  }

  /** Who waits and finds no place neither gives nor takes one: thousands may come and go so. */
  #matters(entry: QueueEntry | undefined): boolean {
    if (entry === undefined) return false;
    const isIn = entry.state === 'going' || this.#granted.has(entry.key) || entry.targets.length > 0;
    return isIn || this.#mayHaveRoom(entry);
  }

  #set(key: string, entry: QueueEntry | undefined): void {
    const before = this.#going.get(key) ?? this.#waiting.get(key);
    if (sameValue(before, entry)) return;
    if (this.#matters(before) || this.#matters(entry)) this.#turns = undefined;
    this.#granted.delete(key);
    this.#going.delete(key);
    this.#waiting.delete(key);
    if (entry === undefined) this.#told.delete(key);
    if (entry !== undefined) (entry.state === 'going' ? this.#going : this.#waiting).set(key, entry);
  }
}

const nameOf = (key: string): string => key.slice(key.lastIndexOf('/') + 1);
