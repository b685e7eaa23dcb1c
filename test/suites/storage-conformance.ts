import { afterAll, beforeAll, beforeEach, describe, expect, test, type TestContext } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import type { ObjectStat, Storage, Unfinished } from '../../src/storage/storage.ts';
import { digest, pattern, patternBody, readAll, readText, textBody } from './bodies.ts';

/** A place of a driver, and what can be seen of it from outside. */
export interface PlaceUnderTest {
  /** A storage on a root that nobody else uses; the same root every time. */
  open(): Storage;
  /** A storage whose bucket or folder does not exist. */
  openMissing(): Storage;
  /** A storage with a credential that the place does not know; absent where there are none. */
  openRefused?: (() => Storage) | undefined;
  /** Everything that is there as the place itself shows it, temporary files and unfinished uploads included. */
  lookFromOutside(): Promise<readonly string[]>;
  /**
   * Bytes that have arrived of an upload that is not complete. Some servers revive an upload that is removed while a part of it arrives:
   * a place behind something slow says so when none is on its way any more.
   */
  arrived?(key: string): Promise<number>;
  /** Why a case cannot be shown on this place. */
  readonly skips?: Partial<Record<'credentials' | 'conditions' | 'memory' | 'order' | 'unfinished', string>>;
  stop(): Promise<void>;
}

export interface ConformanceOptions {
  readonly hasCredentials?: boolean;
  /** Cases, by title, that this server cannot pass, each with why. One that it passes all the same fails: no tales are told. */
  readonly deviations?: Readonly<Partial<Record<string, string>>>;
}

const MiB = 1024 * 1024;
const go = new AbortController().signal;

