import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, readdir, realpath, rmdir, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Failure } from '../api/failure.ts';
import { asked, errorCode, toDirectoryFailure } from './directory-errors.ts';
import { BufferPool, gatherParts } from './gather-parts.ts';
import { compareKeys, isTemporaryName } from './keys.ts';
import type { Bytes, ObjectStat, PutOptions } from './storage.ts';
import { tellSync } from './tell-sync.ts';

const chunkBytes = 256 * 1024;
const syncEveryBytes = 32 * 1024 * 1024;
const folderMode = 0o770;
const cannotSyncFolders = new Set(['EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'EISDIR', 'EBADF']);
/** Codes that mean that there is no such file. */
export const nothingThere: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP']);

/**
 * Writes all of a body; one chunk is written while the next is gathered, and what was written is synced on the way while more of it is
 * written: at the end little is left to sync, however slow the disk is, and who looks whether bytes are taken sees that they are.
 * Resolves with its length.
 */
export async function writeBody(
  file: FileHandle,
  body: Bytes,
  options: PutOptions,
  signal: AbortSignal,
): Promise<number> {
  const pool = new BufferPool(chunkBytes);
  let sent = 0;
  let synced = 0;
  let writing: Promise<void> = Promise.resolve();
  let syncing: Promise<void> = Promise.resolve();
  try {
    for await (const { bytes } of gatherParts(body, chunkBytes, () => pool.take(), signal)) {
      await writing;
      if (sent - synced >= syncEveryBytes) {
        await syncing;
        synced = sent;
        syncing = tellSync(options, () => asked(file.datasync()));
        syncing.catch(() => undefined);
      }
      sent += bytes.length;
      writing = writeAll(file, bytes).then(() => pool.give(bytes));
      writing.catch(() => undefined);
    }
    await writing;
    await syncing;
    return sent;
  } catch (error) {
    await Promise.allSettled([writing, syncing]);
    throw error;
  }
}

async function writeAll(file: FileHandle, bytes: Buffer): Promise<void> {
  for (let offset = 0; offset < bytes.length;) {
    offset += (await asked(file.write(bytes, offset, bytes.length - offset))).bytesWritten;
  }
}

/** A regular file, or undefined for everything else and nothing. */
export async function statFile(path: string, key: string): Promise<ObjectStat | undefined> {
  try {
    const found = await lstat(path);
    return found.isFile() ? { key, bytes: found.size, modifiedAtMs: found.mtimeMs } : undefined;
  } catch (error) {
    if (nothingThere.has(errorCode(error))) return undefined;
    throw toDirectoryFailure(error);
  }
}

/** False if the way from the root to the key's folder leads through a symbolic link; true if it does not exist (yet). */
export async function staysInside(root: string, key: string): Promise<boolean> {
  const folder = join(root, dirname(key));
  try {
    return (await realpath(folder)) === folder;
  } catch (error) {
    if (nothingThere.has(errorCode(error))) return true;
    throw toDirectoryFailure(error);
  }
}

export async function makeFolders(root: string, key: string): Promise<void> {
  let path = root;
  for (const segment of key.split('/').slice(0, -1)) {
    const parent = path;
    path = join(parent, segment);
    try {
      await mkdir(path, folderMode);
      await syncFolder(parent);
    } catch (error) {
      // ENOENT: a concurrent delete removed the folder above; the caller begins again.
      if (errorCode(error) === 'ENOENT') return;
      if (errorCode(error) !== 'EEXIST') throw toDirectoryFailure(error);
    }
  }
}

export interface FolderEntry {
  readonly name: string;
  /** With a slash at the end for a folder, so that sorting entries sorts all keys below them. */
  readonly key: string;
  readonly isFolder: boolean;
  /** A symbolic link, to whatever. */
  readonly isLink: boolean;
}

/** Folders, and files and links whose names are wanted: those of objects, if nothing is said. */
export async function readFolder(
  path: string,
  folder: string,
  isWanted = (name: string): boolean => !isTemporaryName(name),
): Promise<readonly FolderEntry[]> {
  try {
    const found = await readdir(path, { withFileTypes: true });
    return found
      .filter((entry) => entry.isDirectory() || ((entry.isFile() || entry.isSymbolicLink()) && isWanted(entry.name)))
      .map((entry) => {
        const isFolder = entry.isDirectory();
        const key = `${folder}${entry.name}${isFolder ? '/' : ''}`;
        return { name: entry.name, key, isFolder, isLink: entry.isSymbolicLink() };
      })
      .sort((a, b) => compareKeys(a.key, b.key));
  } catch (error) {
    // A folder that a concurrent delete emptied; the root itself must not vanish.
    if (folder !== '' && nothingThere.has(errorCode(error))) return [];
    if (folder === '' && errorCode(error) === 'ENOENT')
      throw new Failure('StorageMissing', `${path} does not exist any more`, { cause: error });
    throw toDirectoryFailure(error);
  }
}

export async function syncFolder(path: string): Promise<void> {
  let folder: FileHandle | undefined;
  try {
    folder = await open(path, 'r');
    await folder.sync();
  } catch (error) {
    // Some network file systems cannot sync folders; a vanished folder needs no sync.
    if (!cannotSyncFolders.has(errorCode(error)) && errorCode(error) !== 'ENOENT') throw toDirectoryFailure(error);
  } finally {
    await folder?.close();
  }
}

export async function removeQuietly(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch {
    // The failure that brought us here is the one to tell; a file that cannot be removed is never listed.
  }
}

/** Removes the folders above a key that are empty now, and makes the deletion durable where something is left. */
export async function removeEmptyFolders(root: string, key: string): Promise<void> {
  let folder = dirname(key);
  for (; folder !== '.'; folder = dirname(folder)) {
    try {
      await rmdir(join(root, folder));
    } catch (error) {
      // Not empty, gone already, or not ours to remove: an empty folder does no harm.
      if (errorCode(error) !== 'ENOENT') break;
    }
  }
  await syncFolder(join(root, folder));
}

/** Opens a regular file, or resolves with undefined for everything else and nothing. */
export async function openRegularFile(path: string): Promise<FileHandle | undefined> {
  try {
    // O_NONBLOCK: opening a named pipe that somebody left there must not hang.
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    if ((await file.stat()).isFile()) return file;
    await file.close();
    return undefined;
  } catch (error) {
    if (nothingThere.has(errorCode(error))) return undefined;
    throw toDirectoryFailure(error);
  }
}
