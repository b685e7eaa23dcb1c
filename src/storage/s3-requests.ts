import { Agent as HttpsAgent } from 'node:https';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  S3Client,
  type StorageClass,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { Failure } from '../api/failure.ts';
import { abortFailure, throwIfAborted } from './abortable.ts';
import { isTransient } from './attempt.ts';
import type { Acknowledged, S3Calls } from './s3-calls.ts';
import { s3CodeOf, s3StatusOf, toS3Failure } from './s3-errors.ts';
import type { S3Options } from './s3.ts';

function makeClient(options: S3Options): S3Client {
  const { ca, credentials, endpoint, forcePathStyle, region } = options;
  return new S3Client({
    region: region ?? 'us-east-1',
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(credentials === undefined ? {} : { credentials }),
    forcePathStyle: forcePathStyle ?? false,
    // Repeating is ours: with our clock, our abort, and only where the body can be sent again.
    maxAttempts: 1,
    // The driver sends CRC32 itself (the SDK's other sums are JavaScript); what is read is checked against the manifest.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: new NodeHttpHandler({
      connectionTimeout: options.connectTimeoutMs ?? 10_000,
      socketTimeout: options.idleTimeoutMs ?? 120_000,
      httpsAgent: new HttpsAgent({ keepAlive: true, maxSockets: 50, ...(ca === undefined ? {} : { ca }) }),
      httpAgent: { keepAlive: true, maxSockets: 50 },
    }),
  });
}

