import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { BackupTask, TaskLocation } from '../../src/domain/task.ts';
import { openStorage } from '../../src/storage/open.ts';
import type { Credentials, Place } from '../../src/storage/place.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import { startS3, type S3Server } from '../servers/s3.ts';
import { startSshd, type Sshd } from '../servers/sshd.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { directoryLocation, s3Location, s3Secret, sftpLocation, sftpSecret, type TestSecrets } from './run-with.ts';

export const placeKinds = ['s3', 'sftp', 'directory'] as const;
export type PlaceKind = (typeof placeKinds)[number];

/** A real S3 server, a real sshd and a folder, new for each `fresh`. */
export interface Stand {
  readonly folder: string;
  readonly s3: S3Server;
  readonly sshd: Sshd;
  readonly secrets: TestSecrets;
  /** Three empty places, as a task names them. */
  fresh(): Promise<Readonly<Record<PlaceKind, TaskLocation>>>;
  /** The place as anybody else would open it. */
  open(location: TaskLocation): Promise<Storage>;
  /** Everything that is stored there, key by key. */
  keys(location: TaskLocation): Promise<readonly string[]>;
  stop(): Promise<void>;
}

export async function startStand(): Promise<Stand> {
  const temporary = await makeTemporaryFolder();
  const folder = temporary.path;
  // Servers that refuse root run as another user below it.
  await chmod(folder, 0o755);
  const s3 = await startS3({ dir: join(folder, 's3'), versitygw: process.env['VERSITYGW'] });
  const sshd = await startSshd({ dir: join(folder, 'sshd') });
  const secrets = { ...s3Secret(s3), ...sftpSecret(sshd) };
  let count = 0;
  const open = (location: TaskLocation): Promise<Storage> => openPlace(location, secrets);
  return {
    folder,
    s3,
    sshd,
    secrets,
    fresh: async () => {
      count += 1;
      const bucket = `bucket-${count}`;
      await s3.createBucket(bucket);
      const [sftpPath, directoryPath] = [join(folder, `sftp-${count}`), join(folder, `directory-${count}`)];
      await mkdir(sftpPath);
      await mkdir(directoryPath);
      return {
        s3: s3Location('cloud', s3, bucket),
        sftp: sftpLocation('remote', sshd, sftpPath),
        directory: directoryLocation('volume', directoryPath),
      };
    },
    open,
    keys: async (location) => {
      const storage = await open(location);
      try {
        const keys: string[] = [];
        for await (const { key } of storage.list('', undefined, new AbortController().signal)) keys.push(key);
        return keys;
      } finally {
        await storage.close();
      }
    },
    stop: async () => {
      await s3.stop();
      await sshd.stop();
      await temporary.remove();
    },
  };
}

/** A place that a task names, as anybody else would open it. */
export function openPlace({ place }: TaskLocation, secrets: TestSecrets): Promise<Storage> {
  const { s3: bucket, sftp, directory } = place;
  const { ca: _ca, credentials: _keys, ...bucketPlace } = bucket ?? {};
  const { credentials: _login, ...sftpPlace } = sftp ?? {};
  const opened = { s3: bucket && bucketPlace, sftp: sftp && sftpPlace, directory } as Place;
  const credentials: Credentials = bucket === undefined ? (secrets['sftp'] ?? {}) : (secrets['s3'] ?? {});
  return openStorage(opened, credentials, { clock: systemClock, random: systemRandom });
}

export function required(...locations: readonly TaskLocation[]): BackupTask['destinations'] {
  return locations.map((location) => ({ location, required: true }));
}
