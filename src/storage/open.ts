import { Failure } from '../api/failure.ts';
import type { Credentials, Place, S3Place, SftpPlace, StorageTools } from './place.ts';
import { prefixStorage } from './prefix.ts';
import { retryStorage } from './retry.ts';
import type { S3Credentials } from './s3-options.ts';
import type { Storage } from './storage.ts';

/**
 * The only file that knows every driver. Opens no connection yet. Drivers are loaded when they are needed: a run to an SFTP server
 * does not pay for the S3 SDK. Transient failures are retried (retryStorage).
 * Throws `StorageConfigInvalid` (not exactly one kind of place, host keys that cannot be read) and `SecretInvalid` (a credential is
 * missing or cannot be used).
 */
export async function openStorage(place: Place, credentials: Credentials, tools: StorageTools): Promise<Storage> {
  const { s3, sftp, directory } = place;
  if ([s3, sftp, directory].filter((kind) => kind !== undefined).length !== 1)
    throw new Failure('StorageConfigInvalid', 'a place is exactly one of s3, sftp and directory');
  if (s3 !== undefined) return await openBucket(s3, credentials, tools);
  if (sftp !== undefined) return await openServer(sftp, credentials, tools);
  const { openApart } = await import('./apart.ts');
  return retry(openApart(directory ?? { path: '' }), tools);
}

async function openBucket(place: S3Place, credentials: Credentials, tools: StorageTools): Promise<Storage> {
  const { ca, renew } = credentials;
  const { prefix, ...where } = place;
  const keys = readKeys(credentials);
  const { openS3 } = await import('./s3.ts');
  const options = {
    ...where,
    ...(ca === undefined ? {} : { ca }),
    ...(keys === undefined ? {} : { credentials: keys }),
    ...(renew === undefined ? {} : { renew: async (signal: AbortSignal) => readKeys(await renew(signal)) }),
    ...(tools.proxy === undefined ? {} : { proxy: tools.proxy }),
  };
  const storage = retry(openS3(options, tools), tools);
  return prefix === undefined ? storage : prefixStorage(storage, prefix);
}

function readKeys({ accessKeyId, secretAccessKey, sessionToken }: Credentials): S3Credentials | undefined {
  if (accessKeyId === undefined && secretAccessKey === undefined) return undefined;
  if (accessKeyId === undefined || secretAccessKey === undefined)
    throw new Failure('SecretInvalid', 'access key id and secret access key go together: one of them is missing');
  return {
    accessKeyId: readKey(accessKeyId, 'access key id', /^[!-~]+$/),
    // Some stores let people choose theirs.
    secretAccessKey: readKey(secretAccessKey, 'secret access key', /^[^\p{Cc}]+$/u),
    ...(sessionToken === undefined ? {} : { sessionToken: readKey(sessionToken, 'session token', /^[!-~]+$/) }),
  };
}

/** What editors and templates put around a key is no part of it. */
function readKey(text: string, what: string, allowed: RegExp): string {
  const key = text.trim();
  if (!allowed.test(key)) {
    throw new Failure('SecretInvalid', `the ${what} holds a blank, a line break or other characters that none has`, {
      hint: 'put the key alone into the Secret',
    });
  }
  if (/^(["']).*\1$/.test(key))
    throw new Failure('SecretInvalid', `the ${what} stands in quotes`, { hint: 'put it into the Secret without them' });
  return key;
}

async function openServer(place: SftpPlace, credentials: Credentials, tools: StorageTools): Promise<Storage> {
  const { username, password, privateKey, passphrase } = credentials;
  if (username === undefined) throw new Failure('SecretInvalid', 'the user name for SFTP is missing');
  if (password === undefined && privateKey === undefined)
    throw new Failure('SecretInvalid', 'neither a password nor a private key for SFTP is given');
  const { openSftp } = await import('./sftp.ts');
  const storage = openSftp(
    {
      ...place,
      username,
      ...(password === undefined ? {} : { password }),
      ...(privateKey === undefined ? {} : { privateKey }),
      ...(passphrase === undefined ? {} : { passphrase }),
    },
    tools,
  );
  return retry(storage, tools);
}

function retry(storage: Storage, tools: StorageTools): Storage {
  return retryStorage(storage, { attempts: 4, ...tools });
}
