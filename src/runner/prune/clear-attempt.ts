import { toFailure, type Failure } from '../../api/failure.ts';
import { parseAttemptKey } from '../../domain/layout.ts';
import type { Storage } from '../../storage/storage.ts';
import { deleteKeys } from '../delete-keys.ts';
import { isPlaceGone } from '../is-place-gone.ts';

/** Keys in mind at once, and how often there may be as many again. */
const mostKeys = 10_000;
const mostRounds = 100;
/** A place that is gone is found out after so many. */
const chunk = 64;

interface Sum {
  objects: number;
  bytes: number;
  left: number;
}

export interface Cleared {
  readonly objects: number;
  readonly bytes: number;
  /** What is known to be still there; with a failure there may be more. */
  readonly left: number;
  readonly failure?: Failure | undefined;
}

/**
 * Deletes what a run stored in the folder of one try, and what a manifest named there although it is not listed. No manifest may name it
 * any more. Foreign objects stay. Never throws.
 */
export async function clearAttempt(
  storage: Storage,
  folder: string,
  named: ReadonlyMap<string, number>,
  signal: AbortSignal,
): Promise<Cleared> {
  const unlisted = new Map([...named].filter(([key]) => key.startsWith(folder) && parseAttemptKey(key) !== undefined));
  const sum: Sum = { objects: 0, bytes: 0, left: 0 };
  try {
    let failure: Failure | undefined;
    for (let round = 1; failure === undefined && round <= mostRounds; round += 1) {
      const sizes = await listSome(storage, folder, signal);
      for (const key of sizes.keys()) unlisted.delete(key);
      failure = await deleteAll(storage, sizes, sum, signal);
      if (sizes.size < mostKeys) break;
    }
    // Not there, or listed in another way than it was stored: it counts for nothing.
    const unseen = await deleteAll(storage, unlisted, { objects: 0, bytes: 0, left: 0 }, signal);
    return { ...sum, failure: failure ?? unseen };
  } catch (error) {
    await deleteAll(storage, unlisted, sum, signal);
    return { ...sum, failure: toFailure(error) };
  }
}

async function listSome(storage: Storage, folder: string, signal: AbortSignal): Promise<ReadonlyMap<string, number>> {
  const sizes = new Map<string, number>();
  for await (const { key, bytes } of storage.list(folder, undefined, signal)) {
    if (parseAttemptKey(key) !== undefined) sizes.set(key, bytes);
    if (sizes.size === mostKeys) break;
  }
  return sizes;
}

/** Adds up what is gone, and what is left. */
async function deleteAll(
  storage: Storage,
  sizes: ReadonlyMap<string, number>,
  sum: Sum,
  signal: AbortSignal,
): Promise<Failure | undefined> {
  const keys = [...sizes.keys()];
  const deleted = new Set<string>();
  let first: Failure | undefined;
  for (let from = 0; from < keys.length; from += chunk) {
    const failure = await deleteKeys(storage, keys.slice(from, from + chunk), (key) => void deleted.add(key), signal);
    first ??= failure;
    if (failure !== undefined && isPlaceGone(failure)) break;
  }
  for (const key of deleted) sum.bytes += sizes.get(key) ?? 0;
  sum.objects += deleted.size;
  sum.left += keys.length - deleted.size;
  return first;
}
