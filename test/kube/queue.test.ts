import { expect, it } from 'vitest';
import { createQueue, type QueueOptions } from '../../src/kube/queue.ts';
import { systemClock } from '../../src/support/clock.ts';
import { ManualClock, seededRandom, settle } from './manual-clock.ts';

/** A queue whose work begins at once and ends when the test says so. */
function startQueue(more: Partial<QueueOptions> = {}) {
  const clock = new ManualClock();
  const begun: string[] = [];
  const ends = new Map<string, PromiseWithResolvers<void>>();
  const errors: string[] = [];
  const queue = createQueue({
    clock,
    random: seededRandom(5),
    workers: 2,
    work: async (key) => {
      begun.push(key);
      const end = Promise.withResolvers<void>();
      ends.set(key, end);
      await end.promise;
    },
    onError: (key, error) => errors.push(`${key}: ${String(error)}`),
    ...more,
  });
  const stop = new AbortController();
  const running = queue.run(stop.signal);
  const finish = async (key: string, error?: Error): Promise<void> => {
    const end = ends.get(key);
    if (error) end?.reject(error);
    else end?.resolve();
    await settle();
  };
  return { clock, queue, begun, errors, stop, running, finish };
}

it('works on as many keys as it has workers, in the order in which they came', async () => {
  const { clock, queue, begun, finish } = startQueue();
  for (const key of ['a', 'b', 'c', 'd', 'c']) queue.add(key);
  await clock.advance(3000);
  expect(begun).toEqual(['a', 'b']);
  expect(queue.state()).toMatchObject({ depth: 2, oldestMs: 3000, running: 2, longestRunMs: 3000, delayed: 0 });
  await finish('b');
  expect(begun).toEqual(['a', 'b', 'c']);
  await finish('a');
  await finish('c');
  await finish('d');
  expect(begun).toEqual(['a', 'b', 'c', 'd']);
  expect(queue.state()).toMatchObject({ depth: 0, oldestMs: 0, running: 0, longestRunMs: 0 });
});

it('never gives a key to two workers, and looks again at what was added meanwhile, once', async () => {
  const { queue, begun, finish } = startQueue();
  queue.add('a');
  await settle();
  queue.add('a');
  queue.add('a');
  await settle();
  expect(begun).toEqual(['a']);
  await finish('a');
  expect(begun).toEqual(['a', 'a']);
  await finish('a');
  expect(begun).toEqual(['a', 'a']);
});

it('adds a delayed key at the earliest of its times', async () => {
  const { clock, queue, begun } = startQueue();
  queue.addAfter('a', 5000);
  queue.addAfter('a', 2000);
  queue.addAfter('a', 9000);
  await clock.advance(1999);
  expect(begun).toEqual([]);
  expect(queue.state().delayed).toBe(1);
  await clock.advance(1);
  expect(begun).toEqual(['a']);
  await clock.advance(20_000);
  expect(begun).toEqual(['a']);
  expect(queue.state().delayed).toBe(0);
});

it('adds at once what is to come in no time', async () => {
  const { queue, begun } = startQueue();
  queue.addAfter('a', 0);
  await settle();
  expect(begun).toEqual(['a']);
});

it('notices within ten seconds that the wall clock was set past the time of a key', async () => {
  const { clock, queue, begun } = startQueue();
  queue.addAfter('a', 86_400_000);
  await clock.advance(5000);
  clock.jump(86_400_000);
  await clock.advance(5000);
  expect(begun).toEqual(['a']);
});

it('is not kept waiting by a wall clock that was set back', async () => {
  const { clock, queue, begun } = startQueue();
  queue.addAfter('a', 60_000);
  await settle();
  clock.jump(-86_400_000);
  await clock.advance(60_000);
  expect(begun).toEqual(['a']);
});

it('brings a key that failed back after a time that doubles, and begins anew after a success', async () => {
  const { clock, queue, begun, errors, finish } = startQueue({ backOff: { firstMs: 1000, longestMs: 3000 } });
  queue.add('a');
  await settle();
  for (const [runs, [least, most]] of [
    [500, 1500],
    [1000, 3000],
    [2000, 3000],
    [2000, 3000],
  ].entries()) {
    await finish('a', new Error('broken'));
    await clock.advance((least ?? 0) - 1);
    expect(begun).toHaveLength(runs + 1);
    await clock.advance((most ?? 0) - (least ?? 0) + 1);
    expect(begun).toHaveLength(runs + 2);
  }
  expect(errors).toEqual(Array.from({ length: 4 }, () => 'a: Error: broken'));
  expect(queue.state().retries).toBe(4);
  await finish('a');
  queue.add('a');
  await settle();
  await finish('a', new Error('broken'));
  await clock.advance(1500);
  expect(begun).toHaveLength(7);
});

