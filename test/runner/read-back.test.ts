import { mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import { markBytes, measure } from '../../src/pipeline/measure.ts';
import { sample } from '../../src/pipeline/sample.ts';
import { readBack, type SentObject } from '../../src/runner/read-back.ts';
import { openDirectory } from '../../src/storage/directory.ts';
import { limitStorage } from '../../src/storage/limit.ts';
import type { Range, Storage } from '../../src/storage/storage.ts';
import { WholeBytes } from '../../src/storage/whole-bytes.ts';
import { systemClock, systemRandom, type Clock } from '../../src/support/clock.ts';
import { changeStorage } from '../builders/change-storage.ts';
import { collect, inPieces, rejection, sampleBytes } from '../pipeline/streams.ts';

const never = new AbortController().signal;
const key = 'shop/nightly/nightly-1/a1b2c3d4/orders.dump';
const mib = 1024 * 1024;
/** Three strata and a bit. */
const content = sampleBytes(25 * mib + 77);
/** Pauses end at once. */
const clock: Clock = { ...systemClock, sleep: (_ms, signal) => systemClock.sleep(0, signal) };
const tools = { clock, random: systemRandom, stallMilliseconds: 300_000 };

let folder: string;
let path: string;
let place: Storage;
let sent: SentObject;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'read-back-'));
  path = join(folder, key);
  place = openDirectory({ path: folder }, { random: systemRandom });
  sent = await store(content);
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

async function store(bytes: Buffer): Promise<SentObject> {
  const whole = measure();
  const pieces = sample(() => systemRandom.fraction());
  await collect(pieces.through(whole.through(inPieces(bytes, mib))));
  await place.put(key, new WholeBytes(bytes), {}, never);
  return { key, ...whole.result(), marks: whole.marks(), pieces: pieces.pieces() };
}

async function spoil(offset: number, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'r+');
  await file.write(bytes, 0, bytes.length, offset);
  await file.close();
}

const changed = (changes: Partial<Storage>): Storage => changeStorage(place, changes);

