import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import type { Bytes } from '../../src/pipeline/bytes.ts';
import { fanOut } from '../../src/pipeline/fan-out.ts';
import type { Sink } from '../../src/pipeline/sink.ts';
import type { Sleeper } from '../../src/pipeline/sleeper.ts';
import { manualSleeper } from './manual-sleeper.ts';
import { collect, failingAfter, inPieces, rejection, sampleBytes } from './streams.ts';

const never = new AbortController().signal;
const content = sampleBytes(1000);

interface Place extends Sink<number> {
  /** All bytes that were taken. */
  readonly taken: Uint8Array[];
  /** What the body threw at it. */
  readonly caught: unknown[];
}

/** A sink that keeps what it gets. `at` is called before each chunk is asked for. */
function place(name: string, at: (taken: number, signal: AbortSignal) => Promise<void> | void = () => {}): Place {
  const taken: Uint8Array[] = [];
  const caught: unknown[] = [];
  return {
    name,
    taken,
    caught,
    async write(body, signal) {
      let bytes = 0;
      try {
        await at(bytes, signal);
        for await (const chunk of body) {
          taken.push(chunk);
          bytes += chunk.length;
          await at(bytes, signal);
        }
      } catch (error) {
        caught.push(error);
        throw error;
      }
      return bytes;
    },
  };
}

const failAt = (bytes: number, error: Error) => (taken: number) => {
  if (taken >= bytes) throw error;
};
const bytesOf = (sink: Place) => Buffer.concat(sink.taken);

