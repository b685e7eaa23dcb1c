import { Failure } from '../api/failure.ts';
import { withinTime } from './abortable.ts';
import { attempt, type Patience } from './attempt.ts';
import type { Acknowledged, S3Calls, S3Head } from './s3-calls.ts';
import { type Fingerprint, isSame } from './s3-checks.ts';
import { s3CodeOf } from './s3-errors.ts';
import type { UploadSettings } from './s3-offers.ts';
import type { PutOptions, StoredObject } from './storage.ts';

const tidyMs = 20_000;

/** Some servers ignore the condition without a word; so it is looked before as well. */
export async function refuseExisting(
  calls: S3Calls,
  { patience }: UploadSettings,
  key: string,
  options: PutOptions,
  signal: AbortSignal,
): Promise<void> {
  if (options.onlyIfAbsent !== true) return;
  if ((await attempt(() => calls.head(key, false, signal), patience, signal)) !== undefined)
    throw new Failure('AlreadyStored', `${key} exists already in ${calls.name}`);
}

/** Asks the place what it holds now, and compares. */
export async function compareHeld(
  calls: S3Calls,
  { patience }: UploadSettings,
  key: string,
  bytes: number,
  told: Acknowledged,
  signal: AbortSignal,
): Promise<StoredObject> {
  const held = await attempt(() => calls.head(key, false, signal), patience, signal);
  const version = told.versionId === undefined ? {} : { versionId: told.versionId };
  if (held === undefined) throw new Failure('StoredBytesDiffer', `${key} was acknowledged but is not there`);
  if (told.etag !== undefined && held.tag !== told.etag && held.bytes !== bytes)
    throw new Failure('StorageFailed', `${key} was replaced by another writer before it could be compared`);
  if (held.bytes !== bytes)
    throw new Failure('StoredBytesDiffer', `${key}: ${bytes} bytes sent, ${held.bytes} bytes held`);
  return { bytes: held.bytes, ...(held.tag === undefined ? {} : { tag: held.tag }), ...version };
}

/** After an acknowledged but wrong object: it goes, unless another writer's is there by now. Gives back the failure to throw. */
export async function removeIfOurs(
  calls: S3Calls,
  { patience }: UploadSettings,
  key: string,
  fingerprint: Fingerprint,
  told: Acknowledged,
  error: unknown,
): Promise<unknown> {
  try {
    await withinTime(patience.clock, tidyMs, async (signal) => {
      const held = await attempt(() => calls.head(key, true, signal), patience, signal);
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
  { patience }: UploadSettings,
  key: string,
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
    s3CodeOf(error) === 'NoSuchUpload' ||
    (error.reason === 'AlreadyStored' && sends > 1);
  if (!doubtful) throw error;
  const held = await lookQuietly(calls, patience, key);
  if (held === undefined || !isSame(held, fingerprint)) throw error;
  if (signal.aborted) {
    await withinTime(patience.clock, tidyMs, (tidying) => calls.deleteObject(key, tidying));
    throw error;
  }
  return {
    bytes: held.bytes,
    ...(held.tag === undefined ? {} : { tag: held.tag }),
    ...(held.versionId === undefined ? {} : { versionId: held.versionId }),
  };
}

async function lookQuietly(calls: S3Calls, patience: Patience, key: string): Promise<S3Head | undefined> {
  try {
    return await withinTime(patience.clock, tidyMs, (signal) =>
      attempt(() => calls.head(key, true, signal), patience, signal),
    );
  } catch {
    // The store does not answer: the failure that brought us here is the one to tell.
    return undefined;
  }
}
