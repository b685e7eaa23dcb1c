import { Failure } from '../api/failure.ts';
import { attempt, type Patience } from './attempt.ts';
import { compareKeys } from './keys.ts';
import type { S3Calls, UploadMarker, UploadRef } from './s3-calls.ts';
import type { Unfinished } from './storage.ts';

/** Pages of one key: a thousand uploads each, ten million in all. */
const mostPagesOfKey = 10_000;

/**
 * All pages of the uploads whose key starts with `prefix`. Some servers do not look at the prefix: what is not of it is left out here.
 * A server that does not get on from page to page fails the listing.
 */
export async function* listUploads(
  calls: S3Calls,
  patience: Patience,
  prefix: string,
  signal: AbortSignal,
): AsyncGenerator<Unfinished, void, undefined> {
  let from: UploadMarker | undefined;
  // Keys ascend; the ids of one key are in an order of the server's own.
  const idsOfKey = new Set<string>();
  do {
    const marker = from;
    const page = await attempt(() => calls.listUploads(prefix, marker, signal), patience, signal);
    for (const { key, id, initiatedMs } of page.uploads) {
      if (key.startsWith(prefix)) yield { key, uploadId: id, sinceMs: initiatedMs };
    }
    from = page.next;
    if (from === undefined) return;
    const order = marker === undefined ? 1 : compareKeys(from.key, marker.key);
    if (order > 0) idsOfKey.clear();
    if (order < 0 || idsOfKey.has(from.id) || idsOfKey.size >= mostPagesOfKey)
      throw new Failure('StorageFailed', `list uploads of ${prefix}: the server does not get on`);
    idsOfKey.add(from.id);
  } while (from !== undefined);
}

/** Aborts an upload and sees it gone. */
export async function removeUpload(
  calls: S3Calls,
  patience: Patience,
  upload: UploadRef,
  signal: AbortSignal,
): Promise<void> {
  await attempt(
    async () => {
      await calls.abortUpload(upload, signal);
      // A server may still be busy with a part that was cut off, and keep the upload for its sake.
      if (await calls.hasUpload(upload, signal))
        throw new Failure('StorageFailed', `the upload of ${upload.key} is still there after its abort`);
    },
    patience,
    signal,
  );
}