describe('fanOut', () => {
  test.each([1, 7, 1000, 5000])('gives every sink all bytes, in pieces of %i', async (size) => {
    const sinks = [place('a'), place('b'), place('c')];
    const outcomes = await fanOut(inPieces(content, size), sinks, {}, never);
    expect(outcomes).toEqual(sinks.map(({ name }) => ({ name, outcome: 'done', result: 1000 })));
    for (const sink of sinks) expect(bytesOf(sink).equals(content)).toBe(true);
  });

  test('an empty source is a whole one', async () => {
    const sink = place('a');
    expect(await fanOut(inPieces(new Uint8Array(0), 1), [sink], {}, never)).toEqual([
      { name: 'a', outcome: 'done', result: 0 },
    ]);
  });

  test('sinks of any speed that fail anywhere do not change what the others get', async () => {
    const turn = async (count: number) => {
      for (let i = 0; i < count; i++) await Promise.resolve();
    };
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ delay: fc.nat(20), failAt: fc.option(fc.nat(1200), { nil: undefined }) }), {
          minLength: 1,
          maxLength: 5,
        }),
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 1, max: 4 }),
        async (plans, size, chunksAhead) => {
          const error = new Failure('StorageFailed', 'no');
          const sinks = plans.map((plan, index) =>
            place(`sink${index}`, async (taken) => {
              await turn(plan.delay);
              if (plan.failAt !== undefined && taken >= plan.failAt) throw error;
            }),
          );
          const outcomes = await fanOut(inPieces(content, size), sinks, { chunksAhead }, never);
          for (const [index, plan] of plans.entries()) {
            const fails = plan.failAt !== undefined && plan.failAt <= 1000;
            expect(outcomes[index]).toEqual(
              fails
                ? { name: `sink${index}`, outcome: 'failed', failure: error }
                : { name: `sink${index}`, outcome: 'done', result: 1000 },
            );
            const sink = sinks[index];
            if (!fails && sink !== undefined) expect(bytesOf(sink).equals(content)).toBe(true);
          }
        },
      ),
    );
  });

  test.each([0, 1, 500, 999, 1000])(
    'a source that fails after %i bytes fails every sink and is rethrown',
    async (good) => {
      const error = new Failure('DumpFailed', 'broken');
      const sinks = [place('a'), place('b')];
      const caught = await rejection(fanOut(failingAfter(content, good, 100, error), sinks, {}, never));
      expect(caught).toBe(error);
      for (const sink of sinks) expect(sink.caught).toEqual([error]);
    },
  );

  test('rethrows the error of the source only after all sinks cleaned up', async () => {
    const error = new Failure('DumpFailed', 'broken');
    const order: string[] = [];
    const cleaning: Sink<void> = {
      name: 'a',
      async write(body) {
        try {
          await collect(body);
        } finally {
          for (let i = 0; i < 50; i++) await Promise.resolve();
          order.push('cleaned');
        }
      },
    };
    await rejection(fanOut(failingAfter(content, 500, 100, error), [cleaning], {}, never)).then(() =>
      order.push('thrown'),
    );
    expect(order).toEqual(['cleaned', 'thrown']);
  });

  test('a sink that is done before the end has failed, even if it is at the last chunk', async () => {
    for (const chunks of [0, 1, 9, 10]) {
      const hasty: Sink<number> = {
        name: 'hasty',
        async write(body) {
          const iterator = body[Symbol.asyncIterator]();
          for (let i = 0; i < chunks; i++) await iterator.next();
          return 1000;
        },
      };
      const steady = place('steady');
      const outcomes = await fanOut<number>(inPieces(content, 100), [hasty, steady], {}, never);
      expect(outcomes[0]).toMatchObject({ outcome: 'failed', failure: { reason: 'StoredBytesDiffer' } });
      expect(outcomes[1]).toMatchObject({ outcome: 'done', result: 1000 });
    }
  });

  test('a sink that reads twice fails instead of storing half', async () => {
    const twice: Sink<void> = {
      name: 'twice',
      async write(body) {
        for await (const _chunk of body) break;
        await collect(body);
      },
    };
    expect(await fanOut(inPieces(content, 100), [twice], {}, never)).toMatchObject([
      { outcome: 'failed', failure: { reason: 'Internal' } },
    ]);
  });

  test('ends the source early when every sink failed', async () => {
    let given = 0;
    let ended = false;
    const source = (async function* () {
      try {
        for (; ; given++) yield Buffer.alloc(100);
      } finally {
        ended = true;
      }
    })();
    const error = new Failure('StorageFailed', 'no');
    const outcomes = await fanOut(source, [place('a', failAt(300, error)), place('b', failAt(500, error))], {}, never);
    expect(outcomes.map((outcome) => outcome.outcome)).toEqual(['failed', 'failed']);
    expect(ended).toBe(true);
    expect(given).toBeLessThan(12);
  });

  test('the slowest sink sets the pace, and no more than the chunks ahead wait for it', async () => {
    let given = 0;
    const source = (async function* () {
      for (; given < 1000; given++) yield Buffer.alloc(10);
    })();
    const behind: number[] = [];
    const slow = place('slow', async (taken) => {
      for (let i = 0; i < 30; i++) await Promise.resolve();
      behind.push(given - taken / 10);
    });
    await fanOut(source, [place('fast'), slow], { chunksAhead: 3 }, never);
    expect(Math.max(...behind)).toBeLessThanOrEqual(5);
  });

  test('an abort reaches every sink and is thrown', async () => {
    const controller = new AbortController();
    const seen: boolean[] = [];
    const sinks = [
      place('a', (taken) => {
        if (taken >= 300) controller.abort();
      }),
      place('b', (taken, signal) => {
        if (taken >= 300) seen.push(signal.aborted);
      }),
    ];
    const source: Bytes = inPieces(content, 100);
    expect(await rejection(fanOut(source, sinks, {}, controller.signal))).toMatchObject({ reason: 'Aborted' });
    for (const sink of sinks) expect(sink.caught).toMatchObject([{ reason: 'Aborted' }]);
  });

  test('nothing is written when it was aborted before', async () => {
    const sink = place('a');
    expect(await rejection(fanOut(inPieces(content, 100), [sink], {}, AbortSignal.abort()))).toMatchObject({
      reason: 'Aborted',
    });
    expect(sink.taken).toEqual([]);
  });
});

