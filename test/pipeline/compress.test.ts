import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { compress } from '../../src/pipeline/compress.ts';
import { decompress } from '../../src/pipeline/decompress.ts';
import { collect, failingAfter, inPieces, rejection, sampleBytes } from './streams.ts';

const algorithms = ['zstd', 'gzip'] as const;
const stock = { zstd: ['zstd', '-dc'], gzip: ['gzip', '-dc'] } as const;

function hasProgram(program: string): boolean {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function readByStock(algorithm: 'zstd' | 'gzip', stored: Buffer): Buffer {
  const [program, flags] = stock[algorithm];
  return execFileSync(program, [flags], { input: stored, maxBuffer: 1 << 28 });
}

describe.each(algorithms)('compress with %s', (algorithm) => {
  test.each([0, 1, 3, 4, 1000, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 7_654_321])(
    'round-trips %i bytes that compress and that do not',
    async (length) => {
      for (const content of [sampleBytes(length), randomBytes(length), Buffer.alloc(length)]) {
        for (const framesInFlight of [1, 2, 5]) {
          const stored = await collect(compress({ algorithm, framesInFlight })(inPieces(content, 300_000)));
          expect(stored.length).toBeGreaterThan(0);
          const back = await collect(decompress({ algorithm })(inPieces(stored, 99_999)));
          expect(back.equals(content)).toBe(true);
        }
      }
    },
  );

  test.skipIf(!hasProgram(stock[algorithm][0]))('is read by the stock program', async () => {
    for (const length of [0, 5, 3_500_000]) {
      const content = sampleBytes(length);
      const stored = await collect(compress({ algorithm })(inPieces(content, 65_536)));
      expect(readByStock(algorithm, stored).equals(content)).toBe(true);
    }
  });

  test('uses the level', async () => {
    const content = sampleBytes(2_000_000);
    const sizes = [];
    for (const level of [1, 9])
      sizes.push((await collect(compress({ algorithm, level })(inPieces(content, 1 << 16)))).length);
    expect(sizes[1]).not.toBe(sizes[0]);
  });

  test.each([0, 1, 1 << 20, 2_500_000])('throws the error of a source that fails after %i bytes', async (good) => {
    const error = new Error('broken');
    const stage = compress({ algorithm, framesInFlight: 3 });
    expect(await rejection(collect(stage(failingAfter(sampleBytes(3_000_000), good, 70_000, error))))).toBe(error);
  });

  test('as their last reader frees chunks once they are compressed, and nothing that is a part of something else', async () => {
    const mebibyte = 1 << 20;
    const chunks = Array.from({ length: 5 }, (_, index) =>
      Buffer.from(new Uint8Array(sampleBytes(mebibyte, index)).buffer),
    );
    const shared = Buffer.from(new Uint8Array(sampleBytes(3 * mebibyte, 9)).buffer);
    const content = Buffer.concat([...chunks, shared]);
    const source = async function* () {
      yield* chunks;
      yield* inPieces(shared, mebibyte);
    };
    const kept = await collect(compress({ algorithm })(source()));
    expect(chunks.map(({ length }) => length)).toEqual(chunks.map(() => mebibyte));
    const stored = await collect(compress({ algorithm, lastReader: true })(source()));
    expect(chunks.map(({ length }) => length)).toEqual(chunks.map(() => 0));
    expect(shared.equals(content.subarray(5 * mebibyte))).toBe(true);
    expect(stored.equals(kept)).toBe(true);
    expect((await collect(decompress({ algorithm })(inPieces(stored, mebibyte)))).equals(content)).toBe(true);
  });

  test('reads no more ahead than the frames in flight', async () => {
    let given = 0;
    const source = (async function* () {
      for (; given < 100; given++) yield sampleBytes(1 << 20, given);
    })();
    for await (const _chunk of compress({ algorithm, framesInFlight: 3 })(source)) break;
    expect(given).toBeLessThanOrEqual(4);
  });
});

test('none changes nothing', async () => {
  const content = sampleBytes(1000);
  expect((await collect(compress({ algorithm: 'none' })(inPieces(content, 7)))).equals(content)).toBe(true);
  expect((await collect(decompress({ algorithm: 'none' })(inPieces(content, 7)))).equals(content)).toBe(true);
});

describe.each(algorithms)('decompress %s', (algorithm) => {
  const whole = (content: Buffer) => (algorithm === 'zstd' ? zstdCompressSync(content) : gzipSync(content));

  test.each([1, 5, 17, 100, 1 << 20])('reads many frames that come in pieces of %i bytes', async (size) => {
    const parts = Array.from({ length: 30 }, (_, index) => sampleBytes(index * 3, index + 1));
    const stored = Buffer.concat(parts.map(whole));
    const back = await collect(decompress({ algorithm })(inPieces(stored, size)));
    expect(back.equals(Buffer.concat(parts))).toBe(true);
  });

  test('gives out chunks of at most 1 MiB, however much a few bytes hold', async () => {
    const stored = whole(Buffer.alloc(20_000_000));
    let total = 0;
    for await (const chunk of decompress({ algorithm })(inPieces(stored, 1 << 20))) {
      expect(chunk.length).toBeLessThanOrEqual(1 << 20);
      total += chunk.length;
    }
    expect(total).toBe(20_000_000);
  });

  test('refuses input that is cut anywhere inside a frame', async () => {
    const first = whole(sampleBytes(50));
    const stored = Buffer.concat([first, whole(sampleBytes(200, 2))]);
    for (let length = 0; length < stored.length; length++) {
      if (length === first.length) continue;
      for (const size of [1, 1000]) {
        await expect(
          collect(decompress({ algorithm })(inPieces(stored.subarray(0, length), size))),
          `cut at ${length}`,
        ).rejects.toMatchObject({ reason: 'BackupDamaged' });
      }
    }
  });

  test('refuses what follows the last frame', async () => {
    for (const tail of ['x', 'garbage', '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0']) {
      for (const size of [1, 1000]) {
        const stored = Buffer.concat([whole(sampleBytes(50)), Buffer.from(tail)]);
        await expect(
          collect(decompress({ algorithm })(inPieces(stored, size))),
          JSON.stringify([tail, size]),
        ).rejects.toMatchObject({ reason: 'BackupDamaged' });
      }
    }
  });

  test('refuses every flipped byte, or gives the right bytes', async () => {
    const content = sampleBytes(300);
    const stored = await collect(compress({ algorithm })(inPieces(content, 100)));
    let refused = 0;
    for (let index = 0; index < stored.length; index++) {
      const flipped = Buffer.from(stored);
      flipped[index] = (flipped[index] ?? 0) ^ 0x41;
      const outcome = await collect(decompress({ algorithm })(inPieces(flipped, 64))).catch(() => undefined);
      if (outcome === undefined) refused += 1;
      else expect(outcome.equals(content), `byte ${index}`).toBe(true);
    }
    expect(refused).toBeGreaterThan(stored.length - 10);
  });

  test('throws the error of its source', async () => {
    const error = new Error('broken');
    const stored = whole(sampleBytes(5000));
    expect(await rejection(collect(decompress({ algorithm })(failingAfter(stored, 1000, 100, error))))).toBe(error);
  });
});

test.skipIf(!hasProgram('zstd'))('zstd frames are of 1 MiB each and carry checksums', async () => {
  const stored = await collect(
    compress({ algorithm: 'zstd', framesInFlight: 4 })(inPieces(sampleBytes(5_000_000), 1 << 16)),
  );
  const folder = mkdtempSync(join(tmpdir(), 'pgbackup-'));
  try {
    writeFileSync(join(folder, 'x.zst'), stored);
    const listed = execFileSync('zstd', ['-lv', join(folder, 'x.zst')], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    expect(listed).toMatch(/Zstandard Frames: 5\b/);
    expect(listed).toMatch(/Check: XXH64/);
    expect(listed).toMatch(/Decompressed Size: .*\(5000000 B\)/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('what our gzip writes is one file for zlib too', async () => {
  const content = sampleBytes(2_500_000);
  const stored = await collect(compress({ algorithm: 'gzip' })(inPieces(content, 1 << 16)));
  expect(gunzipSync(stored).equals(content)).toBe(true);
});

test.each([1, 7, 1 << 20])('gzip members padded with zeros are read to their end, in pieces of %i', async (size) => {
  const members = Buffer.concat([gzipSync('one '), gzipSync('two')]);
  const read = (stored: Buffer) =>
    collect(decompress({ algorithm: 'gzip', damage: 'FileDamaged' })(inPieces(stored, size)));
  for (const zeros of [1, 511, 10_240]) {
    expect((await read(Buffer.concat([members, Buffer.alloc(zeros)]))).toString()).toBe('one two');
  }
  const behind = Buffer.concat([members, Buffer.alloc(600), gzipSync('three')]);
  expect(await rejection(read(behind))).toMatchObject({ reason: 'FileDamaged' });
  expect(await rejection(read(Buffer.alloc(600)))).toMatchObject({ reason: 'FileDamaged' });
});

test('gzip members padded with zeros are read when the padding begins a chunk', async () => {
  const content = randomBytes(1 << 20);
  const stored = gzipSync(content, { level: 0 });
  for (const missing of [0, 1, 2]) {
    const pad = Buffer.alloc((1 << 20) * 2 - stored.length + missing);
    const back = await collect(
      decompress({ algorithm: 'gzip', damage: 'FileDamaged' })(inPieces(Buffer.concat([stored, pad]), 1 << 20)),
    );
    expect(back.equals(content)).toBe(true);
  }
  async function* apart() {
    yield gzipSync('one');
    yield Buffer.alloc(100);
  }
  expect((await collect(decompress({ algorithm: 'gzip', damage: 'FileDamaged' })(apart()))).toString()).toBe('one');
});
