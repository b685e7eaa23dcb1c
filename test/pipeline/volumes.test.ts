import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Bytes } from '../../src/pipeline/bytes.ts';
import { cutVolumes } from '../../src/pipeline/volumes.ts';
import { collect, failingAfter, inPieces, rejection, sampleBytes } from './streams.ts';

async function collectVolumes(source: Bytes, volumeBytes: number): Promise<Buffer[]> {
  const volumes: Buffer[] = [];
  for await (const { index, bytes } of cutVolumes(source, volumeBytes)) {
    expect(index).toBe(volumes.length + 1);
    volumes.push(await collect(bytes));
  }
  return volumes;
}

describe('cutVolumes', () => {
  test('cuts into full volumes and a rest that join to the stream again', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 200 }),
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 50 }),
        async (content, pieceBytes, volumeBytes) => {
          const volumes = await collectVolumes(inPieces(content, pieceBytes), volumeBytes);
          expect(Buffer.concat(volumes)).toEqual(Buffer.from(content));
          expect(volumes.map((volume) => volume.length)).toEqual(expectedLengths(content.length, volumeBytes));
        },
      ),
    );
  });

  test('reads no further than the volume that is asked for, and one chunk', async () => {
    let given = 0;
    const source = (async function* () {
      for (; given < 100; given++) yield Buffer.alloc(10);
    })();
    for await (const { bytes } of cutVolumes(source, 30)) {
      expect((await collect(bytes)).length).toBe(30);
      break;
    }
    expect(given).toBeLessThanOrEqual(3);
  });

  test.each([0, 1, 29, 30, 31, 60, 99])('throws the error of a source that fails after %i bytes', async (good) => {
    const error = new Error('broken');
    const caught = await rejection(collectVolumes(failingAfter(sampleBytes(100), good, 7, error), 30));
    expect(caught).toBe(error);
  });

  test('throws the same error again when the loop goes on after a failed volume', async () => {
    const error = new Error('broken');
    const volumes = cutVolumes(failingAfter(sampleBytes(100), 10, 7, error), 30);
    const first = await volumes.next();
    if (first.done === true) throw new Error('no volume');
    expect(await rejection(collect(first.value.bytes))).toBe(error);
    expect(await rejection(volumes.next())).toBe(error);
  });

  test('refuses to go on when a volume was not read to its end', async () => {
    const volumes = cutVolumes(inPieces(sampleBytes(100), 10), 30);
    await volumes.next();
    await expect(volumes.next()).rejects.toMatchObject({ reason: 'Internal' });
  });

  test('ends the source when the loop is left', async () => {
    let ended = false;
    const source = (async function* () {
      try {
        for (;;) yield Buffer.alloc(10);
      } finally {
        ended = true;
      }
    })();
    for await (const { bytes } of cutVolumes(source, 30)) {
      await collect(bytes);
      break;
    }
    expect(ended).toBe(true);
  });
});

function expectedLengths(total: number, volumeBytes: number): number[] {
  if (total === 0) return [0];
  const full = Math.floor(total / volumeBytes);
  const rest = total % volumeBytes;
  return [...Array.from({ length: full }, () => volumeBytes), ...(rest === 0 ? [] : [rest])];
}
