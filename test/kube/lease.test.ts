import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KubeError, type KubeObject } from '../../src/kube/client.ts';
import { NotLeading, guardWrites } from '../../src/kube/guard-writes.ts';
import { leaseType } from '../../src/kube/lease-record.ts';
import { createLease, type Lease, type LeaseOptions, type LeaseState } from '../../src/kube/lease.ts';
import { createMemoryClient, type MemoryClient } from '../../src/apiserver/memory-client.ts';
import { buildWidget, widgetType } from '../suites/widget.ts';
import { FakeProcess, type Fate } from './fake-process.ts';
import { ManualClock, seededRandom, settle } from './manual-clock.ts';

const never = new AbortController().signal;

interface Candidate {
  readonly process: FakeProcess;
  readonly lease: Lease;
  readonly states: LeaseState[];
  readonly errors: unknown[];
  /** Signals of its terms. */
  readonly terms: AbortSignal[];
  readonly stop: AbortController;
  readonly done: Promise<void>;
}

let clock: ManualClock;
let server: MemoryClient;
let candidates: Candidate[];
beforeEach(() => {
  clock = new ManualClock(Date.UTC(2026, 0, 1));
  server = createMemoryClient({
    clock,
    random: seededRandom(1),
    types: [{ type: leaseType }, { type: widgetType, statusSubresource: true }],
  });
  candidates = [];
});
afterEach(async () => {
  for (const { process, stop } of candidates) {
    process.wake();
    stop.abort();
  }
  const ends = Promise.all(candidates.map(({ done }) => done.catch(() => undefined)));
  await clock.advance(10_000);
  await ends;
});

const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

/** Starts a candidate whose work lasts as long as it may. */
async function start(
  identity: string,
  options: Partial<LeaseOptions> & { readonly work?: (signal: AbortSignal) => Promise<void> } = {},
): Promise<Candidate> {
  const { work = untilAborted, ...rest } = options;
  const process = new FakeProcess({ clock, client: server });
  const states: LeaseState[] = [];
  const errors: unknown[] = [];
  const terms: AbortSignal[] = [];
  const lease = createLease({
    client: process.client,
    clock: process.clock,
    random: seededRandom(candidates.length + 1),
    namespace: 'ops',
    name: 'operator',
    identity,
    onChange: (state) => states.push(state),
    onError: (error) => errors.push(error),
    ...rest,
  });
  const stop = new AbortController();
  const done = lease.whenLeading(async (signal) => {
    terms.push(signal);
    await work(signal);
  }, stop.signal);
  done.catch(() => undefined);
  const candidate = { process, lease, states, errors, terms, stop, done };
  candidates.push(candidate);
  await settle();
  return candidate;
}

const readLease = async (): Promise<KubeObject | undefined> => server.get(leaseType, 'ops', 'operator', never);
const specOf = async (): Promise<Record<string, unknown>> => (await readLease())?.spec as Record<string, unknown>;
const fate = (change: Partial<Fate>) => (): Fate => ({ thereMs: 0, backMs: 0, ...change });
const unreachable = fate({ fault: 'lost-request' });

/** Moves time until it is so; tells how long it took. */
async function waitFor(isSo: () => boolean, longestMs: number): Promise<number> {
  const startedMs = clock.monotonicMs();
  while (!isSo()) {
    if (clock.monotonicMs() - startedMs > longestMs) throw new Error(`not so within ${longestMs} ms`);
    await clock.advance(100);
  }
  return clock.monotonicMs() - startedMs;
}