it('keeps the back-off of a worker that asked to come again itself, until it is forgotten', async () => {
  const begunAt: number[] = [];
  let forget = false;
  const { clock, queue } = startQueue({
    backOff: { firstMs: 1000, longestMs: 64_000 },
    work: async (key) => {
      begunAt.push(clock.monotonicMs());
      if (forget) queue.forget(key);
      else queue.addRateLimited(key);
    },
  });
  queue.add('a');
  await clock.advance(60_000);
  const pauses = begunAt.slice(1).map((at, index) => at - (begunAt[index] ?? 0));
  expect(pauses.length).toBeGreaterThanOrEqual(4);
  for (const [index, pause] of pauses.entries()) {
    expect(pause).toBeGreaterThanOrEqual(500 * 2 ** index);
    expect(pause).toBeLessThanOrEqual(1500 * 2 ** index);
  }
  forget = true;
  await clock.advance(200_000);
  forget = false;
  const before = begunAt.length;
  queue.addRateLimited('a');
  await clock.advance(1500);
  expect(begunAt.length).toBeGreaterThan(before);
});

it('lets keys that are ready go before who gives way, and whoever has waited long before them', async () => {
  const begun: string[] = [];
  const { clock, queue } = startQueue({
    workers: 1,
    work: async (key, signal, giveWay) => {
      begun.push(`${key} begins`);
      await giveWay();
      begun.push(`${key} ends`);
      if (key === 'long') await clock.sleep(20_000, signal);
    },
  });
  // Nothing is ready yet when the first one gives way.
  for (const key of ['first', 'b', 'long', 'c', 'd']) queue.add(key);
  await settle();
  const before = ['first begins', 'first ends', 'b begins', 'long begins', 'c begins', 'd begins', 'd ends', 'b ends'];
  expect(begun).toEqual([...before, 'long ends']);
  queue.add('e');
  queue.add('f');
  await clock.advance(20_000);
  expect(begun.slice(before.length + 1)).toEqual(['c ends', 'e begins', 'f begins', 'f ends', 'e ends']);
  expect(queue.state()).toMatchObject({ depth: 0, running: 0 });
});

it('waits for its workers when it is stopped, and begins nothing more', async () => {
  const { clock, queue, begun, errors, stop, running, finish } = startQueue({ workers: 1 });
  queue.add('a');
  queue.add('b');
  queue.addAfter('c', 1000);
  await settle();
  let ended = false;
  const watched = running.then(() => {
    ended = true;
  });
  stop.abort();
  await clock.advance(5000);
  expect(ended).toBe(false);
  await finish('a', new Error('stopped'));
  await watched;
  expect(begun).toEqual(['a']);
  expect(errors).toEqual(['a: Error: stopped']);
  expect(clock.sleeps).toEqual([]);
});

it('takes keys before it runs', async () => {
  const clock = new ManualClock();
  const begun: string[] = [];
  const queue = createQueue({
    clock,
    random: seededRandom(5),
    workers: 1,
    work: async (key) => {
      begun.push(key);
    },
    onError: () => undefined,
  });
  queue.add('a');
  queue.addAfter('b', 1000);
  await clock.advance(500);
  expect(begun).toEqual([]);
  const stop = new AbortController();
  const running = queue.run(stop.signal);
  await clock.advance(500);
  expect(begun).toEqual(['a', 'b']);
  stop.abort();
  await running;
});

it('survives a reporter of errors that throws', async () => {
  const { clock, queue, begun, finish } = startQueue({
    onError: () => {
      throw new Error('broken reporter');
    },
  });
  queue.add('a');
  await settle();
  await finish('a', new Error('broken'));
  await clock.advance(750);
  expect(begun).toEqual(['a', 'a']);
});

it('lets others work between looks that wait for nothing', async () => {
  const done = Promise.withResolvers<void>();
  let looks = 0;
  const queue = createQueue({
    clock: systemClock,
    random: seededRandom(5),
    workers: 8,
    work: async () => {
      const endsAt = performance.now() + 1;
      while (performance.now() < endsAt);
      looks += 1;
      if (looks === 300) done.resolve();
    },
    onError: () => {},
  });
  let turns = 0;
  const count = (): void => {
    turns += 1;
    if (looks < 300) setImmediate(count);
  };
  count();
  for (let index = 0; index < 300; index += 1) queue.add(`k${index}`);
  const stop = new AbortController();
  const running = queue.run(stop.signal);
  await done.promise;
  expect(turns).toBeGreaterThan(5);
  stop.abort();
  await running;
});
