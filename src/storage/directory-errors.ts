import { Failure } from '../api/failure.ts';
import type { FailureReason } from '../api/reasons.ts';

const reasons: Readonly<Record<string, FailureReason>> = {
  ENOSPC: 'StorageFull',
  EDQUOT: 'StorageFull',
  EFBIG: 'StorageFull',
  EACCES: 'StorageDenied',
  EPERM: 'StorageDenied',
  EROFS: 'StorageDenied',
  ENOTDIR: 'StorageConfigInvalid',
  EISDIR: 'StorageConfigInvalid',
  ENAMETOOLONG: 'StorageConfigInvalid',
  EINVAL: 'StorageConfigInvalid',
  // What network file systems answer when their server is away.
  ESTALE: 'StorageUnreachable',
  ETIMEDOUT: 'StorageUnreachable',
  EHOSTDOWN: 'StorageUnreachable',
  EHOSTUNREACH: 'StorageUnreachable',
  ENOTCONN: 'StorageUnreachable',
};

/** The system's code of a caught error, '' if it has none. */
export function errorCode(error: unknown): string {
  if (!(error instanceof Error) || !('code' in error)) return '';
  return typeof error.code === 'string' ? error.code : '';
}

/** An error of the file system as a Failure; everything unknown is `StorageFailed`. */
export function toDirectoryFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new Failure(reasons[errorCode(error)] ?? 'StorageFailed', message, { cause: error });
}

/** Settles as the file system does, its errors as Failures (errors of a body must not pass here: they are rethrown as they are). */
export async function asked<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw toDirectoryFailure(error);
  }
}