describe('A lease', () => {
  it('is taken at once by the first, and reads like those of client-go', async () => {
    const a = await start('a');
    expect(a.lease.isLeader()).toBe(true);
    expect(await specOf()).toEqual({
      holderIdentity: a.lease.identity,
      leaseDurationSeconds: 15,
      acquireTime: '2026-01-01T00:00:00.000001Z',
      renewTime: '2026-01-01T00:00:00.000001Z',
      leaseTransitions: 0,
    });
    expect(a.lease.identity).toMatch(/^a_[0-9a-f]{16}$/);
    expect(a.states).toEqual([{ leads: true, holder: a.lease.identity }]);
  });

  it('is renewed every two seconds, by one request', async () => {
    const a = await start('a');
    const asked: string[] = [];
    a.process.fateOf = (verb) => {
      asked.push(verb);
      return { thereMs: 0, backMs: 0 };
    };
    await clock.advance(60_000);
    expect(new Set(asked)).toEqual(new Set(['put']));
    expect(asked.length).toBeGreaterThan(24);
    expect(asked.length).toBeLessThan(38);
    expect(await specOf()).toMatchObject({ acquireTime: '2026-01-01T00:00:00.000001Z', leaseTransitions: 0 });
    expect(String((await specOf())['renewTime'])).toMatch(/^2026-01-01T00:00:5[789]\.\d{6}Z|^2026-01-01T00:01:00/);
    expect(a.lease.isLeader()).toBe(true);
    expect(a.terms).toHaveLength(1);
  });

  it('of a holder that died is taken when it was seen unchanged for its duration, and not before', async () => {
    const a = await start('a');
    const b = await start('b');
    await clock.advance(30_000);
    const renewedAt = Date.parse(String((await specOf())['renewTime']));
    a.process.freeze();
    expect(b.lease.isLeader()).toBe(false);
    await waitFor(() => b.lease.isLeader(), 30_000);
    const tookMs = clock.nowMs() - renewedAt;
    expect(tookMs).toBeGreaterThanOrEqual(15_000);
    expect(tookMs).toBeLessThanOrEqual(15_000 + 2400 + 100);
    expect(await specOf()).toMatchObject({ holderIdentity: b.lease.identity, leaseTransitions: 1 });
    expect(b.terms).toHaveLength(1);
    expect(b.states).toEqual([
      { leads: false, holder: a.lease.identity },
      { leads: true, holder: b.lease.identity },
    ]);
  });

  it('is handed back at the end, so that another leads at its next look', async () => {
    const a = await start('a');
    const b = await start('b');
    await clock.advance(5000);
    a.stop.abort();
    await a.done;
    expect(a.lease.isLeader()).toBe(false);
    expect(await specOf()).toMatchObject({ holderIdentity: '', leaseDurationSeconds: 1 });
    expect(await waitFor(() => b.lease.isLeader(), 5000)).toBeLessThanOrEqual(2500);
    expect(await specOf()).toMatchObject({ holderIdentity: b.lease.identity, leaseDurationSeconds: 15 });
  });

  it('is not handed back before the work has ended, and is renewed until then', async () => {
    const ending = Promise.withResolvers<void>();
    const a = await start('a', { work: () => ending.promise });
    const b = await start('b');
    a.stop.abort();
    await clock.advance(60_000);
    expect(a.terms[0]?.aborted).toBe(true);
    expect(a.lease.isLeader()).toBe(true);
    expect(b.lease.isLeader()).toBe(false);
    ending.resolve();
    await a.done;
    expect(a.lease.isLeader()).toBe(false);
    await waitFor(() => b.lease.isLeader(), 5000);
  });

  it('is lost by who cannot reach the server, long before another takes it', async () => {
    const a = await start('a');
    const b = await start('b');
    await clock.advance(20_000);
    a.process.fateOf = unreachable;
    const lostMs = await waitFor(() => a.terms[0]?.aborted === true, 20_000);
    expect(lostMs).toBeLessThanOrEqual(10_000);
    expect(a.lease.isLeader()).toBe(false);
    expect(b.lease.isLeader()).toBe(false);
    expect(await waitFor(() => b.lease.isLeader(), 20_000)).toBeGreaterThan(2500);
    expect(a.states.at(-1)).toMatchObject({ leads: false, lost: 'the lease was not renewed for 10 s' });
    a.process.fateOf = fate({});
    await clock.advance(60_000);
    expect(a.lease.isLeader()).toBe(false);
    expect(b.lease.isLeader()).toBe(true);
    expect(a.states.at(-1)).toEqual({ leads: false, holder: b.lease.identity });
  });

  it('survives one request that hangs: another is sent in time', async () => {
    const a = await start('a');
    await clock.advance(3000);
    let hanging = 1;
    a.process.fateOf = () => ({ thereMs: (hanging -= 1) === 0 ? 3_600_000 : 0, backMs: 0 });
    await clock.advance(60_000);
    expect(a.terms).toHaveLength(1);
    expect(a.lease.isLeader()).toBe(true);
    expect(a.errors).toHaveLength(1);
  });

  it('is lost in time though every request hangs', async () => {
    const a = await start('a');
    await clock.advance(3000);
    a.process.fateOf = fate({ thereMs: 3_600_000 });
    await clock.advance(10_000);
    expect(a.terms[0]?.aborted).toBe(true);
  });

  it('is renewed over lost answers and foreign changes of the object without a pause', async () => {
    const a = await start('a');
    const b = await start('b');
    let count = 0;
    a.process.fateOf = () => ((count += 1) % 5 === 0 ? fate({ fault: 'lost-answer' })() : fate({})());
    for (let round = 0; round < 30; round += 1) {
      await clock.advance(1700);
      const object = await readLease();
      if (object === undefined) throw new Error('the lease is gone');
      const annotations = { round: String(round) };
      await server.put(leaseType, { ...object, metadata: { ...object.metadata, annotations } }, never);
    }
    expect(a.errors.length).toBeGreaterThan(3);
    expect(a.terms).toHaveLength(1);
    expect(a.lease.isLeader()).toBe(true);
    expect(b.terms).toHaveLength(0);
    expect((await readLease())?.metadata.annotations).toEqual({ round: '29' });
  });

  it('does not ask what time it is elsewhere', async () => {
    const a = await start('a');
    a.process.wallOffsetMs = -86_400_000;
    const b = await start('b');
    b.process.wallOffsetMs = 86_400_000;
    const c = await start('c');
    await clock.advance(60_000);
    expect([a, b, c].map(({ lease }) => lease.isLeader())).toEqual([true, false, false]);
    a.process.freeze();
    await waitFor(() => b.lease.isLeader() || c.lease.isLeader(), 18_000);
  });

  it('is not held by two that call themselves the same', async () => {
    const a = await start('same');
    const b = await start('same');
    await clock.advance(60_000);
    expect([a.lease.isLeader(), b.lease.isLeader()]).toEqual([true, false]);
    expect(a.lease.identity).not.toBe(b.lease.identity);
  });

  it('that was deleted is restored by its leader, and not taken by who has seen it', async () => {
    const a = await start('a');
    const b = await start('b');
    await clock.advance(5000);
    await server.delete(leaseType, 'ops', 'operator', {}, never);
    a.process.freeze();
    await clock.advance(9000);
    expect(b.lease.isLeader()).toBe(false);
    a.process.wake();
    await clock.advance(5000);
    expect(await specOf()).toMatchObject({ holderIdentity: a.lease.identity });
    expect([a.lease.isLeader(), b.lease.isLeader()]).toEqual([true, false]);
    await server.delete(leaseType, 'ops', 'operator', {}, never);
    a.process.freeze();
    await waitFor(() => b.lease.isLeader(), 18_000);
  });

  it('of another program is respected for as long as it asks', async () => {
    const spec = { holderIdentity: 'other', leaseDurationSeconds: 40, leaseTransitions: 6, strategy: 'x' };
    const object = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: 'operator', namespace: 'ops' },
    };
    await server.create(leaseType, { ...object, spec }, never);
    const a = await start('a');
    await clock.advance(39_000);
    expect(a.lease.isLeader()).toBe(false);
    await clock.advance(1000);
    expect(a.lease.isLeader()).toBe(true);
    expect(await specOf()).toMatchObject({ leaseTransitions: 7, strategy: 'x', leaseDurationSeconds: 15 });
  });

  it('refuses times that would let two lead', () => {
    const base = { client: server, clock, random: seededRandom(1), namespace: 'ops', name: 'x', identity: 'a' };
    expect(() => createLease({ ...base, durationMs: 10_000 })).toThrow(RangeError);
    expect(() => createLease({ ...base, retryMs: 5000 })).toThrow(RangeError);
    expect(() => createLease({ ...base, retryMs: Number.NaN })).toThrow(RangeError);
  });
});

