import {
  AbortMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { openS3 } from '../../src/storage/s3.ts';
import type { S3Options } from '../../src/storage/s3-options.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import type { PlaceUnderTest } from '../suites/storage-conformance.ts';

const tools = { clock: systemClock, random: systemRandom };

export interface S3Door {
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** The bucket `backups` behind a door; what is there is seen through another one, with the SDK as it comes. */
export function s3PlaceUnderTest(door: S3Door, eye: S3Door, stop: () => Promise<void>): PlaceUnderTest {
  const options = optionsOf(door);
  const client = new S3Client({ ...optionsOf(eye), region: 'us-east-1' });
  return {
    open: () => openS3(options, tools),
    openMissing: () => openS3({ ...options, bucket: 'absent-bucket' }, tools),
    openRefused: () => openS3({ ...options, credentials: { accessKeyId: 'nobody', secretAccessKey: 'wrong' } }, tools),
    lookFromOutside: () => listBucket(client, 'backups'),
    stop: async () => {
      client.destroy();
      await stop();
    },
  };
}

function optionsOf({ endpoint, accessKeyId, secretAccessKey }: S3Door): S3Options {
  return { bucket: 'backups', endpoint, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } };
}

/** Bytes of the parts of uploads of a key that are not complete. */
export async function countArrived(door: S3Door, key: string): Promise<number> {
  const client = new S3Client({ ...optionsOf(door), region: 'us-east-1' });
  const where = { Bucket: 'backups', Key: key };
  let bytes = 0;
  const { Uploads } = await client.send(new ListMultipartUploadsCommand({ Bucket: 'backups', Prefix: key }));
  for (const { UploadId } of Uploads ?? []) {
    const { Parts } = await client.send(new ListPartsCommand({ ...where, UploadId }));
    bytes += (Parts ?? []).reduce((sum, { Size }) => sum + (Size ?? 0), 0);
  }
  client.destroy();
  return bytes;
}

/** Every object and every unfinished upload; these are told once and then aborted, so that each case begins without. */
export async function listBucket(client: S3Client, bucket: string): Promise<readonly string[]> {
  const found: string[] = [];
  let token: string | undefined;
  do {
    const page = await client.send(new ListObjectsV2Command({ Bucket: bucket, ContinuationToken: token }));
    found.push(...(page.Contents ?? []).map(({ Key }) => `/${Key}`));
    token = page.NextContinuationToken;
  } while (token !== undefined);
  const { Uploads } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
  for (const { Key, UploadId } of Uploads ?? []) {
    found.push(`/${Key} (unfinished)`);
    await client.send(new AbortMultipartUploadCommand({ Bucket: bucket, Key, UploadId }));
  }
  return found;
}
