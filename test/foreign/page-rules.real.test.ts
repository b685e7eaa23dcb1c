import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  GetBucketLifecycleConfigurationCommand,
  PutBucketLifecycleConfigurationCommand,
  S3Client,
  type BucketLifecycleConfiguration,
} from '@aws-sdk/client-s3';
import { describe, expect, test } from 'vitest';
import { readJson } from '../runner/read-policy.ts';
import { whyMissing } from './programs.ts';
import { createBucket, startMotoServer } from './start-s3.ts';

const missing = whyMissing('moto');
describe.skipIf(missing !== undefined)(`The lifecycle rule of docs/locations.md (${missing ?? 'moto'})`, () => {
  test('is one that a store takes, and gives back as it was', async () => {
    const page = await readFile(join(import.meta.dirname, '../../docs/locations.md'), 'utf8');
    const rule = readJson(page, 'Keys that cannot delete', 1) as BucketLifecycleConfiguration;
    const { door, stop } = await startMotoServer();
    const { endpoint, ...credentials } = door;
    const client = new S3Client({ endpoint, credentials, forcePathStyle: true, region: 'us-east-1' });
    await createBucket(door);
    const Bucket = 'backups';
    await client.send(new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: rule }));
    const { Rules } = await client.send(new GetBucketLifecycleConfigurationCommand({ Bucket }));
    client.destroy();
    await stop();
    expect(Rules).toEqual(rule.Rules);
  });
});