describe('A leader that was frozen', () => {
  it('knows at its first question that it leads no more, and writes nothing', async () => {
    const a = await start('a');
    const b = await start('b');
    const guarded = guardWrites(a.process.client, () => a.lease.isLeader());
    const widget = await guarded.create(widgetType, buildWidget('ns', 'w'), never);
    await clock.advance(1000);
    a.process.freeze();
    await waitFor(() => b.lease.isLeader(), 20_000);
    const before = a.process.writes;
    expect(a.terms[0]?.aborted).toBe(false);
    a.process.wake();
    // Nothing else has run in it since it woke: no timer has told it.
    await expect(guarded.putStatus(widgetType, { ...widget, status: { phase: 'old' } }, never)).rejects.toThrow(
      NotLeading,
    );
    expect(a.terms[0]?.aborted).toBe(true);
    await expect(guarded.put(widgetType, widget, never)).rejects.toThrow(NotLeading);
    await expect(guarded.create(widgetType, buildWidget('ns', 'w2'), never)).rejects.toThrow(NotLeading);
    await expect(guarded.delete(widgetType, 'ns', 'w', {}, never)).rejects.toThrow(NotLeading);
    expect(a.process.writes).toBe(before);
    expect(await guarded.get(widgetType, 'ns', 'w', never)).toEqual(widget);
    expect((await guarded.list(widgetType, {}, never)).items).toHaveLength(1);
  });

  it('stands by again, and leads again when the other goes', async () => {
    const a = await start('a');
    const b = await start('b');
    a.process.freeze();
    await waitFor(() => b.lease.isLeader(), 20_000);
    a.process.wake();
    await clock.advance(30_000);
    expect([a.lease.isLeader(), b.lease.isLeader()]).toEqual([false, true]);
    b.stop.abort();
    await b.done;
    await waitFor(() => a.lease.isLeader(), 3000);
    expect(a.terms).toHaveLength(2);
    expect(a.terms.map(({ aborted }) => aborted)).toEqual([true, false]);
    expect(await specOf()).toMatchObject({ leaseTransitions: 2 });
  });

  it('does not go on as if nothing were when nobody took the lease: its work begins anew', async () => {
    const a = await start('a');
    a.process.freeze();
    await clock.advance(3_600_000);
    a.process.wake();
    await clock.advance(3000);
    expect(a.terms.map(({ aborted }) => aborted)).toEqual([true, false]);
    expect(a.lease.isLeader()).toBe(true);
  });

  it('with its whole machine (only the wall clock shows it) leads no more', async () => {
    const a = await start('a');
    expect(a.lease.isLeader()).toBe(true);
    a.process.wallOffsetMs = 10_001;
    expect(a.lease.isLeader()).toBe(false);
    expect(a.terms[0]?.aborted).toBe(true);
  });

  it('while it took the lease does not lead by an answer that came too late', async () => {
    const a = await start('a');
    const b = await start('b');
    b.process.fateOf = (verb) => ({ thereMs: 0, backMs: verb === 'put' ? 100 : 0 });
    a.process.freeze();
    let taken = false;
    while (!taken) {
      await clock.advance(50);
      taken = (await specOf())['holderIdentity'] === b.lease.identity;
    }
    b.process.freeze();
    await clock.advance(11_000);
    b.process.wake();
    await settle();
    expect(b.lease.isLeader()).toBe(false);
    expect(b.terms).toHaveLength(0);
  });
});

