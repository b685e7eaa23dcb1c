import { Failure } from '../api/failure.ts';
import { attempt, type Patience, Tries } from './attempt.ts';
import type { StorageTools } from './place.ts';
import type { LeftOut, ObjectStat, PutOptions, Storage, StoredObject } from './storage.ts';
import { WholeBytes } from './whole-bytes.ts';

export interface RetryOptions extends StorageTools {
  /** In all, the first one included. */
  readonly attempts: number;
  /** Before the second attempt; doubles from there. Default 500. */
  readonly firstDelayMs?: number;
  /** Default 10 000. */
  readonly longestDelayMs?: number;
}

/**
 * Tries again, with back-off and jitter, what failed for a moment (StorageUnreachable, StorageFailed, and StorageThrottled for longer):
 * stat, delete, a listing from where it stopped, a get before its first byte, a listing of what is unfinished before its first item, and a
 * put whose body is `WholeBytes`. A stream cannot be sent again: its put is tried once.
 */
export function retryStorage(storage: Storage, options: RetryOptions): Storage {
  const patience: Patience = { firstDelayMs: 500, longestDelayMs: 10_000, ...options };
  return {
    name: storage.name,
    get conditionalPut() {
      return storage.conditionalPut;
    },
    put: async (key, body, putOptions, signal) => {
      if (!(body instanceof WholeBytes)) return await storage.put(key, body, putOptions, signal);
      return await attempt((number) => putAgain(storage, key, body, putOptions, number, signal), patience, signal);
    },
    get: (key, range, signal) => fromStart(() => storage.get(key, range, signal), patience, signal),
    stat: (key, signal) => attempt(() => storage.stat(key, signal), patience, signal),
    list: (prefix, after, signal, leftOut) => listOn(storage, patience, prefix, after, leftOut, signal),
    delete: (key, signal) => attempt(() => storage.delete(key, signal), patience, signal),
    listUnfinished: (prefix, signal) => fromStart(() => storage.listUnfinished(prefix, signal), patience, signal),
    removeUnfinished: (item, signal) => attempt(() => storage.removeUnfinished(item, signal), patience, signal),
    close: () => storage.close(),
  };
}

async function putAgain(
  storage: Storage,
  key: string,
  body: WholeBytes,
  options: PutOptions,
  number: number,
  signal: AbortSignal,
): Promise<StoredObject> {
  try {
    return await storage.put(key, body, options, signal);
  } catch (error) {
    // The first attempt may have worked and only its answer got lost: then the second one meets its own object.
    const ownObject = number > 1 && error instanceof Failure && error.reason === 'AlreadyStored';
    if (!ownObject) throw error;
    const found = await storage.stat(key, signal);
    if (found === undefined || !(await holdsExactly(storage, key, body.bytes, signal))) throw error;
    return { bytes: found.bytes, ...(found.tag === undefined ? {} : { tag: found.tag }) };
  }
}

async function holdsExactly(storage: Storage, key: string, bytes: Uint8Array, signal: AbortSignal): Promise<boolean> {
  let position = 0;
  for await (const chunk of storage.get(key, undefined, signal)) {
    const expected = bytes.subarray(position, position + chunk.length);
    if (Buffer.compare(chunk, expected) !== 0) return false;
    position += chunk.length;
  }
  return position === bytes.length;
}

async function* fromStart<T>(
  begin: () => AsyncIterable<T>,
  patience: Patience,
  signal: AbortSignal,
): AsyncGenerator<T, void, undefined> {
  const tries = new Tries(patience, signal);
  for (;;) {
    let begun = false;
    try {
      for await (const item of begin()) {
        begun = true;
        yield item;
      }
      return;
    } catch (error) {
      if (begun) throw error;
      await tries.again(error);
    }
  }
}

async function* listOn(
  storage: Storage,
  patience: Patience,
  prefix: string,
  after: string | undefined,
  leftOut: LeftOut | undefined,
  signal: AbortSignal,
): AsyncGenerator<ObjectStat, void, undefined> {
  let last = after;
  const tries = new Tries(patience, signal);
  for (;;) {
    try {
      for await (const found of storage.list(prefix, last, signal, leftOut)) {
        last = found.key;
        tries.progress();
        yield found;
      }
      return;
    } catch (error) {
      await tries.again(error);
    }
  }
}
