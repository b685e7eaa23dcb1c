import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readFile, glob } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { parseManifest, type Manifest } from '../../src/domain/manifest.ts';
import type { Servers } from './start-servers.ts';

/** Prefix of the S3 location in the examples. */
const s3Prefix = 'postgres';

/** Every volume that a manifest names. */
export function listVolumes({
  databases,
  globals,
}: Manifest): readonly { key: string; bytes: number; sha256: string }[] {
  return [...databases.flatMap(({ artifacts }) => artifacts), ...(globals === undefined ? [] : [globals])].flatMap(
    ({ volumes }) => volumes,
  );
}

/** The one backup that lies below a folder of the directory location. @throws Error when there is not exactly one */
export async function findManifest(folder: string): Promise<{ readonly key: string; readonly manifest: Manifest }> {
  const keys: string[] = [];
  for await (const key of glob('**/manifest.json', { cwd: folder })) keys.push(key);
  const [key] = keys;
  if (key === undefined || keys.length > 1) throw new Error(`${keys.length} manifests instead of one in ${folder}`);
  return { key, manifest: parseManifest(key, await readFile(join(folder, key), 'utf8')) };
}

/** Fetches a backup from the bucket with the SDK as it comes, none of our code between. */
export async function fetchFromBucket({ s3, bucket }: Servers, keys: readonly string[], folder: string): Promise<void> {
  const client = new S3Client({
    endpoint: s3.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey },
  });
  try {
    for (const key of keys) {
      const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: `${s3Prefix}/${key}` }));
      const path = join(folder, key);
      await mkdir(dirname(path), { recursive: true });
      await pipeline(Body as Readable, createWriteStream(path));
    }
  } finally {
    client.destroy();
  }
}

export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Uint8Array);
  return hash.digest('hex');
}
