import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { pieceBytes, sample, stratumBytes, type Piece } from '../../src/pipeline/sample.ts';
import { systemRandom } from '../../src/support/clock.ts';
import { collect, inPieces, sampleBytes } from './streams.ts';

const chance = (): number => systemRandom.fraction();

async function sampled(content: Uint8Array, size: number, fraction = chance): Promise<readonly Piece[]> {
  const tap = sample(fraction);
  expect((await collect(tap.through(inPieces(content, size)))).equals(content)).toBe(true);
  return tap.pieces();
}

function expectTrue(pieces: readonly Piece[], content: Uint8Array): void {
  for (const { start, bytes, sha256 } of pieces) {
    const piece = content.subarray(start, start + bytes);
    expect(piece).toHaveLength(bytes);
    expect(createHash('sha256').update(piece).digest('hex')).toBe(sha256);
  }
}

describe('a sample', () => {
  test.each([1, 2, 1000, pieceBytes - 1, pieceBytes, pieceBytes + 1, 3 * pieceBytes])(
    'of a short stream of %i bytes holds all of it, or its head and its tail',
    async (length) => {
      const content = sampleBytes(length);
      const pieces = await sampled(content, 777);
      expectTrue(pieces, content);
      expect(Math.min(...pieces.map(({ start }) => start))).toBe(0);
      expect(Math.max(...pieces.map(({ start, bytes }) => start + bytes))).toBe(length);
    },
  );

  test('of an empty stream holds nothing', async () => {
    expect(await sampled(new Uint8Array(0), 1)).toEqual([]);
  });

  test.each([1_048_576, 65_536, 100_003, 3_333_333])(
    'holds the head, the tail and one piece of each stratum, whatever the chunks (%i bytes)',
    async (size) => {
      const content = sampleBytes(3 * stratumBytes + 12_345);
      const pieces = await sampled(content, size);
      expectTrue(pieces, content);
      expect(pieces[0]).toMatchObject({ start: 0, bytes: pieceBytes });
      expect(pieces.at(-1)).toMatchObject({ start: content.length - pieceBytes, bytes: pieceBytes });
      const strata = pieces.slice(1, -1).map(({ start }) => Math.floor(start / stratumBytes));
      expect(strata).toEqual([0, 1, 2]);
    },
  );

  test('takes its pieces at other places each time, from the first byte of a stratum to its last', async () => {
    const content = sampleBytes(2 * stratumBytes);
    const starts = new Set<number>();
    for (let round = 0; round < 5; round++) for (const { start } of await sampled(content, 1 << 20)) starts.add(start);
    // Head and tail are always the same two.
    expect(starts.size).toBeGreaterThan(8);
    const first = await sampled(content, 1 << 20, () => 0);
    const last = await sampled(content, 1 << 20, () => 0.999_999_999_9);
    expect(first.map(({ start }) => start)).toEqual([0, pieceBytes, stratumBytes, 2 * stratumBytes - pieceBytes]);
    expect(last.map(({ start }) => start)).toEqual([
      0,
      stratumBytes - pieceBytes,
      2 * stratumBytes - pieceBytes,
      2 * stratumBytes - pieceBytes,
    ]);
  });

  test('leaves no gap of two strata: what is wrong for so long is met', async () => {
    const content = sampleBytes(6 * stratumBytes);
    const pieces = await sampled(content, 1 << 20);
    let covered = 0;
    for (const { start, bytes } of pieces.toSorted((a, b) => a.start - b.start)) {
      expect(start - covered).toBeLessThan(2 * stratumBytes);
      covered = Math.max(covered, start + bytes);
    }
    expect(covered).toBe(content.length);
  });
});