/** The requests of the driver, made with the SDK. */
export function makeS3Calls(options: S3Options): S3Calls {
  const client = makeClient(options);
  const Bucket = options.bucket;
  const written = {
    ...(options.storageClass === undefined ? {} : { StorageClass: options.storageClass as StorageClass }),
    ...(options.serverSideEncryption === undefined
      ? {}
      : { ServerSideEncryption: options.serverSideEncryption.algorithm }),
    ...(options.serverSideEncryption?.kmsKeyId === undefined
      ? {}
      : { SSEKMSKeyId: options.serverSideEncryption.kmsKeyId }),
  };
  let bucketSeen = false;

  async function ask<T>(
    what: string,
    request: (abort: { abortSignal: AbortSignal }) => Promise<T>,
    signal: AbortSignal,
  ) {
    throwIfAborted(signal);
    try {
      const answer = await request({ abortSignal: signal });
      bucketSeen = true;
      return answer;
    } catch (error) {
      if (signal.aborted) throw abortFailure(signal);
      throw toS3Failure(error, what);
    }
  }

  /**
   * Answers to HEAD have no body and so no code: a missing bucket, and on some servers an unknown key, look like a missing object.
   * The same is asked in a way whose answer has a code.
   */
  async function listOne(key: string, signal: AbortSignal): Promise<void> {
    const command = new ListObjectsV2Command({ Bucket, Prefix: key, MaxKeys: 1 });
    await ask(`look at ${key}`, (abort) => client.send(command, abort), signal);
  }

  async function explain(failure: unknown, key: string, signal: AbortSignal): Promise<unknown> {
    const status = s3StatusOf(failure);
    if (status === 0 || status >= 500) return failure;
    try {
      await listOne(key, signal);
      return failure;
    } catch (explained) {
      return explained;
    }
  }

  async function checkBucket(key: string, signal: AbortSignal): Promise<void> {
    if (bucketSeen) return;
    try {
      await listOne(key, signal);
    } catch (error) {
      // Who may not list may still read and write.
      if (!(error instanceof Failure) || error.reason !== 'StorageDenied') throw error;
    }
  }

  return {
    name: `s3://${Bucket}`,
    putObject: async (key, bytes, { crc32, md5 }, { ifAbsent }, signal) => {
      const command = new PutObjectCommand({
        Bucket,
        Key: key,
        Body: bytes,
        ContentLength: bytes.length,
        ...written,
        ...(crc32 === undefined ? {} : { ChecksumCRC32: crc32 }),
        ...(md5 === undefined ? {} : { ContentMD5: md5 }),
        ...(ifAbsent ? { IfNoneMatch: '*' } : {}),
      });
      return readAcknowledged(await ask(`put ${key}`, (abort) => client.send(command, abort), signal));
    },
    createUpload: async (key, withChecksums, signal) => {
      const checksums = withChecksums ? { ChecksumAlgorithm: 'CRC32' as const } : {};
      const command = new CreateMultipartUploadCommand({ Bucket, Key: key, ...written, ...checksums });
      const { UploadId } = await ask(`begin upload of ${key}`, (abort) => client.send(command, abort), signal);
      if (UploadId !== undefined) return UploadId;
      throw new Failure('StorageConfigInvalid', `begin upload of ${key}: the answer has no upload id`);
    },
    uploadPart: async (upload, number, bytes, { crc32, md5 }, signal) => {
      const command = new UploadPartCommand({
        Bucket,
        Key: upload.key,
        UploadId: upload.id,
        PartNumber: number,
        Body: bytes,
        ContentLength: bytes.length,
        ...(crc32 === undefined ? {} : { ChecksumCRC32: crc32 }),
        ...(md5 === undefined ? {} : { ContentMD5: md5 }),
      });
      const what = `put part ${number} of ${upload.key}`;
      return readAcknowledged(await ask(what, (abort) => client.send(command, abort), signal));
    },
    completeUpload: async (upload, parts, { ifAbsent }, signal) => {
      const command = new CompleteMultipartUploadCommand({
        Bucket,
        Key: upload.key,
        UploadId: upload.id,
        MultipartUpload: {
          Parts: parts.map(({ number, etag, crc32 }) => ({
            PartNumber: number,
            ETag: `"${etag}"`,
            ...(crc32 === undefined ? {} : { ChecksumCRC32: crc32 }),
          })),
        },
        ...(ifAbsent ? { IfNoneMatch: '*' } : {}),
      });
      const answer = await ask(`complete ${upload.key}`, (abort) => client.send(command, abort), signal);
      if (answer.ETag === undefined)
        throw new Failure('StorageFailed', `complete ${upload.key}: the answer does not say that it was completed`);
      return readAcknowledged(answer);
    },
    abortUpload: async (upload, signal) => {
      const command = new AbortMultipartUploadCommand({ Bucket, Key: upload.key, UploadId: upload.id });
      try {
        await ask(`abort upload of ${upload.key}`, (abort) => client.send(command, abort), signal);
      } catch (error) {
        if (s3CodeOf(error) !== 'NoSuchUpload') throw error;
      }
    },
    hasUpload: async (upload, signal) => {
      const command = new ListPartsCommand({ Bucket, Key: upload.key, UploadId: upload.id, MaxParts: 1 });
      try {
        await ask(`look at upload of ${upload.key}`, (abort) => client.send(command, abort), signal);
        return true;
      } catch (error) {
        if (isTransient(error) && s3CodeOf(error) !== 'NoSuchUpload') throw error;
        // It is gone, or nobody may look (or the server cannot): then its word on the abort must do.
        return false;
      }
    },
    head: async (key, withChecksum, signal) => {
      const checksum = withChecksum ? { ChecksumMode: 'ENABLED' as const } : {};
      const command = new HeadObjectCommand({ Bucket, Key: key, ...checksum });
      try {
        const told = await ask(`look at ${key}`, (abort) => client.send(command, abort), signal);
        if (told.ContentLength === undefined)
          throw new Failure('StorageConfigInvalid', `look at ${key}: the answer has no size`);
        const { etag, crc32, versionId } = readAcknowledged(told);
        return {
          key,
          bytes: told.ContentLength,
          modifiedAtMs: told.LastModified?.getTime() ?? 0,
          ...(etag === undefined ? {} : { tag: etag }),
          ...(crc32 === undefined ? {} : { crc32 }),
          ...(versionId === undefined ? {} : { versionId }),
        };
      } catch (error) {
        if (s3StatusOf(error) !== 404) throw await explain(error, key, signal);
        await checkBucket(key, signal);
        return undefined;
      }
    },
    get: async (key, { start, end, tag }, signal) => {
      const command = new GetObjectCommand({
        Bucket,
        Key: key,
        ...(start === undefined ? {} : { Range: `bytes=${start}-${end ?? ''}` }),
        ...(tag === undefined ? {} : { IfMatch: `"${tag}"` }),
      });
      const told = await ask(`get ${key}`, (abort) => client.send(command, abort), signal);
      const body = told.Body;
      if (body === undefined || !('destroy' in body) || told.ContentLength === undefined)
        throw new Failure('StorageConfigInvalid', `get ${key}: the answer has no size or no body`);
      // Every S3 gives one; a web page that answers 200 to everything does not, and must not be taken for an object.
      if (told.ETag === undefined) throw new Failure('StorageConfigInvalid', `get ${key}: the answer has no ETag`);
      const first = /^bytes (\d+)-/.exec(told.ContentRange ?? '')?.[1];
      return { body, length: told.ContentLength, start: Number(first ?? 0), tag: unquote(told.ETag) };
    },
    listPage: async ({ prefix, after, token }, signal) => {
      const command = new ListObjectsV2Command({
        Bucket,
        Prefix: prefix,
        EncodingType: 'url',
        ...(token === undefined ? {} : { ContinuationToken: token }),
        ...(after === undefined || token !== undefined ? {} : { StartAfter: after }),
      });
      const told = await ask(`list ${prefix}`, (abort) => client.send(command, abort), signal);
      const decode = (key: string): string => decodeKey(key, told.EncodingType);
      const objects = (told.Contents ?? []).map(({ Key, Size, LastModified, ETag }) => {
        const tag = unquote(ETag);
        if (Key === undefined || Size === undefined)
          throw new Failure('StorageConfigInvalid', `list ${prefix}: an entry has no key or size`);
        const stat = { key: decode(Key), bytes: Size, modifiedAtMs: LastModified?.getTime() ?? 0 };
        return tag === undefined ? stat : { ...stat, tag };
      });
      if (told.IsTruncated !== true) return { objects, next: undefined };
      if (told.NextContinuationToken !== undefined) return { objects, next: told.NextContinuationToken };
      throw new Failure('StorageFailed', `list ${prefix}: there is more, but the answer does not say how to get it`);
    },
    listUploads: async (prefix, from, signal) => {
      const command = new ListMultipartUploadsCommand({
        Bucket,
        Prefix: prefix,
        EncodingType: 'url',
        ...(from === undefined ? {} : { KeyMarker: from.key, UploadIdMarker: from.id }),
      });
      const told = await ask(`list uploads of ${prefix}`, (abort) => client.send(command, abort), signal);
      const decode = (key: string): string => decodeKey(key, told.EncodingType);
      const uploads = (told.Uploads ?? []).map(({ Key, UploadId, Initiated }) => {
        if (Key === undefined || UploadId === undefined)
          throw new Failure('StorageConfigInvalid', `list uploads of ${prefix}: an entry has no key or id`);
        return { key: decode(Key), id: UploadId, initiatedMs: Initiated?.getTime() ?? 0 };
      });
      // A server that does not know the question lists objects instead: then nothing is known, which is not "none".
      if (told.Bucket === undefined && told.Uploads === undefined)
        throw new Failure('StorageConfigInvalid', `list uploads of ${prefix}: the answer is no listing of uploads`);
      if (told.IsTruncated !== true) return { uploads, next: undefined };
      const { NextKeyMarker, NextUploadIdMarker } = told;
      if (NextKeyMarker !== undefined)
        return { uploads, next: { key: decode(NextKeyMarker), id: NextUploadIdMarker ?? '' } };
      throw new Failure('StorageFailed', `list uploads of ${prefix}: there is more, but not said how to get it`);
    },
    deleteObject: async (key, signal) => {
      const command = new DeleteObjectCommand({ Bucket, Key: key });
      try {
        await ask(`delete ${key}`, (abort) => client.send(command, abort), signal);
      } catch (error) {
        if (s3CodeOf(error) !== 'NoSuchKey') throw error;
      }
    },
    close: () => client.destroy(),
  };
}

function readAcknowledged(told: {
  readonly ETag?: string | undefined;
  readonly ChecksumCRC32?: string | undefined;
  readonly VersionId?: string | undefined;
  readonly ServerSideEncryption?: string | undefined;
  readonly SSECustomerAlgorithm?: string | undefined;
}): Acknowledged {
  const etag = unquote(told.ETag);
  const { ChecksumCRC32: crc32, VersionId: versionId } = told;
  return {
    ...(etag === undefined ? {} : { etag }),
    ...(crc32 === undefined ? {} : { crc32 }),
    ...(versionId === undefined || versionId === 'null' ? {} : { versionId }),
    opaqueTag: (told.ServerSideEncryption ?? '').startsWith('aws:kms') || told.SSECustomerAlgorithm !== undefined,
  };
}

function decodeKey(key: string, encoding: string | undefined): string {
  return encoding === 'url' ? decodeURIComponent(key.replaceAll('+', ' ')) : key;
}

function unquote(etag: string | undefined): string | undefined {
  return etag?.replaceAll('"', '');
}