describe('fanOut with a stall limit', () => {
  const hang = () => new Promise<void>(() => {});

  test('a sink that takes nothing is dropped and aborted, and the others get everything', async () => {
    const clock = manualSleeper();
    let gaveUp = false;
    const stuck = place('stuck', (taken, signal) =>
      taken < 200
        ? undefined
        : new Promise<void>((_resolve, reject) => {
            signal.addEventListener('abort', () => {
              gaveUp = true;
              reject(signal.reason as Error);
            });
          }),
    );
    const steady = place('steady');
    const running = fanOut(inPieces(content, 100), [stuck, steady], { stall: { limitMs: 60_000, clock } }, never);
    for (let look = 0; look < 30; look++) await clock.wake();
    const outcomes = await running;
    expect(gaveUp).toBe(true);
    expect(outcomes[0]).toMatchObject({
      outcome: 'failed',
      failure: { reason: 'StorageUnreachable', message: 'stuck took no bytes for 60 s' },
    });
    expect(outcomes[1]).toEqual({ name: 'steady', outcome: 'done', result: 1000 });
    expect(bytesOf(steady).equals(content)).toBe(true);
  });

  test('a sink that does not even hear the abort is let go of', async () => {
    const clock = manualSleeper();
    const deaf = place('deaf', (taken) => (taken < 200 ? undefined : hang()));
    const steady = place('steady');
    const running = fanOut(inPieces(content, 100), [deaf, steady], { stall: { limitMs: 60_000, clock } }, never);
    for (let look = 0; look < 30; look++) await clock.wake();
    expect((await running).map((outcome) => outcome.outcome)).toEqual(['failed', 'done']);
  });

  test('a sink that never finishes after the last byte is dropped too', async () => {
    const clock = manualSleeper();
    const unfinished: Sink<number> = {
      name: 'unfinished',
      async write(body) {
        await collect(body);
        await hang();
        return 1000;
      },
    };
    const running = fanOut(inPieces(content, 100), [unfinished], { stall: { limitMs: 60_000, clock } }, never);
    for (let look = 0; look < 30; look++) await clock.wake();
    expect(await running).toMatchObject([
      { outcome: 'failed', failure: { message: 'unfinished did not finish for 60 s' } },
    ]);
  });

  test('a slow source is no stall of the sinks', async () => {
    const clock = manualSleeper();
    let goOn = (): void => {};
    const source = (async function* () {
      yield content.subarray(0, 500);
      await new Promise<void>((resolve) => {
        goOn = resolve;
      });
      yield content.subarray(500);
    })();
    const sink = place('a');
    const running = fanOut(source, [sink], { stall: { limitMs: 60_000, clock } }, never);
    for (let look = 0; look < 20; look++) await clock.wake();
    goOn();
    expect(await running).toEqual([{ name: 'a', outcome: 'done', result: 1000 }]);
  });
});

