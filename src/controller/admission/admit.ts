import type { QueueEntry } from './entry.ts';
import { Places, type Limits } from './places.ts';

/** Whose turn it is, of all that were asked about. */
export interface Turns {
  /** Keys of those that may have a Job now. */
  readonly admitted: ReadonlySet<string>;
  /** Who has to end before it, by the key of who waits: both restore to the same database. */
  readonly busy: ReadonlyMap<string, string>;
  /** With those that go on and those that are admitted. */
  readonly places: Places;
  /** When a run that goes on gives its place back by doing nothing, milliseconds since 1970. */
  readonly changesAt: number | undefined;
}

/**
 * Gives places away, one after the other, until no run that waits can have one. The same entries always get the same answer.
 * 1. Restores come before backups, and have places of their own.
 * 2. The next place goes to the namespace with the fewest runs that work; among equals, with the fewest that do not.
 * 3. Then what somebody asked for by hand comes before what a schedule made, then the oldest, then the first name.
 * 4. Who finds its server full lets others pass. Who was refused has no Job that could begin to work, and takes no place.
 */
export function admit(
  going: Iterable<QueueEntry>,
  waiting: Iterable<QueueEntry>,
  limits: Limits,
  nowMs: number,
): Turns {
  const places = new Places(limits);
  const holders = new Map<string, string>();
  let changesAt: number | undefined;
  for (const entry of going) {
    const { key, targets, idleAtMs } = entry;
    const isIdle = idleAtMs !== undefined && nowMs >= idleAtMs;
    places.take(entry, isIdle);
    if (idleAtMs !== undefined && !isIdle) changesAt = Math.min(changesAt ?? Infinity, idleAtMs);
    for (const target of targets) holders.set(target, key);
  }
  const sorted = [...waiting].sort(byRank);
  const busy = findBusy(sorted, holders);
  const admitted = new Set<string>();
  for (const kind of ['restore', 'backup'] as const) {
    const ready = sorted.filter((entry) => entry.kind === kind && !busy.has(entry.key));
    giveAway(ready, places, admitted);
  }
  return { admitted, busy, places, changesAt };
}

function giveAway(ready: readonly QueueEntry[], places: Places, admitted: Set<string>): void {
  let lines = [...Map.groupBy(ready, ({ namespace }) => namespace).values()].map((entries) => ({ entries, next: 0 }));
  for (;;) {
    const [some] = lines;
    if (some === undefined || places.areGone(ready[0]?.kind ?? 'backup')) return;
    // Places only fill up here: who found none finds none later.
    for (const line of lines) line.next = findNext(line, places);
    lines = lines.filter(({ entries, next }) => next < entries.length);
    const heads = lines.flatMap((line) => line.entries[line.next] ?? []);
    const first = heads.reduce<QueueEntry | undefined>(
      (best, head) => (best === undefined || byShare(places, head, best) < 0 ? head : best),
      undefined,
    );
    if (first === undefined) return;
    admitted.add(first.key);
    if (first.state === 'waiting') places.take(first, false);
    const line = lines.find(({ entries, next }) => entries[next] === first);
    if (line !== undefined) line.next += 1;
  }
}

function findNext(
  { entries, next }: { readonly entries: readonly QueueEntry[]; readonly next: number },
  places: Places,
): number {
  let at = next;
  for (let entry = entries[at]; entry !== undefined && places.findFull(entry) !== undefined; entry = entries[at])
    at += 1;
  return at;
}

function byShare(places: Places, a: QueueEntry, b: QueueEntry): number {
  const [one, other] = [places.takenBy(a), places.takenBy(b)];
  return one.working - other.working || one.idle - other.idle || byRank(a, b);
}

function byRank(a: QueueEntry, b: QueueEntry): number {
  return Number(b.byHand) - Number(a.byHand) || byAge(a, b);
}

function byAge(a: QueueEntry, b: QueueEntry): number {
  return a.createdAtMs - b.createdAtMs || Number(a.key > b.key) - Number(a.key < b.key);
}

/** Of several that write to the same database one at a time takes part: whoever goes on, else the oldest. */
function findBusy(sorted: readonly QueueEntry[], holders: Map<string, string>): ReadonlyMap<string, string> {
  const busy = new Map<string, string>();
  for (const { key, targets } of sorted.filter((entry) => entry.targets.length > 0).sort(byAge)) {
    const holder = targets.flatMap((target) => holders.get(target) ?? [])[0];
    if (holder !== undefined) busy.set(key, holder);
    // Who waits for a database keeps the others of its own for itself: it would never have all of them at once.
    for (const target of targets) if (!holders.has(target)) holders.set(target, key);
  }
  return busy;
}
