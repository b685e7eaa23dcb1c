import { Failure } from '../api/failure.ts';
import { withinTime } from './abortable.ts';
import { attempt, isTransient } from './attempt.ts';
import type { NewObject, S3Calls } from './s3-calls.ts';
import { isRefusedOption, type Offers, type UploadSettings } from './s3-offers.ts';
import { listUploads, removeUpload } from './s3-unfinished.ts';

const tidyMs = 20_000;

export interface BegunUpload {
  readonly id: string;
  /** Aborts uploads of the same key whose ids never came to us; does nothing when every answer came. Never throws. */
  readonly clearLost: () => Promise<void>;
}

/**
 * Begins an upload. A request whose answer got lost may have begun one too, which nobody would ever complete or abort: keys that are stored
 * in parts have one writer, so every other upload of the key is such a one.
 */
export async function beginUpload(
  calls: S3Calls,
  settings: UploadSettings,
  object: NewObject,
  signal: AbortSignal,
): Promise<BegunUpload> {
  const { offers, patience } = settings;
  let lost = 0;
  const begin = (withChecksums: boolean): Promise<string> =>
    attempt(
      async () => {
        try {
          return await calls.createUpload(object, withChecksums, signal);
        } catch (error) {
          if (signal.aborted || isTransient(error)) lost += 1;
          throw error;
        }
      },
      patience,
      signal,
    );
  const clearLost = async (id: string | undefined): Promise<void> => {
    if (lost > 0) await abortOthers(calls, settings, object.key, id);
  };
  try {
    const id = await beginAsOffered(offers, begin);
    return { id, clearLost: () => clearLost(id) };
  } catch (error) {
    await clearLost(undefined);
    throw error;
  }
}

async function beginAsOffered(offers: Offers, begin: (withChecksums: boolean) => Promise<string>): Promise<string> {
  if (offers.checks !== 'crc32') return await begin(false);
  try {
    return await begin(true);
  } catch (error) {
    if (!isRefusedOption(error)) throw error;
  }
  const id = await begin(false);
  offers.checks = 'md5';
  return id;
}

async function abortOthers(
  calls: S3Calls,
  { patience }: UploadSettings,
  key: string,
  ours: string | undefined,
): Promise<void> {
  try {
    await withinTime(patience.clock, tidyMs, async (signal) => {
      for await (const { uploadId = ours, ...found } of listUploads(calls, patience, key, signal)) {
        if (found.key !== key || uploadId === undefined || uploadId === ours) continue;
        await removeUpload(calls, patience, { key, id: uploadId }, signal);
      }
    });
  } catch (error) {
    // A store that does not list uploads, or not to us: the lifecycle rule of the bucket, or the next inspection, takes what stays.
    if (!(error instanceof Failure)) throw error;
  }
}