describe('fanOut with places of different patience', () => {
  const hang = (): Promise<void> => new Promise(() => undefined);

  test('a sink with a limit of its own is given up sooner', async () => {
    const clock = manualSleeper();
    const stuck = { ...place('stuck', () => hang()), stallMs: 4_000 };
    const running = fanOut(inPieces(content, 100), [stuck], { stall: { limitMs: 60_000, clock } }, never);
    for (let look = 0; look < 12; look++) await clock.wake();
    expect(await running).toMatchObject([{ failure: { message: 'stuck took no bytes for 4 s' } }]);
    expect(new Set(clock.asked)).toEqual(new Set([1_000]));
  });

  test('a sink that holds the others up is told, and given up when it is too slow for them', async () => {
    const clock = manualSleeper();
    const told: (readonly string[])[] = [];
    const failure = new Failure('StorageTooSlow', 'slow is too slow');
    const slow = place('slow', () => hang());
    const quick = place('quick');
    const pace = {
      clock,
      look: (holding: readonly string[]) => {
        told.push(holding);
        return told.length < 3 ? new Map<string, Failure>() : new Map([['slow', failure]]);
      },
    };
    const running = fanOut(inPieces(content, 100), [slow, quick], { pace, stall: { limitMs: 60_000, clock } }, never);
    for (let look = 0; look < 12; look++) await clock.wake();
    const [first, second] = await running;
    expect(told.slice(0, 3)).toEqual([['slow'], ['slow'], ['slow']]);
    expect(first).toMatchObject({ outcome: 'failed', failure: { reason: 'StorageTooSlow' } });
    expect(second).toEqual({ name: 'quick', outcome: 'done', result: 1000 });
    expect(bytesOf(quick).equals(content)).toBe(true);
  });

  const limits = (clock: Sleeper) => ({ stall: { limitMs: 300_000, clock } });
  /** Takes 200 bytes, and then nothing until it is given up. */
  const stuckAt200 = (taken: number): Promise<void> | void => (taken < 200 ? undefined : hang());

  test('a sink that must not hold others up is given up sooner when they wait for it', async () => {
    const clock = manualSleeper();
    const stuck = { ...place('stuck', stuckAt200), stallMs: 60_000, holdMs: 20_000 };
    const needed = place('needed');
    const running = fanOut(inPieces(content, 100), [stuck, needed], limits(clock), never);
    let looks = 0;
    for (; needed.taken.length < 10; looks++) await clock.wake();
    // Every 5 s; the first look only sees where it stands.
    expect(looks).toBeLessThanOrEqual(6);
    for (; looks < 12; looks++) await clock.wake();
    const [first, second] = await running;
    const message = 'stuck took no bytes for 20 s, and required places waited for it';
    expect(first).toMatchObject({ failure: { reason: 'StorageUnreachable', message } });
    expect(second).toMatchObject({ outcome: 'done', result: 1000 });
  });

  test.each([
    ['nobody else is there', []],
    ['the others must not hold anybody up either', [{ ...place('other'), holdMs: 20_000 }]],
    ['the others have failed', [place('broken', failAt(0, new Failure('StorageFailed', 'no')))]],
    ['the others take nothing themselves', [place('slow', stuckAt200)]],
  ])('and has its whole stall limit when %s', async (_when, others) => {
    const clock = manualSleeper();
    const stuck = { ...place('stuck', stuckAt200), stallMs: 60_000, holdMs: 20_000 };
    const running = fanOut(inPieces(content, 100), [stuck, ...others], limits(clock), never);
    for (let look = 0; look < 40; look++) await clock.wake();
    expect((await running)[0]).toMatchObject({ failure: { message: 'stuck took no bytes for 60 s' } });
  });

  test.each([
    ['waits ten times its stall limit', undefined, 4 * 10],
    ['holds required ones up for no longer than its stall limit', 2_000, 4 * 2],
  ])('a sink that is known to be at work %s', async (_what, holdMs, expected) => {
    const clock = manualSleeper();
    const busy = { ...place('busy', stuckAt200), stallMs: 4_000, isBusy: () => true };
    const sink = holdMs === undefined ? busy : { ...busy, holdMs };
    const needed = place('needed');
    const running = fanOut(inPieces(content, 100), [sink, needed], { stall: { limitMs: 400_000, clock } }, never);
    let looks = 0;
    for (; needed.taken.length < 10 && looks < 100; looks++) await clock.wake();
    expect(looks).toBeGreaterThanOrEqual(expected);
    expect(looks).toBeLessThanOrEqual(expected + 2);
    for (let more = 0; more < 20; more++) await clock.wake();
    expect((await running)[1]).toMatchObject({ outcome: 'done', result: 1000 });
  });
});
