import { GetObjectCommand, HeadObjectCommand, ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import { Failure } from '../api/failure.ts';
import type { S3Calls, S3Head } from './s3-calls.ts';
import type { Ask } from './s3-client.ts';
import { isBare404, s3StatusOf } from './s3-errors.ts';
import { KeyCoding } from './s3-key-coding.ts';
import { makeListRequest, type RawPage, type RawPageRequest } from './s3-list-requests.ts';
import { readAcknowledged, unquote } from './s3-told.ts';

export interface ReadRequests extends Pick<S3Calls, 'checkBucket' | 'head' | 'get' | 'listPage' | 'listUploads'> {
  /** Resolves when a failure means that there is no such object. @throws the failure, else */
  readonly confirmMissing: (failure: unknown, key: string, signal: AbortSignal) => Promise<void>;
}

/** The requests that change nothing. */
export function makeReadRequests(ask: Ask, Bucket: string): ReadRequests {
  const coding = new KeyCoding();
  const askForPage = makeListRequest(ask, Bucket);
  /** There is a bucket, or nobody may look whether there is. */
  let bucketSeen = false;

  async function list(page: RawPageRequest, what: string, signal: AbortSignal): Promise<RawPage> {
    const told = await askForPage(page, what, signal);
    bucketSeen = true;
    return told;
  }

  /** The first of the keys that begin so. */
  async function listOne(key: string, signal: AbortSignal): Promise<string | undefined> {
    const { entries } = await list({ prefix: key, most: 1, encoded: false }, `look at ${key}`, signal);
    return entries[0]?.key;
  }

  /**
   * Answers to HEAD have no body and so no code: the same is asked in a way whose answer has one. Some stores refuse to look at what is not
   * there, whoever asks: where a listing shows that the key is free, it is. @throws what it was, else
   */
  async function explain(failure: unknown, key: string, signal: AbortSignal): Promise<undefined> {
    const status = s3StatusOf(failure);
    if (status === 0 || status >= 500 || status === 429) throw failure;
    const first = await listOne(key, signal);
    // A key comes before all that are longer.
    const isFree = first === undefined || (first !== key && first.startsWith(key));
    if (status !== 403 || !isFree) throw failure;
    return undefined;
  }

  async function checkBucket(key: string, signal: AbortSignal): Promise<void> {
    if (bucketSeen) return;
    try {
      await listOne(key, signal);
    } catch (error) {
      // Who may not list may still read and write.
      if (!(error instanceof Failure) || error.reason !== 'StorageDenied') throw error;
      bucketSeen = true;
    }
  }

  async function head(key: string, withChecksum: boolean, signal: AbortSignal): Promise<S3Head | undefined> {
    const checksum = withChecksum ? { ChecksumMode: 'ENABLED' as const } : {};
    const command = new HeadObjectCommand({ Bucket, Key: key, ...checksum });
    try {
      const told = await ask(`look at ${key}`, (client, abort) => client.send(command, abort), signal);
      bucketSeen = true;
      if (told.ContentLength === undefined)
        throw new Failure('StorageConfigInvalid', `look at ${key}: the answer has no size`);
      const { etag, ...acknowledged } = readAcknowledged(told);
      return {
        ...acknowledged,
        key,
        bytes: told.ContentLength,
        modifiedAtMs: told.LastModified?.getTime() ?? 0,
        crc32OfWhole: told.ChecksumType === 'FULL_OBJECT',
        ...(etag === undefined ? {} : { tag: etag }),
      };
    } catch (error) {
      if (s3StatusOf(error) !== 404) return await explain(error, key, signal);
      await checkBucket(key, signal);
      return undefined;
    }
  }

  /** A 404 that says no more is of the object where the bucket can be listed, and does not show it. @throws the failure, else */
  async function confirmMissing(failure: unknown, key: string, signal: AbortSignal): Promise<void> {
    if (!isBare404(failure) || (await listOne(key, signal)) === key) throw failure;
  }

  async function orMissing<T>(answer: Promise<T>, key: string, signal: AbortSignal): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      await confirmMissing(error, key, signal);
      throw new Failure('ObjectMissing', `${key} is not in s3://${Bucket}`, { cause: error });
    }
  }

  async function headOrNone(key: string, signal: AbortSignal): Promise<S3Head | undefined> {
    try {
      return await head(key, false, signal);
    } catch (error) {
      if (!(error instanceof Failure) || error.consequence === 'retry') throw error;
      // Who may only list cannot look.
      return undefined;
    }
  }

  async function decode(
    keys: readonly string[],
    prefix: string,
    encoded: boolean,
    what: string,
    exists: (key: string) => Promise<boolean>,
  ): Promise<readonly string[]> {
    const decoded = await coding.decode(keys, prefix, encoded, exists);
    if (decoded !== undefined) return decoded;
    throw new Failure('StorageConfigInvalid', `${what}: keys came that do not begin so, or cannot be decoded`, {
      hint: 'the server does not list as S3 does: encoding-type and prefix',
    });
  }

  return {
    checkBucket,
    confirmMissing,
    head,
    get: async (key, { start, end }, signal) => {
      const range = start === undefined ? {} : { Range: `bytes=${start}-${end ?? ''}` };
      const command = new GetObjectCommand({ Bucket, Key: key, ...range });
      const what = `get ${key}`;
      const told = await orMissing(
        ask(what, (client, abort) => client.send(command, abort), signal),
        key,
        signal,
      );
      const body = told.Body;
      if (body === undefined || !('destroy' in body) || told.ContentLength === undefined)
        throw new Failure('StorageConfigInvalid', `get ${key}: the answer has no size or no body`);
      const tag = unquote(told.ETag);
      // Every S3 gives one; a web page that answers 200 to everything does not, and must not be taken for an object.
      if (tag === undefined) {
        body.destroy();
        throw new Failure('StorageConfigInvalid', `get ${key}: the answer has no ETag`);
      }
      const first = /^bytes (\d+)-/.exec(told.ContentRange ?? '')?.[1];
      return { body, length: told.ContentLength, start: Number(first ?? 0), tag };
    },
    listPage: async ({ prefix, after, token }, signal) => {
      const what = `list ${prefix}`;
      const { entries, encoded, next, byLastKey } = await list({ prefix, after, token, encoded: true }, what, signal);
      const exists = async (key: string): Promise<boolean> => (await headOrNone(key, signal)) !== undefined;
      const keys = await decode(
        entries.map(({ key }) => key),
        prefix,
        encoded,
        what,
        exists,
      );
      const objects = entries.map((entry, index) => ({ ...entry, key: keys[index] ?? entry.key }));
      return { objects, next: byLastKey ? keys.at(-1) : next };
    },
    listUploads: async (prefix, from, signal) => {
      const what = `list uploads of ${prefix}`;
      const command = new ListMultipartUploadsCommand({
        Bucket,
        Prefix: prefix,
        EncodingType: 'url',
        ...(from === undefined ? {} : { KeyMarker: from.key, UploadIdMarker: from.id }),
      });
      const told = await ask(what, (client, abort) => client.send(command, abort), signal);
      const found = (told.Uploads ?? []).map(({ Key, UploadId, Initiated }) => {
        if (Key === undefined || UploadId === undefined)
          throw new Failure('StorageConfigInvalid', `${what}: an entry has no key or id`);
        return { key: Key, id: UploadId, initiatedMs: Initiated?.getTime() ?? 0 };
      });
      // What is unfinished is no object that could be looked for, and some servers do not look at the prefix.
      const keys = await decode(
        [...found.map(({ key }) => key), told.NextKeyMarker ?? ''],
        '',
        told.EncodingType === 'url',
        what,
        async () => false,
      );
      const uploads = found.map((upload, index) => ({ ...upload, key: keys[index] ?? upload.key }));
      if (told.IsTruncated !== true) return { uploads, next: undefined };
      const { NextKeyMarker, NextUploadIdMarker } = told;
      if (NextKeyMarker !== undefined)
        return { uploads, next: { key: keys.at(-1) ?? NextKeyMarker, id: NextUploadIdMarker ?? '' } };
      throw new Failure('StorageFailed', `${what}: there is more, but not said how to get it`);
    },
  };
}