describe.each(['Sample', 'Full'] as const)('a place that is read back (%s)', (how) => {
  const failureOf = async (storage = place): Promise<unknown> => rejection(readBack(storage, sent, how, tools, never));

  test('and holds what was sent passes', async () => {
    const read = await readBack(place, sent, how, tools, never);
    expect(read).toBe(how === 'Full' ? content.length : sent.pieces.reduce((sum, { bytes }) => sum + bytes, 0));
    if (how === 'Sample') expect(read).toBeLessThan(content.length / 50);
  });

  test.each([1, 100, 65_537, 4 * mib])(
    'and holds a small object of %i bytes is compared to the last bit',
    async (size) => {
      sent = await store(sampleBytes(size));
      expect(await readBack(place, sent, how, tools, never)).toBe(size);
      const offset = Math.floor(systemRandom.fraction() * size);
      const bytes = await readFile(path);
      await spoil(offset, Buffer.of((bytes[offset] ?? 0) ^ 1));
      expect(await failureOf()).toMatchObject({ reason: 'StoredBytesDiffer' });
    },
  );

  test('and holds an empty object passes', async () => {
    sent = await store(Buffer.alloc(0));
    expect(await readBack(place, sent, how, tools, never)).toBe(0);
  });

  test.each([
    ['cut to nothing', () => truncate(path, 0)],
    ['cut to nine tenths', () => truncate(path, Math.floor(content.length * 0.9))],
    ['one byte short', () => truncate(path, content.length - 1)],
    ['of other bytes throughout', () => writeFile(path, Buffer.alloc(content.length, 7))],
    ['of zeros from the middle on', () => spoil(8 * mib, Buffer.alloc(content.length - 8 * mib))],
    ['of bytes that are 16 KiB late', () => spoil(mib, content.subarray(mib - 16_384, content.length - 16_384))],
    ['with another head', () => spoil(0, Buffer.of(content[0] === 1 ? 2 : 1))],
    ['with another last byte', () => spoil(content.length - 1, Buffer.of((content.at(-1) ?? 0) ^ 1))],
  ])('and holds an object %s is found out, with key and offset', async (_, change) => {
    await change();
    expect(await failureOf()).toMatchObject({
      reason: 'StoredBytesDiffer',
      message: expect.stringMatching(new RegExp(`^${key} .*offset \\d+`)),
    });
  });

  test('and holds the right object only later passes', async () => {
    let asked = 0;
    const late = changed({
      async *get(...args) {
        asked += 1;
        if (asked < 3) throw new Failure('ObjectMissing', 'not there');
        yield* place.get(...args);
      },
    });
    await readBack(late, sent, how, tools, never);
    expect(asked).toBeGreaterThan(2);
  });

  test('and forgot the object is found out', async () => {
    await place.delete(key, never);
    expect(await failureOf()).toMatchObject({
      reason: 'StoredBytesDiffer',
      message: `${key} was acknowledged, but it is not there`,
    });
  });

  test('over a connection that breaks off now and then goes on where it was', async () => {
    let broken = 0;
    const asked: (Range | undefined)[] = [];
    const flaky = changed({
      async *get(wanted, range, signal) {
        asked.push(range);
        let passed = 0;
        for await (const chunk of place.get(wanted, range, signal)) {
          yield chunk;
          passed += 1;
          if (passed === 2 && broken++ < 3) throw new Failure('StorageUnreachable', 'reset');
        }
      },
    });
    await readBack(flaky, sent, how, tools, never);
    if (how === 'Full') expect(asked.map((range) => range?.start)).toEqual([0, 2 * mib, 4 * mib, 6 * mib]);
  });

  test('and cannot be read says so', async () => {
    const denied = changed({
      // oxlint-disable-next-line require-yield -- a stream that only fails
      async *get() {
        throw new Failure('StorageDenied', 'no');
      },
    });
    expect(await failureOf(denied)).toMatchObject({ reason: 'StorageDenied' });
  });

  test('and says nothing at all is asked once, and given up', async () => {
    let asked = 0;
    const hanging = changed({
      get: () => {
        asked += 1;
        return { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) };
      },
    });
    const limited = limitStorage(hanging, { answerMs: 50, stallMs: 50, tidyMs: 50, clock: systemClock });
    const failure = await rejection(readBack(limited, sent, how, { ...tools, stallMilliseconds: 40 }, never));
    expect(failure).toMatchObject({ reason: 'StorageUnreachable' });
    expect(asked).toBe(how === 'Full' ? 1 : Math.min(8, sent.pieces.length));
  });

  test('and gives without end what was cut off is not read without end', async () => {
    let given = 0;
    const endless = changed({
      async *get() {
        for (;;) {
          given += mib;
          yield Buffer.alloc(mib);
        }
      },
    });
    expect(await failureOf(endless)).toMatchObject({ reason: 'StoredBytesDiffer' });
    expect(given).toBeLessThan(content.length + 2 * mib);
  });
});

test('a sample meets a flipped bit as often as its share of the bytes, and the whole always', async () => {
  const covered = Buffer.alloc(content.length);
  for (const { start, bytes } of sent.pieces) covered.fill(1, start, start + bytes);
  const inside = covered.indexOf(1, 9 * mib);
  const outside = covered.indexOf(0, 9 * mib);
  for (const [offset, isMet] of [
    [inside, true],
    [outside, false],
  ] as const) {
    await spoil(offset, Buffer.of((content[offset] ?? 0) ^ 1));
    const found = await readBack(place, sent, 'Sample', tools, never).catch((error: unknown) => error);
    if (isMet) expect(found).toMatchObject({ reason: 'StoredBytesDiffer' });
    else expect(found).toBeLessThan(content.length);
    expect(await rejection(readBack(place, sent, 'Full', tools, never))).toMatchObject({
      message: `${key} was read back and is not what was sent: in the ${markBytes} bytes from offset ${offset - (offset % markBytes)}`,
    });
    await spoil(offset, content.subarray(offset, offset + 1));
  }
});
