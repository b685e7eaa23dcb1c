import { Failure, toFailure } from '../../api/failure.ts';
import type { PlaceOffers } from '../../domain/report.ts';
import type { Bytes, Storage, StoredObject, Unfinished } from '../../storage/storage.ts';
import { WholeBytes } from '../../storage/whole-bytes.ts';
import { readSmall } from '../read-small.ts';

/** As large as the parts that a run sends (docs/format.md): what stands before the place must let them through. */
export const fullPartBytes = 8 * 1024 * 1024;

export async function putPlain(storage: Storage, key: string, content: Buffer, signal: AbortSignal): Promise<void> {
  checkHeld(await storage.put(key, new WholeBytes(content), {}, signal), content);
}

/** Whole, and the middle of it as restores and comparisons read. */
export async function getBack(storage: Storage, key: string, content: Buffer, signal: AbortSignal): Promise<void> {
  await compareWith(storage, key, content, signal);
  const chunks: Uint8Array[] = [];
  for await (const chunk of storage.get(key, { start: 4, end: 11 }, signal)) chunks.push(chunk);
  if (Buffer.concat(chunks).equals(content.subarray(4, 12))) return;
  throw new Failure('StoredBytesDiffer', 'a range of the probe is not what was written there', {
    hint: 'what stands between here and the store must pass on Range headers as they are',
  });
}

/**
 * The second put of a key must be refused. Where the driver says that the place decides, two writers at once are tried, too: to look
 * before each put is not enough then.
 */
export async function putIfAbsent(
  storage: Storage,
  folder: string,
  content: () => Buffer,
  signal: AbortSignal,
): Promise<PlaceOffers> {
  const first = content();
  const key = `${folder}absent`;
  checkHeld(await storage.put(key, new WholeBytes(first), { onlyIfAbsent: true }, signal), first);
  await refuseSecond(storage, key, content(), signal);
  await compareWith(storage, key, first, signal);
  if (!storage.conditionalPut) return { conditions: 'LookedUp' };
  return { conditions: await race(storage, `${folder}race`, [content(), content()], signal) };
}

export async function refuseSecond(storage: Storage, key: string, content: Buffer, signal: AbortSignal): Promise<void> {
  try {
    await storage.put(key, new WholeBytes(content), { onlyIfAbsent: true }, signal);
  } catch (error) {
    if (hasReason(error, ['AlreadyStored'])) return;
    throw error;
  }
  throw new Failure('StorageFailed', 'a key that exists was put again, although only if absent', {
    hint: 'the place does not show at once what was stored; backups need one that does',
  });
}

/** Two writers at once. */
export async function race(
  storage: Storage,
  key: string,
  contents: readonly Buffer[],
  signal: AbortSignal,
): Promise<NonNullable<PlaceOffers['conditions']>> {
  const ended = await Promise.allSettled(
    contents.map((content) => storage.put(key, new WholeBytes(content), { onlyIfAbsent: true }, signal)),
  );
  const winners = contents.filter((_, writer) => ended[writer]?.status === 'fulfilled');
  const losers = ended.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []));
  const unexpected = losers.find((loser) => !hasReason(loser, ['AlreadyStored', ...overwritten]));
  if (unexpected !== undefined) throw toFailure(unexpected);
  const held = await readSmall(storage, key, 64 * 1024, signal);
  if (!contents.some((content) => content.equals(held)))
    throw new Failure('StoredBytesDiffer', 'of two writers at once, the bytes of neither are stored');
  const refused = losers.filter((loser) => hasReason(loser, ['AlreadyStored']));
  if (refused.length === 1 && winners[0]?.equals(held) === true) return 'Kept';
  return storage.conditionalPut ? 'Ignored' : 'LookedUp';
}

/** What a driver says when its object was taken and then found to be another one's. */
const overwritten = ['StoredBytesDiffer', 'StorageFailed'];

export function hasReason(error: unknown, reasons: readonly string[]): boolean {
  return error instanceof Failure && reasons.includes(error.reason);
}

