import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { ListMultipartUploadsCommand, type S3Client } from '@aws-sdk/client-s3';
import { openStorage } from '../../src/storage/open.ts';
import type { Credentials, Place } from '../../src/storage/place.ts';
import { WholeBytes } from '../../src/storage/whole-bytes.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';

/** A place of a case: a BackupLocation, and how to look at it from outside, past every proxy. */
export interface PlaceUse {
  readonly location: string;
  readonly required: boolean;
  /** Folder on this machine that holds the keys. */
  readonly root: string;
  /** How an object gets there without the fault. */
  readonly put: (key: string, bytes: Buffer) => Promise<void>;
  /** Keys of uploads that were begun and neither finished nor aborted. */
  readonly uploads: (prefix: string) => Promise<readonly string[]>;
}

/** Files below a folder of a place, hidden and temporary ones too, by their path below the root, with their SHA-256. */
export async function listFiles(root: string, below: string): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  let entries;
  try {
    entries = await readdir(join(root, below), { recursive: true, withFileTypes: true });
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))
      return found;
    throw error;
  }
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    found.set(relative(root, path), await hashFiles([path]));
  }
  return found;
}

/** SHA-256 of files, one after the other. */
export async function hashFiles(paths: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const path of paths) for await (const piece of createReadStream(path)) hash.update(piece as Buffer);
  return hash.digest('hex');
}

export function folderPlace(location: string, root: string, required: boolean): PlaceUse {
  return {
    location,
    required,
    root,
    put: async (key, bytes) => {
      const path = join(root, key);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, bytes);
    },
    uploads: async () => [],
  };
}

export function bucketPlace(
  location: string,
  required: boolean,
  bucketFolder: string,
  place: Place,
  credentials: Credentials,
  client: S3Client,
): PlaceUse {
  const { bucket = '', prefix = '' } = place.s3 ?? {};
  return {
    location,
    required,
    root: join(bucketFolder, prefix),
    put: async (key, bytes) => {
      const storage = await openStorage(place, credentials, { clock: systemClock, random: systemRandom });
      await storage.put(key, new WholeBytes(bytes), {}, new AbortController().signal);
      await storage.close();
    },
    uploads: async (below) => {
      const asked = new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: `${prefix}/${below}` });
      try {
        const { Uploads = [] } = await client.send(asked);
        return Uploads.map(({ Key = '' }) => Key);
      } catch (error) {
        if (error instanceof Error && error.name === 'NoSuchBucket') return [];
        throw error;
      }
    },
  };
}
