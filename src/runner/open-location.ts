import { join } from 'node:path';
import { Failure } from '../api/failure.ts';
import { runnerFiles, type TaskLocation } from '../domain/task.ts';
import type { Credentials, Place } from '../storage/place.ts';
import type { Secrets } from './secrets.ts';

/** A location with its secrets, ready to be opened. */
export interface OpenablePlace {
  readonly place: Place;
  readonly credentials: Credentials;
}

/** Finds the secrets of a location and where its volume is mounted. @throws Failure SecretMissing, SecretInvalid, TaskInvalid */
export async function findPlace(
  location: TaskLocation,
  root: string,
  secrets: Secrets,
  signal: AbortSignal,
): Promise<OpenablePlace> {
  const { s3, sftp, directory } = location.place;
  if (s3 !== undefined) {
    const { ca, credentials, ...where } = s3;
    const read = async (until: AbortSignal): Promise<Credentials> =>
      credentials === undefined
        ? {}
        : secrets.read(credentials, { oneOf: [['accessKeyId', 'secretAccessKey']], optional: ['sessionToken'] }, until);
    const keys = await read(signal);
    const authorities = ca === undefined ? {} : await secrets.read(ca, { oneOf: [['ca']] }, signal);
    return { place: { s3: where } as Place, credentials: { ...keys, ...authorities, renew: read } };
  }
  if (sftp !== undefined) {
    const { credentials, ...where } = sftp;
    const keys = await secrets.read(
      credentials,
      {
        oneOf: [
          ['username', 'privateKey'],
          ['username', 'password'],
        ],
        optional: ['passphrase'],
      },
      signal,
    );
    return { place: { sftp: where }, credentials: keys };
  }
  if (directory !== undefined) {
    const { path, volume } = directory;
    const mounted = volume === undefined ? path : join(root, runnerFiles.volume(volume), path);
    return { place: { directory: { path: mounted } }, credentials: {} };
  }
  throw new Failure('TaskInvalid', `location ${location.name} has no place`);
}
