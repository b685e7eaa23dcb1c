import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  PutBucketVersioningCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { TaskLocation } from '../../src/domain/task.ts';
import { startS3, type S3Server } from '../servers/s3.ts';
import { startSshd } from '../servers/sshd.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { textBody } from '../suites/bodies.ts';
import { s3Location, s3Secret, sftpLocation, sftpSecret, type TestSecrets } from './run-with.ts';
import { openPlace } from './stand.ts';

const go = new AbortController().signal;
export const datedKinds = ['a bucket', 'a bucket with versions', 'a server of SFTP'] as const;
export type DatedKind = (typeof datedKinds)[number];

/** A place at a real server where things can be laid that are old: no client can date back, so it is done on the server's disk. */
export interface DatedPlace {
  readonly location: TaskLocation;
  /** An object of ten bytes, or with this content. */
  lay(key: string, ageHours: number, content?: string): Promise<string>;
  /** Something unfinished of that key: an upload with one part, or a temporary file beside it. @returns what `left` calls it */
  begin(key: string, ageHours: number): Promise<string>;
  /** All keys, and all that is unfinished, without those of probes. */
  left(): Promise<readonly string[]>;
}

export interface DatedPlaces {
  readonly folder: string;
  readonly secrets: TestSecrets;
  /** Of the S3 server. */
  readonly client: S3Client;
  /** Why there can be no place of that kind here. */
  lacks(kind: DatedKind): string | undefined;
  make(kind: DatedKind): Promise<DatedPlace>;
  stop(): Promise<void>;
}

export async function startDatedPlaces(versitygw: string | undefined): Promise<DatedPlaces> {
  const temporary = await makeTemporaryFolder();
  const folder = temporary.path;
  const sshd = await startSshd({ dir: join(folder, 'sshd') });
  const s3 = versitygw === undefined ? undefined : await startS3({ dir: join(folder, 's3'), versitygw, full: true });
  const client = new S3Client({
    endpoint: s3?.endpoint ?? 'http://127.0.0.1:1',
    credentials: { accessKeyId: s3?.accessKeyId ?? '', secretAccessKey: s3?.secretAccessKey ?? '' },
    forcePathStyle: true,
    region: 'us-east-1',
  });
  const secrets = { ...(s3 === undefined ? {} : s3Secret(s3)), ...sftpSecret(sshd) };
  let count = 0;
  const make = async (kind: DatedKind): Promise<DatedPlace> => {
    count += 1;
    if (kind === 'a server of SFTP') {
      const root = join(folder, `root-${count}`);
      await mkdir(root);
      return folderPlace(sftpLocation('place', sshd, root), root, secrets);
    }
    if (s3 === undefined) throw new Error('no server');
    const bucket = `bucket-${count}`;
    await s3.createBucket(bucket);
    const VersioningConfiguration = { Status: 'Enabled' } as const;
    if (kind === 'a bucket with versions')
      await client.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration }));
    return bucketPlace(s3, bucket, client, join(folder, 's3', bucket), secrets);
  };
  return {
    folder,
    secrets,
    client,
    lacks: (kind) =>
      s3 !== undefined || kind === 'a server of SFTP'
        ? undefined
        : 'VERSITYGW is not set: a server that keeps versions and lists uploads is needed',
    make,
    stop: async () => {
      client.destroy();
      await s3?.stop();
      await sshd.stop();
      await temporary.remove();
    },
  };
}

function bucketPlace(
  server: S3Server,
  bucket: string,
  client: S3Client,
  root: string,
  secrets: TestSecrets,
): DatedPlace {
  const prefix = 'some/prefix/';
  const location = s3Location('place', server, bucket);
  const listed = (): Promise<readonly string[]> => listKeys(location, secrets);
  return {
    location,
    lay: (key, ageHours, content) => layObject(location, join(root, prefix), secrets, key, ageHours, content),
    begin: async (key, ageHours) => {
      const where = { Bucket: bucket, Key: `${prefix}${key}` };
      const { UploadId = '' } = await client.send(new CreateMultipartUploadCommand(where));
      await client.send(new UploadPartCommand({ ...where, UploadId, PartNumber: 1, Body: 'a part' }));
      const found = await readdir(join(root, '.sgwtmp'), { recursive: true });
      await dateBack(join(root, '.sgwtmp', found.find((path) => path.endsWith(`/${UploadId}`)) ?? ''), ageHours);
      return `${key} (unfinished)`;
    },
    left: async () => {
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
      const uploads = Uploads.map(({ Key = '' }) => `${Key.replace(prefix, '')} (unfinished)`);
      return [...(await listed()), ...uploads].toSorted();
    },
  };
}

function folderPlace(location: TaskLocation, root: string, secrets: TestSecrets): DatedPlace {
  let files = 0;
  return {
    location,
    lay: (key, ageHours, content) => layObject(location, root, secrets, key, ageHours, content),
    begin: async (key, ageHours) => {
      files += 1;
      const temporary = key.replace(/[^/]*$/, `.pgbackup-tmp,${files.toString(16).padStart(24, '0')}`);
      await mkdir(dirname(join(root, temporary)), { recursive: true });
      await writeFile(join(root, temporary), 'a part');
      await dateBack(join(root, temporary), ageHours);
      return temporary;
    },
    left: async () => {
      const all = await readdir(root, { recursive: true, withFileTypes: true });
      return all
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
        .filter((key) => !key.startsWith('.pgbackup-probe'))
        .toSorted();
    },
  };
}

async function layObject(
  location: TaskLocation,
  root: string,
  secrets: TestSecrets,
  key: string,
  ageHours: number,
  content = 'ten bytes.',
): Promise<string> {
  const storage = await openPlace(location, secrets);
  await storage.put(key, textBody(content), {}, go);
  await storage.close();
  await dateBack(join(root, key), ageHours);
  return key;
}

async function listKeys(location: TaskLocation, secrets: TestSecrets): Promise<readonly string[]> {
  const storage = await openPlace(location, secrets);
  const keys: string[] = [];
  for await (const { key } of storage.list('', undefined, go)) if (!key.startsWith('.pgbackup-probe')) keys.push(key);
  await storage.close();
  return keys;
}

async function dateBack(path: string, ageHours: number): Promise<void> {
  const seconds = Date.now() / 1000 - ageHours * 3600;
  await utimes(path, seconds, seconds);
}
