import { describe, expect, it } from 'vitest';
import { KubeError, isKubeError, type KubeClient, type ResourceType } from '../../src/kube/client.ts';
import { NotLeading, guardWrites } from '../../src/kube/guard-writes.ts';
import { leaseType } from '../../src/kube/lease-record.ts';
import { createLease, type Lease } from '../../src/kube/lease.ts';
import { createMemoryClient } from '../../src/apiserver/memory-client.ts';
import type { Random } from '../../src/support/clock.ts';
import { FakeProcess, type Fate } from './fake-process.ts';
import { ManualClock, seededRandom } from './manual-clock.ts';

const never = new AbortController().signal;
const noteType: ResourceType = { group: '', version: 'v1', kind: 'ConfigMap', plural: 'configmaps', namespaced: true };

interface Candidate {
  readonly process: FakeProcess;
  readonly lease: Lease;
  readonly stop: AbortController;
  readonly done: Promise<void>;
}

/** Everything that may go wrong between candidates and server, by one seed; collects each breach of the promise. */
class Storm {
  readonly clock = new ManualClock();
  readonly breaches: string[] = [];
  /** Terms that began. */
  terms = 0;
  /** Terms in the order in which their writes reached the server. */
  readonly landed: number[] = [];
  refusals = 0;
  candidates: Candidate[] = [];
  crashed: Candidate[] = [];
  isCalm = false;
  /** Between bad times there are good ones: then others see each renewal early, and wait no longer than they must. */
  isQuick = false;
  readonly cutOff = new Set<Candidate>();
  readonly #random: Random;
  readonly #asksOthers: boolean;
  readonly #server: KubeClient;
  readonly #working = new Map<Candidate, { readonly term: number; readonly signal: AbortSignal }>();
  #started = 0;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    // Asking a lease whether it leads makes it notice. In every second storm only its own timers do.
    this.#asksOthers = seed % 2 === 0;
    const types = [{ type: leaseType }, { type: noteType }];
    this.#server = createMemoryClient({ clock: this.clock, random: seededRandom(seed + 1), types });
  }

  chance(share: number): boolean {
    return this.#random.fraction() < share;
  }

  between(least: number, most: number): number {
    return least + this.#random.fraction() * (most - least);
  }

  pick(): Candidate | undefined {
    return this.candidates[Math.floor(this.between(0, this.candidates.length))];
  }

  /** What is not of the lease arrives within the time that is left between renew deadline and expiry; it may not hang longer. */
  #fateOf(candidate: Candidate, kind: string): Fate {
    if (this.isCalm) return { thereMs: 1, backMs: 1 };
    if (this.cutOff.has(candidate)) return { thereMs: 1, backMs: 1, fault: 'lost-request' };
    if (this.isQuick) return { thereMs: this.between(0, 20), backMs: this.between(0, 20) };
    const slowest = kind === 'Lease' && this.chance(0.05) ? 20_000 : 2000;
    const timing = { thereMs: this.between(0, slowest) * this.#random.fraction(), backMs: this.between(0, slowest) };
    const arrivesThoughAborted = this.chance(0.5);
    if (this.chance(0.75)) return { ...timing, arrivesThoughAborted };
    const faults: readonly NonNullable<Fate['fault']>[] = [
      'lost-request',
      'lost-answer',
      new KubeError('Conflict', 'the object has been modified', { status: 409 }),
      new KubeError('ServerError', 'etcdserver: request timed out', { status: 500 }),
      new KubeError('TooManyRequests', 'slow down', { status: 429, retryAfterSeconds: 1 }),
      new KubeError('NotFound', 'not found', { status: 404 }),
    ];
    const fault = faults[Math.floor(this.between(0, faults.length))];
    return { ...timing, arrivesThoughAborted, ...(fault === undefined ? {} : { fault }) };
  }

  start(): void {
    const process = new FakeProcess({
      clock: this.clock,
      client: this.#server,
      rate: this.between(0.97, 1.03),
    });
    process.wallOffsetMs = this.between(-1e9, 1e9);
    const lease = createLease({
      client: process.client,
      clock: process.clock,
      random: seededRandom(this.#started * 1000 + Math.floor(this.between(0, 1000))),
      namespace: 'ops',
      name: 'operator',
      identity: `candidate-${(this.#started += 1)}`,
    });
    const stop = new AbortController();
    const done = Promise.withResolvers<void>();
    const candidate: Candidate = { process, lease, stop, done: done.promise };
    process.fateOf = (_, kind) => this.#fateOf(candidate, kind);
    this.candidates.push(candidate);
    done.resolve(lease.whenLeading((signal) => this.#work(candidate, signal), stop.signal));
  }

  /** Writes and writes. Every second piece of work does not listen to its signal: then only the guard stops it. */
  async #work(candidate: Candidate, signal: AbortSignal): Promise<void> {
    const term = (this.terms += 1);
    const { process, lease, stop } = candidate;
    if (!lease.isLeader()) this.breaches.push(`term ${term} begins without leading`);
    for (const other of [...this.candidates, ...this.crashed]) {
      if (other === candidate) continue;
      if (this.#asksOthers && other.lease.isLeader()) this.breaches.push(`term ${term} begins while another leads`);
    }
    this.#working.set(candidate, { term, signal });
    const listens = this.chance(0.5);
    const guarded = guardWrites(process.client, () => lease.isLeader());
    try {
      for (let count = 1; listens ? !signal.aborted : !stop.signal.aborted; count += 1) {
        const object = {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: `${term}-${count}`, namespace: 'ops' },
        };
        try {
          await guarded.create(noteType, object, listens ? signal : never);
        } catch (error) {
          if (error instanceof NotLeading) {
            this.refusals += 1;
            return;
          }
          if (!signal.aborted && !isKubeError(error)) throw error;
        }
        await process.clock.sleep(this.between(50, 1500), never);
      }
    } finally {
      if (this.#working.get(candidate)?.term === term) this.#working.delete(candidate);
    }
  }

  /** Work that was not told to stop, in processes that run. */
  check(): void {
    const working = [...this.#working].filter(([{ process }, { signal }]) => !signal.aborted && !process.isFrozen);
    if (working.length > 1) {
      this.breaches.push(`terms ${working.map(([, { term }]) => term).join(' and ')} work at once`);
    }
    if (!this.#asksOthers) return;
    const leading = [...this.candidates, ...this.crashed].filter(({ lease }) => lease.isLeader());
    if (leading.length > 1) this.breaches.push(`${leading.length} lead at ${this.clock.monotonicMs()}`);
  }

  /** In which order writes arrived, as the server remembers it. */
  async readLanded(): Promise<readonly number[]> {
    const { items } = await this.#server.list(noteType, { namespace: 'ops' }, never);
    return items
      .toSorted((a, b) => Number(a.metadata.resourceVersion) - Number(b.metadata.resourceVersion))
      .map(({ metadata }) => Number.parseInt(metadata.name ?? '', 10));
  }

  leaders(): readonly Candidate[] {
    return this.candidates.filter(({ lease }) => lease.isLeader());
  }
}

/** Some minutes of storm, then calm. */
async function rage(seed: number): Promise<Storm> {
  const storm = new Storm(seed);
  for (let count = 0; count < 3; count += 1) storm.start();
  for (let step = 0; step < 250; step += 1) {
    await storm.clock.advance(storm.between(50, 2500));
    storm.check();
    const chosen = storm.pick();
    if (chosen === undefined) throw new Error('there are no candidates');
    if (chosen.process.isFrozen ? storm.chance(0.3) : storm.chance(0.1)) {
      if (chosen.process.isFrozen) chosen.process.wake();
      else chosen.process.freeze();
    }
    if (storm.chance(0.05)) storm.isQuick = !storm.isQuick;
    if (storm.cutOff.has(chosen) ? storm.chance(0.3) : storm.chance(0.05)) {
      if (!storm.cutOff.delete(chosen)) storm.cutOff.add(chosen);
    }
    if (storm.chance(0.02)) chosen.process.wallOffsetMs += storm.between(-60_000, 60_000);
    if (storm.chance(0.01)) {
      // Killed: what it knew is gone, what it had sent may still arrive.
      chosen.process.freeze();
      storm.crashed.push(chosen);
      storm.candidates = storm.candidates.filter((each) => each !== chosen);
      storm.start();
    }
    if (storm.chance(0.01) && !chosen.process.isFrozen) {
      chosen.stop.abort();
      storm.candidates = storm.candidates.filter((each) => each !== chosen);
      storm.crashed.push(chosen);
      storm.start();
    }
  }
  storm.isCalm = true;
  for (const { process } of storm.candidates) process.wake();
  for (let step = 0; step < 60; step += 1) {
    await storm.clock.advance(1000);
    storm.check();
  }
  return storm;
}

async function end(storm: Storm): Promise<void> {
  const all = [...storm.candidates, ...storm.crashed];
  for (const { process, stop } of all) {
    process.wake();
    stop.abort();
  }
  const ends = Promise.all(all.map(({ done }) => done));
  await storm.clock.advance(60_000);
  await ends;
}

describe('Candidates for one lease', () => {
  it('never lead at the same time, whatever fails, freezes, dies or is late; and one leads when it is calm again', async () => {
    const sums = { terms: 0, refusals: 0, landed: 0 };
    for (let seed = 1; seed <= 40; seed += 1) {
      const storm = await rage(seed);
      expect(storm.breaches, `seed ${seed}`).toEqual([]);
      expect(storm.leaders(), `seed ${seed}`).toHaveLength(1);
      await end(storm);
      const landed = await storm.readLanded();
      // A later term's write is never followed by one of an earlier term.
      expect(landed, `seed ${seed}`).toEqual(landed.toSorted((a, b) => a - b));
      sums.terms += storm.terms;
      sums.refusals += storm.refusals;
      sums.landed += landed.length;
    }
    // A storm in which nobody ever lost the lease would prove nothing.
    expect(sums.terms).toBeGreaterThan(40 * 5);
    expect(sums.refusals).toBeGreaterThan(40);
    expect(sums.landed).toBeGreaterThan(40 * 50);
  }, 60_000);
});
