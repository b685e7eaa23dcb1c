import { dirname } from 'node:path/posix';
import { Failure } from '../api/failure.ts';
import { lookAt, withFile } from './sftp-look.ts';
import { sftpStatus, sftpStatusOf } from './sftp-errors.ts';
import { type SftpSession, sftpOpen } from './sftp-session.ts';

const fileMode = 0o640;
const folderMode = 0o750;

/** Opens a new file, making the folders above it as often as concurrent deletes remove them. */
export async function createFile(
  session: SftpSession,
  root: string,
  path: string,
  signal: AbortSignal,
): Promise<Buffer> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await session.ask<Buffer>(
        `create ${path}`,
        (channel, done) => channel.open(path, sftpOpen.createNew, { mode: fileMode }, done),
        signal,
      );
    } catch (error) {
      const status = sftpStatusOf(error);
      // Some servers answer a mere "failure" where a folder is missing.
      const isMissing = status === sftpStatus.noSuchFile || (status === sftpStatus.failure && tries === 1);
      if (!isMissing || tries >= 20) throw error;
    }
    await makeFolders(session, root, dirname(path), signal);
  }
}

async function makeFolders(session: SftpSession, root: string, folder: string, signal: AbortSignal): Promise<void> {
  const found = await lookAt(session, folder, signal);
  if (folder === root) {
    if (found === undefined) throw missingRoot(root);
    return;
  }
  if (found !== undefined) return;
  const above = dirname(folder);
  await makeFolders(session, root, above, signal);
  try {
    await session.ask<void>(
      `create folder ${folder}`,
      (channel, done) => channel.mkdir(folder, { mode: folderMode }, done),
      signal,
    );
  } catch (error) {
    // Servers answer a mere "failure" when it exists; and a concurrent delete may have removed the folder above.
    const raced = sftpStatusOf(error) === sftpStatus.noSuchFile;
    if (!raced && (await lookAt(session, folder, signal)) === undefined) throw error;
  }
  await syncFolder(session, above, signal);
}

export function missingRoot(root: string): Failure {
  return new Failure('StorageMissing', `${root} does not exist any more`, {
    hint: 'create the folder on the SFTP server, or mount what belongs there',
  });
}

/**
 * Makes what happened in a folder (a new name, a new folder) outlive the server, where it can: OpenSSH opens folders as it opens files.
 * A folder that is gone needs no sync.
 */
export async function syncFolder(session: SftpSession, folder: string, signal?: AbortSignal): Promise<void> {
  const { abilities } = session;
  if (!abilities.has('fsync') || !abilities.has('folder-sync')) return;
  try {
    await withFile(session, folder, (handle) => session.sync(folder, handle, signal), signal);
    abilities.prove('folder-sync');
    abilities.prove('fsync');
  } catch (error) {
    const status = sftpStatusOf(error);
    if (status === 0) throw error;
    // What may be written in but not be read cannot be opened.
    if (status === sftpStatus.noSuchFile || status === sftpStatus.permissionDenied) return;
    if (abilities.isProven('folder-sync')) throw error;
    abilities.refuse('folder-sync');
  }
}

/** Removes the folders above a file, up to the root, as long as they are empty; gives back the first that stays. */
export async function removeEmptyFolders(
  session: SftpSession,
  root: string,
  path: string,
  signal?: AbortSignal,
): Promise<string> {
  let folder = dirname(path);
  for (; folder !== root && folder.startsWith(root); folder = dirname(folder)) {
    const at = folder;
    try {
      await session.ask<void>(`remove folder ${at}`, (channel, done) => channel.rmdir(at, done), signal);
    } catch (error) {
      // Not empty, or not ours to remove: an empty folder does no harm. One that is gone already has parents all the same.
      const status = sftpStatusOf(error);
      if (status === 0) throw error;
      if (status !== sftpStatus.noSuchFile) break;
    }
  }
  return folder;
}

/** Resolves when the file does not exist any more. */
export async function removeFile(session: SftpSession, path: string, signal?: AbortSignal): Promise<void> {
  try {
    await session.ask<void>(`delete ${path}`, (channel, done) => channel.unlink(path, done), signal);
  } catch (error) {
    if (sftpStatusOf(error) !== sftpStatus.noSuchFile) throw error;
  }
}
