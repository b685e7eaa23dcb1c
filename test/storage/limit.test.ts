import { expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import { limitStorage } from '../../src/storage/limit.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { WholeBytes } from '../../src/storage/whole-bytes.ts';
import { ManualClock, settle } from '../kube/manual-clock.ts';
import { textBody } from '../suites/bodies.ts';

const go = new AbortController().signal;
const silence = new Promise<never>(() => undefined);

/** A place that neither answers nor hears aborts. */
// oxlint-disable-next-line require-yield -- it never comes to that
async function* silentItems(): AsyncGenerator<never, void, undefined> {
  await silence;
}
const silentPlace: Storage = {
  name: 'file:///mnt/dead',
  conditionalPut: true,
  put: () => silence,
  get: silentItems,
  stat: () => silence,
  list: silentItems,
  delete: () => silence,
  listUnfinished: silentItems,
  removeUnfinished: () => silence,
  close: () => silence,
};

function limited(storage: Storage = silentPlace): { readonly clock: ManualClock; readonly storage: Storage } {
  const clock = new ManualClock();
  return { clock, storage: limitStorage(storage, { answerMs: 60_000, stallMs: 300_000, tidyMs: 5_000, clock }) };
}

/** How an operation ended so far; undefined while it goes on. */
function watch(work: Promise<unknown>): { end: unknown } {
  const seen: { end: unknown } = { end: undefined };
  work.then(
    (value) => (seen.end = value ?? 'done'),
    (error: unknown) => (seen.end = error),
  );
  return seen;
}

async function drain(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}

const calls = [
  ['stat', 60_000, (storage: Storage, signal: AbortSignal) => storage.stat('key', signal)],
  ['delete', 60_000, (storage: Storage, signal: AbortSignal) => storage.delete('key', signal)],
  ['list', 60_000, (storage: Storage, signal: AbortSignal) => drain(storage.list('', undefined, signal))],
  ['listUnfinished', 60_000, (storage: Storage, signal: AbortSignal) => drain(storage.listUnfinished('', signal))],
  [
    'removeUnfinished',
    60_000,
    (storage: Storage, signal: AbortSignal) => storage.removeUnfinished({ key: 'key', sinceMs: 0 }, signal),
  ],
  ['get', 300_000, (storage: Storage, signal: AbortSignal) => drain(storage.get('key', undefined, signal))],
] as const;

test.each(calls)('%s of a place that never answers is StorageUnreachable in time', async (_, ms, call) => {
  const { clock, storage } = limited();
  const seen = watch(call(storage, go));
  await clock.advance(ms - 1);
  expect(seen.end).toBeUndefined();
  await clock.advance(1);
  expect(seen.end).toMatchObject({ reason: 'StorageUnreachable' });
  expect(String(seen.end)).toContain('file:///mnt/dead did not answer');
  expect(clock.sleeps).toEqual([]);
});

test.each(calls)('%s of a place that hears no abort is over at once all the same', async (_, _ms, call) => {
  const { storage } = limited();
  const stop = new AbortController();
  const seen = watch(call(storage, stop.signal));
  await settle();
  stop.abort(new Failure('Aborted', 'stopped by SIGTERM'));
  await settle();
  expect(seen.end).toMatchObject({ reason: 'Aborted', message: 'stopped by SIGTERM' });
});

test('a small object that nobody takes is given up after its time, and after another one for tidying', async () => {
  const { clock, storage } = limited();
  const seen = watch(storage.put('key', new WholeBytes(Buffer.from('x')), {}, go));
  await clock.advance(60_000);
  expect(seen.end).toBeUndefined();
  await clock.advance(5_000);
  expect(seen.end).toMatchObject({ reason: 'StorageUnreachable' });
});

test('a stream has no limit until it is aborted; then it may tidy, and is abandoned when it does not', async () => {
  const { clock, storage } = limited();
  const stop = new AbortController();
  const seen = watch(storage.put('key', textBody('x'), {}, stop.signal));
  await clock.advance(3_600_000);
  expect(seen.end).toBeUndefined();
  stop.abort(new Failure('Aborted', 'stopped by SIGTERM'));
  await clock.advance(4_999);
  expect(seen.end).toBeUndefined();
  await clock.advance(1);
  expect(seen.end).toMatchObject({ reason: 'Aborted' });
});

test('closing ends although the place hangs, and never throws', async () => {
  const { clock, storage } = limited();
  const seen = watch(storage.close());
  await clock.advance(5_000);
  expect(seen.end).toBe('done');
  const broken = limited({ ...silentPlace, close: () => Promise.reject(new Error('broken')) });
  await expect(broken.storage.close()).resolves.toBeUndefined();
});

test('a reader may take its time: only the place is timed, and what is left early is released', async () => {
  let released = false;
  async function* chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for (;;) yield Buffer.from('chunk');
    } finally {
      released = true;
    }
  }
  const { clock, storage } = limited({ ...silentPlace, get: chunks });
  for await (const _ of storage.get('key', undefined, go)) {
    await clock.advance(3_600_000);
    break;
  }
  expect(released).toBe(true);
  expect(clock.sleeps).toEqual([]);
});

test('many questions to a dead place do not add up: who was silent has little time until it answers again', async () => {
  let answers = false;
  const { clock, storage } = limited({ ...silentPlace, stat: () => (answers ? Promise.resolve(undefined) : silence) });
  const first = watch(storage.stat('key', go));
  await clock.advance(60_000);
  expect(first.end).toMatchObject({ reason: 'StorageUnreachable' });
  const second = watch(storage.delete('key', go));
  await clock.advance(5_000);
  expect(second.end).toMatchObject({ reason: 'StorageUnreachable' });
  answers = true;
  await storage.stat('key', go);
  const third = watch(storage.delete('key', go));
  await clock.advance(59_999);
  expect(third.end).toBeUndefined();
  await clock.advance(1);
  expect(third.end).toMatchObject({ reason: 'StorageUnreachable' });
});