/** One case for each sentence of the contract (src/storage/storage.ts); a place without credentials has one less. */
export function storageConformance(
  title: string,
  start: () => Promise<PlaceUnderTest>,
  { hasCredentials = true, deviations = {} }: ConformanceOptions = {},
): void {
  describe(`${title} keeps the contract of a storage`, () => {
    let place: PlaceUnderTest;
    let storage: Storage;
    let folder = '';
    let cases = 0;
    const titles = new Set<string>();

    beforeAll(async () => {
      place = await start();
      storage = place.open();
    });
    afterAll(async () => {
      await storage?.close();
      await place?.stop();
      expect(Object.keys(deviations).filter((deviation) => !titles.has(deviation))).toEqual([]);
    });
    beforeEach(({ task }) => {
      titles.add(task.name);
      Object.assign(task, { fails: deviations[task.name] !== undefined });
      cases += 1;
      folder = `case-${cases}`;
    });

    const key = (name = 'object'): string => `${folder}/${name}`;
    const put = (name: string, text: string, onlyIfAbsent = false) =>
      storage.put(key(name), textBody(text), { onlyIfAbsent }, go);
    const list = async (prefix: string, after?: string): Promise<readonly ObjectStat[]> => {
      const found: ObjectStat[] = [];
      for await (const stat of storage.list(prefix, after, go)) found.push(stat);
      return found;
    };
    const keys = async (prefix: string, after?: string) => (await list(prefix, after)).map((stat) => stat.key);
    const unfinished = async (from: Storage, prefix: string): Promise<readonly Unfinished[]> => {
      const found: Unfinished[] = [];
      for await (const item of from.listUnfinished(prefix, go)) found.push(item);
      return found;
    };
    /** What is in the case's folder, seen from outside. */
    const outside = async () => (await place.lookFromOutside()).filter((path) => path.includes(`${folder}/`));

    test.each([
      ['no bytes', 0, 1],
      ['one byte', 1, 1],
      ['one byte less than a part', 8 * MiB - 1, MiB],
      ['exactly one part', 8 * MiB, MiB],
      ['a part and a byte', 8 * MiB + 1, MiB],
      ['two parts exactly', 16 * MiB, 3 * MiB],
      ['20 MiB in chunks of 4 KiB', 20 * MiB, 4096],
      ['20 MiB in one chunk', 20 * MiB, 20 * MiB],
      ['100 KB in chunks of one byte', 100_000, 1],
    ])('stores %s and gives back the same', async (_, length, chunk) => {
      const stored = await storage.put(key(), patternBody(length, chunk), {}, go);
      expect(stored.bytes).toBe(length);
      expect((await storage.stat(key(), go))?.bytes).toBe(length);
      expect(await digest(storage.get(key(), undefined, go))).toBe(await digest(patternBody(length)));
      expect(await keys(`${folder}/`)).toEqual([key()]);
    });

    test('replaces what was there', async () => {
      await put('object', 'the older, longer text');
      await put('object', 'the newer text');
      expect(await readText(storage.get(key(), undefined, go))).toBe('the newer text');
      expect((await list(`${folder}/`)).map(({ bytes }) => bytes)).toEqual([14]);
    });

    test('replaces in one step where that is asked for, or refuses and leaves the older object', async () => {
      await put('object', 'old');
      const refused = await storage.put(key(), textBody('newer'), { inOneStep: true }, go).then(
        () => undefined,
        (error: unknown) => error,
      );
      if (refused !== undefined) expect(refused).toMatchObject({ reason: 'StorageConfigInvalid' });
      expect(await readText(storage.get(key(), undefined, go))).toBe(refused === undefined ? 'newer' : 'old');
      expect(await keys(`${folder}/`)).toEqual([key()]);
    });

    test('shows nothing under the key until the bytes are complete', async () => {
      const seen: (ObjectStat | undefined)[] = [];
      async function* watched() {
        yield* patternBody(9 * MiB);
        seen.push(await storage.stat(key(), go));
        yield* patternBody(9 * MiB);
        seen.push(await storage.stat(key(), go));
        expect(await keys(`${folder}/`)).toEqual([]);
      }
      await storage.put(key(), watched(), {}, go);
      expect(seen).toEqual([undefined, undefined]);
      expect((await storage.stat(key(), go))?.bytes).toBe(18 * MiB);
    });

    test.each([
      ['at once', 0],
      ['within the first part', 3 * MiB],
      ['after several parts', 30 * MiB],
    ])('leaves nothing of a body that fails %s, and rethrows its error as it is', async (_, length) => {
      await put('older', 'untouched');
      const fault = Object.assign(new Error('the source broke'), { code: 'ENOENT' });
      async function* failing() {
        yield* patternBody(length);
        throw fault;
      }
      await expect(storage.put(key('older'), failing(), {}, go)).rejects.toBe(fault);
      await expect(storage.put(key('deep/er/new'), failing(), {}, go)).rejects.toBe(fault);
      expect(await readText(storage.get(key('older'), undefined, go))).toBe('untouched');
      expect(await storage.stat(key('deep/er/new'), go)).toBeUndefined();
      expect((await outside()).filter((path) => !path.endsWith(key('older')))).toEqual([]);
    });

    test.each([
      ['within the first part', 3 * MiB],
      ['after several parts', 30 * MiB],
    ])('leaves nothing when it is aborted %s, although the body hangs', async (_, length) => {
      await put('older', 'untouched');
      for (const name of ['older', 'new']) {
        const abort = new AbortController();
        let released = false;
        async function* hanging() {
          try {
            yield* patternBody(length);
            setImmediate(() => abort.abort(new Error('enough')));
            await new Promise((resolve) => abort.signal.addEventListener('abort', resolve));
            yield* patternBody(1);
          } finally {
            released = true;
          }
        }
        const put = storage.put(key(name), hanging(), {}, abort.signal);
        await expect(put).rejects.toMatchObject({ reason: 'Aborted' });
        await expect.poll(() => released).toBe(true);
      }
      expect(await readText(storage.get(key('older'), undefined, go))).toBe('untouched');
      expect(await storage.stat(key('new'), go)).toBeUndefined();
      expect((await outside()).filter((path) => !path.endsWith(key('older')))).toEqual([]);
    });

    test('does nothing when the signal has aborted before', async () => {
      const stopped = AbortSignal.abort(new Failure('DeadlineExceeded', 'too late'));
      const tooLate = { reason: 'DeadlineExceeded' };
      await expect(storage.put(key(), textBody('x'), {}, stopped)).rejects.toMatchObject(tooLate);
      await expect(storage.stat(key(), stopped)).rejects.toMatchObject(tooLate);
      await expect(storage.delete(key(), stopped)).rejects.toMatchObject(tooLate);
      await expect(readAll(storage.get(key(), undefined, stopped))).rejects.toMatchObject(tooLate);
      expect(await keys(`${folder}/`)).toEqual([]);
    });

    test('waits for a body that comes slowly', async () => {
      async function* slow() {
        for (const word of ['a', 'b', 'c']) {
          await new Promise((resolve) => setTimeout(resolve, 30));
          yield Buffer.from(word);
        }
      }
      await storage.put(key(), slow(), {}, go);
      expect(await readText(storage.get(key(), undefined, go))).toBe('abc');
    });

    test('refuses to store what exists when it is to be stored only if absent', async () => {
      await put('small', 'first', true);
      await expect(put('small', 'second', true)).rejects.toMatchObject({ reason: 'AlreadyStored' });
      const big = () => storage.put(key('small'), patternBody(20 * MiB), { onlyIfAbsent: true }, go);
      await expect(big()).rejects.toMatchObject({ reason: 'AlreadyStored' });
      expect(await readText(storage.get(key('small'), undefined, go))).toBe('first');
      expect((await outside()).filter((path) => !path.endsWith(key('small')))).toEqual([]);
      await storage.delete(key('small'), go);
      await big();
      expect((await storage.stat(key('small'), go))?.bytes).toBe(20 * MiB);
    });

    test('lets exactly one of racing writers store a key that is to be absent', async ({ skip, task }) => {
      const reason = place.skips?.conditions;
      skip(reason !== undefined, reason);
      await put('other', 'connects, so that it is known what the place offers');
      expect(storage.conditionalPut).toBe(true);
      // Where it is known to be lost, it is raced until it is.
      const rounds = deviations[task.name] === undefined ? 5 : 100;
      for (let round = 0; round < rounds; round += 1) {
        const name = `race-${round}`;
        const writers = Array.from({ length: 4 }, (_, writer) => put(name, `writer ${writer}`, true));
        const results = await Promise.allSettled(writers);
        const winners = results.flatMap(({ status }, writer) => (status === 'fulfilled' ? [`writer ${writer}`] : []));
        expect(winners).toHaveLength(1);
        expect(await readText(storage.get(key(name), undefined, go))).toBe(winners[0]);
        for (const result of results) {
          if (result.status === 'rejected') expect(result.reason).toMatchObject({ reason: 'AlreadyStored' });
        }
      }
      expect(await outside()).toHaveLength(6);
    });

    test('gives ranges, clipped at the end of the object', async () => {
      await storage.put(key(), patternBody(3 * MiB), {}, go);
      const range = async (start: number, end?: number) =>
        readAll(storage.get(key(), end === undefined ? { start } : { start, end }, go));
      expect((await range(0, 0)).equals(pattern(0, 1))).toBe(true);
      expect((await range(5, 104)).equals(pattern(5, 100))).toBe(true);
      expect((await range(MiB - 3, 2 * MiB + 5)).equals(pattern(MiB - 3, MiB + 9))).toBe(true);
      expect((await range(3 * MiB - 7)).equals(pattern(3 * MiB - 7, 7))).toBe(true);
      expect((await range(3 * MiB - 7, 9 * MiB)).equals(pattern(3 * MiB - 7, 7))).toBe(true);
      expect((await range(3 * MiB)).length).toBe(0);
    });

    test('fails with ObjectMissing for a key that does not exist, and tells nothing about it', async () => {
      await put('there', 'x');
      const missing = { reason: 'ObjectMissing' };
      await expect(readAll(storage.get(key('absent'), undefined, go))).rejects.toMatchObject(missing);
      await expect(readAll(storage.get(key('absent'), { start: 5, end: 9 }, go))).rejects.toMatchObject(missing);
      expect(await storage.stat(key('absent'), go)).toBeUndefined();
      expect(await storage.stat(folder, go)).toBeUndefined();
      expect(await storage.stat(key('there/below'), go)).toBeUndefined();
    });

    test('releases the connection when the loop is left early', async () => {
      await storage.put(key(), patternBody(20 * MiB), {}, go);
      for (let time = 0; time < 60; time += 1) {
        for await (const chunk of storage.get(key(), undefined, go)) {
          expect(chunk.length).toBeGreaterThan(0);
          break;
        }
      }
      expect((await storage.stat(key(), go))?.bytes).toBe(20 * MiB);
    });

    test('ends a download on abort', async () => {
      await storage.put(key(), patternBody(20 * MiB), {}, go);
      const abort = new AbortController();
      const reading = (async () => {
        for await (const _ of storage.get(key(), undefined, abort.signal)) abort.abort();
      })();
      await expect(reading).rejects.toMatchObject({ reason: 'Aborted' });
    });

    test('tells size and time', async () => {
      const before = Date.now();
      await put('object', 'twelve bytes');
      const stat = await storage.stat(key(), go);
      expect(stat).toMatchObject({ key: key(), bytes: 12 });
      expect(Math.abs((stat?.modifiedAtMs ?? 0) - before)).toBeLessThan(60_000);
    });

    test('lists in the order of the bytes of keys, folders or not', async ({ skip }) => {
      const reason = place.skips?.order;
      skip(reason !== undefined, reason);
      const names = [
        'a',
        'a-b',
        'a.b',
        'b/c',
        'b.c/d',
        'b-/d',
        'b0',
        'Z',
        '~',
        '%C3%BC',
        'a+b',
        'a=b',
        'a@b',
        'a_b',
        'c/d/e',
      ];
      for (const name of names) await put(name, name);
      const sorted = names.map((name) => key(name)).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      expect(await keys(`${folder}/`)).toEqual(sorted);
      for (const [index, after] of sorted.entries())
        expect(await keys(`${folder}/`, after)).toEqual(sorted.slice(index + 1));
      expect(await keys(`${folder}/`, `${folder}/b`)).toEqual(sorted.filter((name) => name > `${folder}/b`));
      expect(await keys(`${folder}/b`)).toEqual(sorted.filter((name) => name.startsWith(`${folder}/b`)));
      expect(await keys(`${folder}/b/`)).toEqual([key('b/c')]);
      expect(await keys(`${folder}/nothing`)).toEqual([]);
      for (const name of names) expect(await readText(storage.get(key(name), undefined, go))).toBe(name);
    });

    test('lists every object once across pages', async () => {
      const names = Array.from({ length: 1250 }, (_, index) => `n${String(index).padStart(4, '0')}/manifest.json`);
      const queue = [...names];
      const work = async () => {
        for (let name = queue.pop(); name !== undefined; name = queue.pop()) await put(name, 'x');
      };
      await Promise.all(Array.from({ length: 8 }, work));
      expect(await keys(`${folder}/`)).toEqual(names.map((name) => key(name)));
      expect(await keys(`${folder}/`, key(names[1100]))).toEqual(names.slice(1101).map((name) => key(name)));
    });

    test('stops listing when the loop is left early', async () => {
      for (const name of ['a', 'b', 'c']) await put(name, name);
      for await (const { key: first } of storage.list(`${folder}/`, undefined, go)) {
        expect(first).toBe(key('a'));
        break;
      }
      expect(await keys(`${folder}/`)).toHaveLength(3);
    });

    test('deletes, whether or not the object exists', async () => {
      await put('some/where/deep', 'x');
      await put('some/other', 'y');
      await storage.delete(key('some/where/deep'), go);
      await storage.delete(key('some/where/deep'), go);
      await storage.delete(key('never/was'), go);
      await storage.delete(key('some'), go);
      expect(await keys(`${folder}/`)).toEqual([key('some/other')]);
      await storage.delete(key('some/other'), go);
      expect(await outside()).toEqual([]);
    });

    test('keeps deletes and puts of neighbours apart', async () => {
      const rounds = Array.from({ length: 40 }, (_, round) => round);
      await Promise.all(
        [0, 1, 2, 3].map(async (writer) => {
          for (const round of rounds) {
            const name = `shared/folder/${writer}`;
            await put(name, `${writer} ${round}`);
            expect(await readText(storage.get(key(name), undefined, go))).toBe(`${writer} ${round}`);
            await storage.delete(key(name), go);
          }
        }),
      );
      expect(await outside()).toEqual([]);
    });

    test('stores several objects at the same time', async () => {
      const names = ['a', 'b', 'c', 'd'];
      await Promise.all(names.map((name) => storage.put(key(name), patternBody(20 * MiB), {}, go)));
      const expected = await digest(patternBody(20 * MiB));
      for (const name of names) expect(await digest(storage.get(key(name), undefined, go))).toBe(expected);
    });

    test('shows what is unfinished below a prefix, and removes it although its writer is at work', async ({ skip }) => {
      const reason = place.skips?.unfinished;
      skip(reason !== undefined, reason);
      await put('deep/neighbour', 'stays');
      const gate = Promise.withResolvers<void>();
      async function* held() {
        // Whole parts, so that all of them are on their way before the gate.
        yield* patternBody(16 * MiB);
        await gate.promise;
        yield* patternBody(1);
      }
      const writing = storage.put(key('deep/object'), held(), {}, go);
      writing.catch(() => undefined);
      const another = place.open();
      try {
        await expect.poll(() => unfinished(another, `${folder}/`), { timeout: 30_000 }).toHaveLength(1);
        const [item] = await unfinished(another, `${folder}/deep/`);
        expect(item?.key.startsWith(`${folder}/deep/`)).toBe(true);
        expect(Math.abs((item?.sinceMs ?? 0) - Date.now())).toBeLessThan(60_000);
        expect(await unfinished(another, `${folder}/other`)).toEqual([]);
        expect(await unfinished(another, `${folder}/deep/object/`)).toEqual([]);
        expect(await keys(`${folder}/`)).toEqual([key('deep/neighbour')]);
        if (item === undefined) throw new Error('nothing unfinished is shown');
        // The second part waits for what follows it.
        if (place.arrived !== undefined)
          await expect.poll(() => place.arrived?.(item.key), { timeout: 30_000 }).toBe(8 * MiB);
        await another.removeUnfinished(item, go);
        await another.removeUnfinished(item, go);
        expect(await unfinished(another, `${folder}/`)).toEqual([]);
      } finally {
        gate.resolve();
        await another.close();
      }
      await expect(writing).rejects.toBeInstanceOf(Failure);
      expect(await keys(`${folder}/`)).toEqual([key('deep/neighbour')]);
      expect(await outside()).toHaveLength(1);
    });

    test('shows nothing unfinished where all is finished', async ({ skip }) => {
      const reason = place.skips?.unfinished;
      skip(reason !== undefined, reason);
      await put('small', 'x');
      await storage.put(key('large'), patternBody(20 * MiB), {}, go);
      expect(await unfinished(storage, `${folder}/`)).toEqual([]);
    });

    test('refuses keys that could leave the root, or that not every place can keep', async () => {
      const bad = [
        '',
        '/',
        '/a',
        'a/',
        'a//b',
        '.',
        '..',
        'a/../b',
        '../a',
        'a b',
        'ü',
        'a\\b',
        'a\0b',
        'x'.repeat(256),
      ];
      for (const name of bad) {
        await expect(storage.put(name, textBody('x'), {}, go), name).rejects.toMatchObject({
          reason: 'StorageConfigInvalid',
        });
      }
      for (const name of ['..', 'a/../b', '../../etc/passwd']) {
        const refused = { reason: 'StorageConfigInvalid' };
        await expect(readAll(storage.get(name, undefined, go)), name).rejects.toMatchObject(refused);
        await expect(storage.delete(name, go), name).rejects.toMatchObject(refused);
      }
    });

    test('takes a body of 150 MB and gives it back without growing', async ({ skip }) => {
      const reason = place.skips?.memory;
      skip(reason !== undefined, reason);
      const length = 150_000_000;
      await storage.put(key('warm-up'), patternBody(40 * MiB), {}, go);
      await digest(storage.get(key('warm-up'), undefined, go));
      const before = process.memoryUsage.rss();
      let peak = before;
      async function* watched(body: AsyncIterable<Uint8Array>) {
        for await (const chunk of body) {
          peak = Math.max(peak, process.memoryUsage.rss());
          yield chunk;
        }
      }
      await storage.put(key(), watched(patternBody(length)), {}, go);
      expect(await digest(watched(storage.get(key(), undefined, go)))).toBe(await digest(patternBody(length)));
      expect(peak - before).toBeLessThan(100 * MiB);
    });

    test('fails with StorageMissing where bucket or folder do not exist, and does not make them', async () => {
      const nowhere = place.openMissing();
      const missing = { reason: 'StorageMissing' };
      const before = await place.lookFromOutside();
      try {
        await expect(nowhere.put('a/b', textBody('x'), {}, go)).rejects.toMatchObject(missing);
        await expect(nowhere.put('a/b', patternBody(20 * MiB), {}, go)).rejects.toMatchObject(missing);
        await expect(nowhere.stat('a/b', go)).rejects.toMatchObject(missing);
        await expect(readAll(nowhere.get('a/b', undefined, go))).rejects.toMatchObject(missing);
        await expect(nowhere.list('', undefined, go)[Symbol.asyncIterator]().next()).rejects.toMatchObject(missing);
        if (place.skips?.unfinished === undefined) await expect(unfinished(nowhere, '')).rejects.toMatchObject(missing);
        await expect(nowhere.delete('a/b', go)).rejects.toMatchObject(missing);
      } finally {
        await nowhere.close();
      }
      expect(await place.lookFromOutside()).toEqual(before);
    });

    const refusesCredentials = async (skip: TestContext['skip']): Promise<void> => {
      const reason = place.skips?.credentials;
      skip(reason !== undefined, reason);
      if (place.openRefused === undefined) throw new Error('the place says nothing about wrong credentials');
      const refused = place.openRefused();
      const invalid = { reason: 'StorageCredentialsInvalid' };
      try {
        await expect(refused.put('a/b', textBody('x'), {}, go)).rejects.toMatchObject(invalid);
        await expect(refused.put('a/b', patternBody(20 * MiB), {}, go)).rejects.toMatchObject(invalid);
        await expect(refused.stat('a/b', go)).rejects.toMatchObject(invalid);
        await expect(readAll(refused.get('a/b', undefined, go))).rejects.toMatchObject(invalid);
        await expect(refused.list('', undefined, go)[Symbol.asyncIterator]().next()).rejects.toMatchObject(invalid);
        await expect(unfinished(refused, '')).rejects.toMatchObject(invalid);
        await expect(refused.delete('a/b', go)).rejects.toMatchObject(invalid);
      } finally {
        await refused.close();
      }
      expect(await storage.stat('a/b', go)).toBeUndefined();
    };
    if (hasCredentials) {
      test('fails with StorageCredentialsInvalid when the place does not know the credentials', async ({ skip }) =>
        refusesCredentials(skip));
    }

    test('can be closed twice', async () => {
      const another = place.open();
      await another.stat(key(), go);
      await another.close();
      await another.close();
    });
  });
}