/** In parts, as volumes are stored; of full size if asked. */
export async function putInParts(
  storage: Storage,
  key: string,
  content: Buffer,
  full: boolean,
  signal: AbortSignal,
): Promise<void> {
  const body = full ? Buffer.alloc(fullPartBytes, content) : content;
  const options = { inParts: true, onlyIfAbsent: true };
  checkHeld(await storage.put(key, new WholeBytes(body), options, signal), body);
  await compareWith(storage, key, body, signal);
}

/** An upload that is given up must leave nothing. Who may not see unfinished uploads is not asked about them. */
export async function abortUpload(storage: Storage, key: string, signal: AbortSignal): Promise<void> {
  await giveUp(storage, key, signal);
  for (const item of (await findUnfinished(storage, key, signal)) ?? []) {
    // Says why, where it is not allowed.
    await storage.removeUnfinished(item, signal);
    if (((await findUnfinished(storage, key, signal)) ?? []).length === 0) continue;
    throw new Failure('StorageFailed', 'an upload that was aborted is still there', {
      hint: 'give the bucket a lifecycle rule that aborts incomplete multipart uploads',
    });
  }
}

/** Begins an upload and fails in it, as a run whose dump breaks off. */
export async function giveUp(storage: Storage, key: string, signal: AbortSignal): Promise<void> {
  const planned = new Failure('Aborted', 'the probe gives up an upload');
  // oxlint-disable-next-line require-yield -- a body that only fails
  async function* failing(): Bytes & AsyncGenerator<Uint8Array, void, undefined> {
    throw planned;
  }
  try {
    await storage.put(key, failing(), { inParts: true }, signal);
  } catch (error) {
    if (error !== planned) throw error;
  }
  if ((await storage.stat(key, signal)) === undefined) return;
  throw new Failure('StorageFailed', 'an upload that was given up is there as an object');
}

/** Undefined where they may not be listed, or cannot be; a thousand are enough to know. */
export async function findUnfinished(
  storage: Storage,
  prefix: string,
  signal: AbortSignal,
): Promise<readonly Unfinished[] | undefined> {
  const found: Unfinished[] = [];
  try {
    for await (const item of storage.listUnfinished(prefix, signal)) {
      found.push(item);
      if (found.length === 1000) break;
    }
    return found;
  } catch (error) {
    signal.throwIfAborted();
    if (hasReason(error, ['StorageDenied', 'StorageConfigInvalid'])) return undefined;
    throw error;
  }
}

/** @returns the time of the last one, by the place's clock */
export async function findInListing(
  storage: Storage,
  folder: string,
  keys: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  const missing = new Set(keys);
  for await (const { key, modifiedAtMs } of storage.list(folder, undefined, signal)) {
    missing.delete(key);
    if (missing.size === 0) return modifiedAtMs;
  }
  throw new Failure('StorageFailed', 'the probe was written and read, but a listing does not show it', {
    hint: 'without complete listings neither catalogue nor retention can be trusted here',
  });
}

export async function deleteAndLook(storage: Storage, keys: readonly string[], signal: AbortSignal): Promise<void> {
  for (const key of keys) {
    await storage.delete(key, signal);
    if ((await storage.stat(key, signal)) === undefined) continue;
    throw new Failure('StorageFailed', 'the store acknowledged a delete, but the probe is still there');
  }
}

export async function compareWith(storage: Storage, key: string, content: Buffer, signal: AbortSignal): Promise<void> {
  let position = 0;
  for await (const chunk of storage.get(key, undefined, signal)) {
    if (Buffer.compare(chunk, content.subarray(position, position + chunk.length)) !== 0) break;
    position += chunk.length;
  }
  if (position === content.length) return;
  throw new Failure('StoredBytesDiffer', `what was read back is not what the probe wrote, from byte ${position} on`, {
    hint: 'do not trust this store',
  });
}

function checkHeld(stored: StoredObject, content: Buffer): void {
  if (stored.bytes === content.length) return;
  throw new Failure(
    'StoredBytesDiffer',
    `the store says it holds ${stored.bytes} bytes of the probe, ${content.length} were sent`,
  );
}
