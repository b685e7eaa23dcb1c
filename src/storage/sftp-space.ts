import { Failure } from '../api/failure.ts';
import { sftpStatus, sftpStatusOf } from './sftp-errors.ts';
import type { SftpSession } from './sftp-session.ts';
import type { SftpSpace } from './sftp-channel.ts';

/** Less than this is none: the failed write was of up to 255 KiB, and some of it may have fitted. */
const leastBytes = 1 << 20;

/**
 * OpenSSH answers a full disk with a bare "failure". Asks the file system, at the first of the paths that is there, whether it is full;
 * gives back the failure to throw.
 */
export async function explainFull(session: SftpSession, paths: readonly string[], error: unknown): Promise<unknown> {
  if (sftpStatusOf(error) !== sftpStatus.failure || !(error instanceof Failure) || error.reason !== 'StorageFailed')
    return error;
  if (!session.abilities.has('statvfs')) return error;
  for (const path of paths) {
    try {
      const full = describeFull(
        await session.ask<SftpSpace>(`look at ${path}`, (channel, done) => channel.ext_openssh_statvfs(path, done)),
      );
      if (full === undefined) return error;
      return new Failure('StorageFull', `${error.message}; ${full} on the file system of ${path}`, {
        hint: 'make room on the SFTP server',
        cause: error.cause,
      });
    } catch (second) {
      if (sftpStatusOf(second) === 0) return error;
    }
  }
  return error;
}

function describeFull({ f_frsize, f_bavail, f_files, f_favail }: SftpSpace): string | undefined {
  const free = f_frsize * f_bavail;
  if (free < leastBytes) return `${free} bytes are free`;
  return f_files > 0 && f_favail === 0 ? 'no file can be added (no inode is free)' : undefined;
}
