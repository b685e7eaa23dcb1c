import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { markBytes, measure } from '../../src/pipeline/measure.ts';
import { meter } from '../../src/pipeline/meter.ts';
import { collect, failingAfter, inPieces, rejection, sampleBytes } from './streams.ts';

describe('measure', () => {
  test.each([1, 13, 1000, 100_000])('tells size and hash of a stream in pieces of %i bytes', async (size) => {
    const content = sampleBytes(50_000);
    const tap = measure();
    expect((await collect(tap.through(inPieces(content, size)))).equals(content)).toBe(true);
    expect(tap.result()).toEqual({ bytes: 50_000, sha256: createHash('sha256').update(content).digest('hex') });
  });

  test('measures an empty stream', async () => {
    const tap = measure();
    await collect(tap.through(inPieces(new Uint8Array(0), 1)));
    expect(tap.result()).toEqual({ bytes: 0, sha256: createHash('sha256').digest('hex') });
  });

  test('has no result for a stream that failed or was left before its end', async () => {
    const failing = measure();
    await rejection(collect(failing.through(failingAfter(sampleBytes(10), 5, 1, new Error('broken')))));
    expect(() => failing.result()).toThrow('before it was read to its end');
    const left = measure();
    for await (const _chunk of left.through(inPieces(sampleBytes(10), 1))) break;
    expect(() => left.result()).toThrow('before it was read to its end');
  });

  test('goes on with the next stream, as if both were one', async () => {
    const [first, second] = [sampleBytes(5000), sampleBytes(300)];
    const one = measure();
    await collect(one.through(inPieces(first, 1000)));
    const both = one.goOn();
    await collect(both.through(inPieces(second, 70)));
    const whole = Buffer.concat([first, second]);
    expect(both.result()).toEqual({ bytes: 5300, sha256: createHash('sha256').update(whole).digest('hex') });
    expect(one.result()).toEqual({ bytes: 5000, sha256: createHash('sha256').update(first).digest('hex') });
    expect(() => measure().goOn()).toThrow('before it was read to its end');
  });

  test.each([1_000_003, markBytes, 3 * markBytes])('marks each 8 MiB by the hash of all before (%i)', async (size) => {
    const content = sampleBytes(2 * markBytes + 5);
    const tap = measure();
    await collect(tap.through(inPieces(content, size)));
    const marks = [markBytes, 2 * markBytes].map((bytes) => ({
      bytes,
      sha256: createHash('sha256').update(content.subarray(0, bytes)).digest('hex'),
    }));
    expect(tap.marks()).toEqual(marks);
  });

  test('refuses a second stream', () => {
    const tap = measure();
    tap.through(inPieces(sampleBytes(10), 1));
    expect(() => tap.through(inPieces(sampleBytes(10), 1))).toThrow('second stream');
  });
});

test('a meter counts while the streams run', async () => {
  const counter = meter();
  const seen: number[] = [];
  for await (const _chunk of counter.through(inPieces(sampleBytes(10), 4))) seen.push(counter.bytes());
  await collect(counter.through(inPieces(sampleBytes(5), 5)));
  expect([seen, counter.bytes()]).toEqual([[4, 8, 10], 15]);
});
