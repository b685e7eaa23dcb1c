import { type FileHandle, link, open, realpath, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Failure } from '../api/failure.ts';
import { throwIfAborted } from './abortable.ts';
import { asked, errorCode, toDirectoryFailure } from './directory-errors.ts';
import {
  makeFolders,
  nothingThere,
  openRegularFile,
  removeEmptyFolders,
  removeQuietly,
  statFile,
  staysInside,
  syncFolder,
  writeBody,
} from './directory-files.ts';
import { checkInside, resolveInside } from './directory-links.ts';
import { listDirectory } from './directory-list.ts';
import { listTemporaryFiles } from './directory-unfinished.ts';
import { notThroughLinks } from './inner-links.ts';
import { checkReadKey, checkTemporaryKey, checkWrittenKey, makeTemporaryName } from './keys.ts';
import type { DirectoryPlace, StorageTools } from './place.ts';
import type { Bytes, LeftOut, ObjectStat, PutOptions, Range, Storage, StoredObject, Unfinished } from './storage.ts';
import { tellSync } from './tell-sync.ts';

const chunkBytes = 1024 * 1024;
/** Less the umask: readable by the group, because pods of other users restore through a common fsGroup. */
const fileMode = 0o660;
const cannotLink = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

/**
 * A folder of a file system. It must exist: a mount point is never created, because backups would then land beside the volume.
 * Symbolic links below the root are followed by who reads, as long as they stay inside; nothing is written or deleted through one.
 */
export function openDirectory(place: DirectoryPlace, tools: Pick<StorageTools, 'random'>): Storage {
  return new DirectoryStorage(place.path, tools);
}

class DirectoryStorage implements Storage {
  readonly name: string;
  readonly #path: string;
  readonly #tools: Pick<StorageTools, 'random'>;
  #links = true;

  constructor(path: string, tools: Pick<StorageTools, 'random'>) {
    this.#path = path;
    this.#tools = tools;
    this.name = pathToFileURL(path).href;
  }

  /** False once the file system has refused hard links (exFAT, some network mounts). */
  get conditionalPut(): boolean {
    return this.#links;
  }

  async put(key: string, body: Bytes, options: PutOptions, signal: AbortSignal): Promise<StoredObject> {
    checkWrittenKey(key);
    throwIfAborted(signal);
    const { root, file, path } = await this.#openTemporary(key);
    const target = join(root, key);
    let published = false;
    try {
      const sent = await writeBody(file, body, options, signal);
      await tellSync(options, () => asked(file.sync()));
      const held = (await asked(file.stat())).size;
      if (held !== sent) throw new Failure('StoredBytesDiffer', `${key}: ${sent} bytes written, ${held} bytes held`);
      throwIfAborted(signal);
      await this.#publish(path, target, options);
      published = true;
      await syncFolder(dirname(target));
      return { bytes: held };
    } catch (error) {
      await removeQuietly(published ? target : path);
      await removeEmptyFolders(root, key).catch(() => undefined);
      throw error;
    } finally {
      await asked(file.close());
    }
  }

