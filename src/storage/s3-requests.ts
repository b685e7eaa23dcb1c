import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  ListPartsCommand,
  PutObjectCommand,
  type ServerSideEncryption,
  type StorageClass,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { Failure } from '../api/failure.ts';
import { isTransient, Throttled } from './attempt.ts';
import type { StorageTools } from './place.ts';
import type { NewObject, S3Calls } from './s3-calls.ts';
import { connectS3 } from './s3-client.ts';
import { isBare404, s3CodeOf } from './s3-errors.ts';
import { makeReadRequests } from './s3-read-requests.ts';
import { readAcknowledged } from './s3-told.ts';
import type { S3Options } from './s3-options.ts';

/** The requests of the driver, made with the SDK. */
export function makeS3Calls(options: S3Options, tools: StorageTools): S3Calls {
  const { ask, close } = connectS3(options, tools);
  const { bucket: Bucket, serverSideEncryption: encryption, storageClass } = options;
  const StorageClass = storageClass as StorageClass | undefined;
  const ServerSideEncryption = encryption?.algorithm satisfies ServerSideEncryption | undefined;
  const encrypted = {
    ...(ServerSideEncryption === undefined ? {} : { ServerSideEncryption }),
    ...(encryption?.kmsKeyId === undefined ? {} : { SSEKMSKeyId: encryption.kmsKeyId }),
  };
  const written = ({ key, inClass }: NewObject) => ({
    Bucket,
    Key: key,
    ...encrypted,
    ...(StorageClass === undefined || !inClass ? {} : { StorageClass }),
  });

  const { confirmMissing, ...reads } = makeReadRequests(ask, Bucket);

  return {
    name: `s3://${Bucket}`,
    ...reads,
    putObject: async (object, bytes, { crc32, md5 }, signal) => {
      const command = new PutObjectCommand({
        ...written(object),
        Body: bytes,
        ContentLength: bytes.length,
        ...(crc32 === undefined ? {} : { ChecksumCRC32: crc32 }),
        ...(md5 === undefined ? {} : { ContentMD5: md5 }),
        ...(object.ifAbsent ? { IfNoneMatch: '*' } : {}),
      });
      const told = await ask(`put ${object.key}`, (client, abort) => client.send(command, abort), signal);
      return readAcknowledged(told);
    },
    createUpload: async (object, withChecksums, signal) => {
      const checksums = withChecksums ? { ChecksumAlgorithm: 'CRC32' as const } : {};
      const command = new CreateMultipartUploadCommand({ ...written(object), ...checksums });
      const what = `begin upload of ${object.key}`;
      const { UploadId } = await ask(what, (client, abort) => client.send(command, abort), signal);
      if (UploadId !== undefined && UploadId !== '') return UploadId;
      throw new Failure('StorageConfigInvalid', `${what}: the answer has no upload id`);
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
      return readAcknowledged(await ask(what, (client, abort) => client.send(command, abort), signal));
    },
    completeUpload: async (upload, parts, { withSums, ifAbsent }, signal) => {
      const command = new CompleteMultipartUploadCommand({
        Bucket,
        Key: upload.key,
        UploadId: upload.id,
        MultipartUpload: {
          Parts: parts.map(({ number, etag, crc32 }) => ({
            PartNumber: number,
            ETag: `"${etag}"`,
            ...(withSums ? { ChecksumCRC32: crc32 } : {}),
          })),
        },
        ...(ifAbsent ? { IfNoneMatch: '*' } : {}),
      });
      const what = `complete ${upload.key}`;
      const answer = await ask(what, (client, abort) => client.send(command, abort), signal);
      if (answer.ETag === undefined)
        throw new Failure('StorageFailed', `${what}: the answer does not say that it was completed`);
      return readAcknowledged(answer);
    },
    abortUpload: async (upload, signal) => {
      const command = new AbortMultipartUploadCommand({ Bucket, Key: upload.key, UploadId: upload.id });
      try {
        await ask(`abort upload of ${upload.key}`, (client, abort) => client.send(command, abort), signal);
      } catch (error) {
        if (s3CodeOf(error) === 'NoSuchUpload') return;
        if (!isBare404(error)) throw error;
        await reads.checkBucket(upload.key, signal);
      }
    },
    hasUpload: async (upload, signal) => {
      const command = new ListPartsCommand({ Bucket, Key: upload.key, UploadId: upload.id, MaxParts: 1 });
      try {
        await ask(`look at upload of ${upload.key}`, (client, abort) => client.send(command, abort), signal);
        return true;
      } catch (error) {
        const again = isTransient(error) || error instanceof Throttled;
        if (again && s3CodeOf(error) !== 'NoSuchUpload') throw error;
        // It is gone, or nobody may look (or the server cannot): then its word on the abort must do.
        return false;
      }
    },
    deleteObject: async (key, signal) => {
      const command = new DeleteObjectCommand({ Bucket, Key: key });
      try {
        await ask(`delete ${key}`, (client, abort) => client.send(command, abort), signal);
      } catch (error) {
        if (s3CodeOf(error) !== 'NoSuchKey') await confirmMissing(error, key, signal);
      }
    },
    close,
  };
}
