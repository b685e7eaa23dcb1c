import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { gather } from '../../src/pipeline/bytes.ts';
import { collect, failingAfter, inPieces, rejection, sampleBytes } from './streams.ts';

describe('gather', () => {
  test('gives the same bytes in chunks of one size, however they come', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 }),
        fc.integer({ min: 1, max: 30 }),
        async (pieces, size) => {
          const chunks: Uint8Array[] = [];
          for await (const chunk of gather(
            (async function* () {
              yield* pieces;
            })(),
            size,
          )) {
            chunks.push(chunk);
          }
          expect(Buffer.concat(chunks)).toEqual(Buffer.concat(pieces));
          expect(chunks.slice(0, -1).every((chunk) => chunk.length === size)).toBe(true);
          const last = chunks.at(-1);
          if (last !== undefined) expect(last.length).toBeGreaterThan(0);
        },
      ),
    );
  });

  test('never changes a chunk after it was given out', async () => {
    const content = sampleBytes(1000);
    const chunks: Uint8Array[] = [];
    for await (const chunk of gather(inPieces(content, 7), 64)) chunks.push(chunk);
    expect(Buffer.concat(chunks).equals(content)).toBe(true);
  });

  test('passes the error of the source on', async () => {
    const error = new Error('broken');
    expect(await rejection(collect(gather(failingAfter(sampleBytes(100), 50, 7, error), 16)))).toBe(error);
  });
});