describe('A candidate', () => {
  it('goes on over every failure, also of who is told', async () => {
    const failing = new KubeError('Forbidden', 'leases is forbidden', { status: 403 });
    const told: unknown[] = [];
    const a = await start('a', {
      onError: (error) => {
        told.push(error);
        throw new Error('the reporter is broken');
      },
      onChange: () => {
        throw new Error('the reporter is broken');
      },
    });
    a.process.fateOf = fate({ fault: failing });
    await clock.advance(20_000);
    expect(a.lease.isLeader()).toBe(false);
    expect(told.length).toBeGreaterThan(5);
    expect(told).toContain(failing);
    a.process.fateOf = fate({});
    await clock.advance(3000);
    expect(a.lease.isLeader()).toBe(true);
  });

  it('whose work ends by itself hands the lease back and ends', async () => {
    const ending = Promise.withResolvers<void>();
    const a = await start('a', { work: () => ending.promise });
    ending.resolve();
    await a.done;
    expect(await specOf()).toMatchObject({ holderIdentity: '' });
  });

  it('whose work breaks hands the lease back and rejects', async () => {
    const ending = Promise.withResolvers<void>();
    const a = await start('a', { work: () => ending.promise });
    ending.reject(new Error('a bug'));
    await expect(a.done).rejects.toThrow('a bug');
    expect(await specOf()).toMatchObject({ holderIdentity: '' });
    expect(a.lease.isLeader()).toBe(false);
  });

  it('whose work breaks because it was told to stop stands by', async () => {
    const a = await start('a', {
      work: async (signal) => {
        await untilAborted(signal);
        throw new Error('broken by the abort');
      },
    });
    a.process.fateOf = unreachable;
    await clock.advance(12_000);
    expect(a.errors).toContainEqual(new Error('broken by the abort'));
    a.process.fateOf = fate({});
    await clock.advance(3000);
    expect(a.lease.isLeader()).toBe(true);
    a.stop.abort();
    await a.done;
  });

  it('that is stopped while it takes the lease leaves it free', async () => {
    const process = new FakeProcess({
      clock,
      client: server,
      fateOf: fate({ thereMs: 10, arrivesThoughAborted: true }),
    });
    const stop = new AbortController();
    const lease = createLease({
      client: process.client,
      clock: process.clock,
      random: seededRandom(9),
      namespace: 'ops',
      name: 'operator',
      identity: 'late',
    });
    const done = lease.whenLeading(untilAborted, stop.signal);
    await clock.advance(15);
    stop.abort();
    await clock.advance(1000);
    await done;
    expect(await specOf()).toMatchObject({ holderIdentity: '' });
  });

  it('ends soon though the server is gone', async () => {
    const a = await start('a');
    a.process.fateOf = fate({ thereMs: 3_600_000 });
    a.stop.abort();
    let hasEnded = false;
    void a.done.then(() => (hasEnded = true));
    expect(await waitFor(() => hasEnded, 20_000)).toBeLessThanOrEqual(5100);
  });

  it('that never led leaves the lease alone when it ends', async () => {
    const a = await start('a');
    const b = await start('b');
    await clock.advance(5000);
    b.stop.abort();
    await b.done;
    expect(b.process.writes).toBe(0);
    expect(a.lease.isLeader()).toBe(true);
  });
});
