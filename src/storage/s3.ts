import { Failure } from '../api/failure.ts';
import { throwIfAborted } from './abortable.ts';
import type { Patience } from './attempt.ts';
import { checkObjectKey, checkWrittenKey } from './keys.ts';
import type { StorageTools } from './place.ts';
import { downloadObject } from './s3-download.ts';
import { listObjects } from './s3-list.ts';
import type { Offers } from './s3-offers.ts';
import type { S3Options } from './s3-options.ts';
import { Pace } from './s3-pace.ts';
import { makeS3Calls } from './s3-requests.ts';
import { listUploads, removeUpload } from './s3-unfinished.ts';
import { uploadBody } from './s3-upload.ts';
import type { Storage } from './storage.ts';

/** A bucket of an S3-compatible store. It must exist. @throws Failure SecretInvalid, StorageConfigInvalid */
export function openS3(options: S3Options, tools: StorageTools): Storage {
  const calls = makeS3Calls(options, tools);
  const offers: Offers = { checks: 'crc32', conditions: true, partSums: true, headSums: true };
  const patience: Patience = { attempts: 5, firstDelayMs: 500, longestDelayMs: 8000, ...tools };
  const { serverSideEncryption, storageClass } = options;
  const asked = { storageClass, ...serverSideEncryption };
  const settings = { pace: new Pace(options.partsInFlight ?? 3), patience, offers, asked };
  return {
    name: calls.name,
    get conditionalPut() {
      return offers.conditions;
    },
    put: async (key, body, putOptions, signal) => {
      checkWrittenKey(key);
      throwIfAborted(signal);
      return await uploadBody(calls, settings, key, body, putOptions, signal);
    },
    get: async function* (key, range, signal) {
      checkObjectKey(key);
      yield* downloadObject(calls, patience, key, range, signal);
    },
    stat: async (key, signal) => {
      checkObjectKey(key);
      const head = await calls.head(key, false, signal);
      if (head === undefined) return undefined;
      const { bytes, modifiedAtMs, tag } = head;
      return { key, bytes, modifiedAtMs, ...(tag === undefined ? {} : { tag }) };
    },
    list: (prefix, after, signal) => listObjects(calls, prefix, after, signal),
    delete: async (key, signal) => {
      checkObjectKey(key);
      await calls.deleteObject(key, signal);
    },
    listUnfinished: (prefix, signal) => listUploads(calls, patience, prefix, signal),
    removeUnfinished: async ({ key, uploadId }, signal) => {
      checkObjectKey(key);
      if (uploadId === undefined) throw new Failure('StorageConfigInvalid', `the upload of ${key} has no id`);
      await removeUpload(calls, patience, { key, id: uploadId }, signal);
    },
    close: async () => calls.close(),
  };
}
