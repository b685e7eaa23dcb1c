import { Failure } from '../api/failure.ts';
import { withinTime } from './abortable.ts';
import { attempt } from './attempt.ts';
import { compareAsked } from './s3-asked.ts';
import type { Acknowledged, NewObject, S3Calls, S3Head } from './s3-calls.ts';
import { compareHeldSums, type Fingerprint, isSame } from './s3-checks.ts';
import { s3CodeOf, s3StatusOf } from './s3-errors.ts';
import { isRefusedOption, type UploadSettings } from './s3-offers.ts';
import type { StoredObject } from './storage.ts';

const tidyMs = 20_000;

/** Some servers ignore the condition without a word; so it is looked before as well. */
export async function refuseExisting(
  calls: S3Calls,
  { patience }: UploadSettings,
  { key, ifAbsent }: NewObject,
  signal: AbortSignal,
): Promise<void> {
  if (!ifAbsent) return;
  if ((await attempt(() => calls.head(key, false, signal), patience, signal)) !== undefined)
    throw new Failure('AlreadyStored', `${key} exists already in ${calls.name}`);
}

/** Asks the place what it holds now, and compares. */
export async function compareHeld(
  calls: S3Calls,
  settings: UploadSettings,
  object: NewObject,
  fingerprint: Fingerprint,
  told: Acknowledged,
  signal: AbortSignal,
): Promise<StoredObject> {
  const { key } = object;
  const { bytes } = fingerprint;
  const held = await look(calls, settings, key, signal);
  if (held === undefined) throw new Failure('StoredBytesDiffer', `${key} was acknowledged but is not there`);
  if (told.etag !== undefined && held.tag !== told.etag && held.bytes !== bytes)
    throw new Failure('StorageFailed', `${key} was replaced by another writer before it could be compared`);
  if (held.bytes !== bytes)
    throw new Failure('StoredBytesDiffer', `${key}: ${bytes} bytes sent, ${held.bytes} bytes held`);
  const sums = compareHeldSums(held, fingerprint, told);
  if (sums === 'other')
    throw new Failure(
      'StoredBytesDiffer',
      `${key}: the store acknowledged our bytes and holds others by its own checksum`,
    );
  const { storageClass, ...always } = settings.asked;
  compareAsked(object.inClass ? { ...always, storageClass } : always, told, held, `put ${key}`);
  return stored({ ...held, ...(told.versionId === undefined ? {} : { versionId: told.versionId }) }, sums === 'same');
}

/** With the checksum, where the server can tell one and the key may ask for it. */
async function look(
  calls: S3Calls,
  { offers, patience }: UploadSettings,
  key: string,
  signal: AbortSignal,
): Promise<S3Head | undefined> {
  const ask = (withSum: boolean): Promise<S3Head | undefined> =>
    attempt(() => calls.head(key, withSum, signal), patience, signal);
  if (!offers.headSums) return await ask(false);
  try {
    return await ask(true);
  } catch (error) {
    // Who may not decrypt may not ask for it either.
    if (!isRefusedOption(error) && s3StatusOf(error) !== 403) throw error;
  }
  const held = await ask(false);
  offers.headSums = false;
  return held;
}

function stored({ bytes, tag, versionId }: S3Head, proven: boolean): StoredObject {
  return {
    bytes,
    ...(tag === undefined ? {} : { tag }),
    ...(versionId === undefined ? {} : { versionId }),
    ...(proven ? { proven } : {}),
  };
}

/** After an acknowledged but wrong object: it goes, unless another writer's is there by now. Gives back the failure to throw. */
export async function removeIfOurs(
  calls: S3Calls,
  settings: UploadSettings,
  key: string,
  fingerprint: Fingerprint,
  told: Acknowledged,
  error: unknown,
): Promise<unknown> {
  const { patience } = settings;
  try {
    await withinTime(patience.clock, tidyMs, async (signal) => {
      const held = await look(calls, settings, key, signal);
      const ours =
        held !== undefined && (told.etag === undefined || held.tag === told.etag || isSame(held, fingerprint));
      if (ours) await attempt(() => calls.deleteObject(key, signal), patience, signal);
    });
    return error;
  } catch (second) {
    if (!(error instanceof Failure)) return error;
    return new Failure(error.reason, `${error.message}; what was stored could not be removed`, {
      cause: new AggregateError([error, second]),
    });
  }
}

/**
 * A request that made an object visible failed; it may have worked all the same (a lost answer, a retry that met its own result).
 * Looks: an object with our size and hash is ours. On abort it goes again, else it is what was asked for.
 */
export async function settleLostAnswer(
  calls: S3Calls,
  settings: UploadSettings,
  object: NewObject,
  fingerprint: Fingerprint,
  error: unknown,
  sends: number,
  signal: AbortSignal,
): Promise<StoredObject> {
  const answered = error instanceof Failure && !signal.aborted;
  const doubtful =
    !answered ||
    error.reason === 'StorageUnreachable' ||
    error.reason === 'StorageFailed' ||
    error.reason === 'StorageThrottled' ||
    s3CodeOf(error) === 'NoSuchUpload' ||
    (error.reason === 'AlreadyStored' && sends > 1);
  if (!doubtful) throw error;
  const { key } = object;
  const held = await lookQuietly(calls, settings, key);
  if (held === undefined || !isSame(held, fingerprint)) throw error;
  if (signal.aborted) {
    await withinTime(settings.patience.clock, tidyMs, (tidying) => calls.deleteObject(key, tidying));
    throw error;
  }
  const nothingTold = { opaqueTag: held.opaqueTag };
  return await compareHeld(calls, settings, object, fingerprint, nothingTold, signal);
}

async function lookQuietly(calls: S3Calls, settings: UploadSettings, key: string): Promise<S3Head | undefined> {
  try {
    return await withinTime(settings.patience.clock, tidyMs, (signal) => look(calls, settings, key, signal));
  } catch {
    // The store does not answer: the failure that brought us here is the one to tell.
    return undefined;
  }
}