  async *get(key: string, range: Range | undefined, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    checkReadKey(key);
    throwIfAborted(signal);
    const root = await this.#root();
    const found = await resolveInside(root, key);
    const file = found === undefined ? undefined : await openRegularFile(found.path);
    if (file === undefined) throw new Failure('ObjectMissing', `${key} is not in ${this.name}`);
    try {
      await checkInside(file, root, key);
      const size = (await asked(file.stat())).size;
      const end = Math.min(range?.end ?? size - 1, size - 1);
      for (let position = range?.start ?? 0; position <= end;) {
        throwIfAborted(signal);
        const wanted = Math.min(chunkBytes, end + 1 - position);
        const { bytesRead, buffer } = await asked(file.read(Buffer.allocUnsafeSlow(wanted), 0, wanted, position));
        if (bytesRead === 0) throw new Failure('StorageFailed', `${key} ends after ${position} of ${size} bytes`);
        position += bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
    } finally {
      await file.close();
    }
  }

  async stat(key: string, signal: AbortSignal): Promise<ObjectStat | undefined> {
    checkReadKey(key);
    throwIfAborted(signal);
    const root = await this.#root();
    const found = await resolveInside(root, key);
    const stat = found === undefined ? undefined : await statFile(found.path, key);
    if (found === undefined || stat === undefined || found.target === key) return stat;
    return { ...stat, target: found.target };
  }

  async *list(
    prefix: string,
    after: string | undefined,
    signal: AbortSignal,
    leftOut?: LeftOut,
  ): AsyncGenerator<ObjectStat, void, undefined> {
    yield* listDirectory(await this.#root(), prefix, after, signal, leftOut);
  }

  async delete(key: string, signal: AbortSignal): Promise<void> {
    checkReadKey(key);
    const found = await resolveInside(await this.#root(), key);
    if (found !== undefined && found.target !== key) throw notThroughLinks(key);
    await this.#remove(key, signal);
  }

  async #remove(key: string, signal: AbortSignal): Promise<void> {
    throwIfAborted(signal);
    const root = await this.#root();
    if (!(await staysInside(root, key))) return;
    const path = join(root, key);
    if ((await statFile(path, key)) === undefined) return;
    try {
      await unlink(path);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw toDirectoryFailure(error);
    }
    await removeEmptyFolders(root, key);
  }

  async *listUnfinished(prefix: string, signal: AbortSignal): AsyncGenerator<Unfinished, void, undefined> {
    yield* listTemporaryFiles(await this.#root(), '', prefix, signal);
  }

  async removeUnfinished({ key }: Unfinished, signal: AbortSignal): Promise<void> {
    checkTemporaryKey(key);
    await this.#remove(key, signal);
  }

  async close(): Promise<void> {
    // Nothing is held open between operations.
  }

  /** The root as it really is called, after symbolic links above it. */
  async #root(): Promise<string> {
    try {
      const real = await realpath(this.#path);
      if ((await stat(real)).isDirectory()) return real;
    } catch (error) {
      if (!nothingThere.has(errorCode(error))) throw toDirectoryFailure(error);
      throw new Failure('StorageMissing', `${this.#path} does not exist`, { cause: error });
    }
    throw new Failure('StorageMissing', `${this.#path} is not a folder`);
  }

  /**
   * The temporary file lies in the folder of its target: the rename stays in one file system, and as long as it is there a
   * concurrent delete cannot remove the folder. Before that it can: then the folders are made again.
   */
  async #openTemporary(key: string): Promise<{ root: string; file: FileHandle; path: string }> {
    for (let tries = 1; ; tries += 1) {
      const root = await this.#root();
      await makeFolders(root, key);
      if (!(await staysInside(root, key))) throw notThroughLinks(key);
      const path = join(root, dirname(key), makeTemporaryName(this.#tools.random));
      try {
        return { root, file: await open(path, 'wx', fileMode), path };
      } catch (error) {
        if (errorCode(error) !== 'ENOENT' || tries >= 20) throw toDirectoryFailure(error);
      }
    }
  }

  async #publish(temporary: string, target: string, options: PutOptions): Promise<void> {
    if (options.onlyIfAbsent !== true) return await asked(rename(temporary, target));
    if (this.#links) {
      try {
        await link(temporary, target);
        return await asked(unlink(temporary));
      } catch (error) {
        if (errorCode(error) === 'EEXIST') throw alreadyStored(target, error);
        if (!cannotLink.has(errorCode(error))) throw toDirectoryFailure(error);
        this.#links = false;
      }
    }
    if ((await statFile(target, target)) !== undefined) throw alreadyStored(target);
    await asked(rename(temporary, target));
  }
}

function alreadyStored(target: string, cause?: unknown): Failure {
  return new Failure('AlreadyStored', `${target} exists already`, { cause });
}
