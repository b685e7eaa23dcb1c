import { Failure } from '../api/failure.ts';
import { throwIfAborted, untilAborted, withinTime } from './abortable.ts';
import { attempt } from './attempt.ts';
import { type HostKeyPins, parseHostKeys } from './host-keys.ts';
import { checkReadKey, checkTemporaryKey, checkWrittenKey, makeTemporaryName } from './keys.ts';
import type { SftpPlace, StorageTools } from './place.ts';
import { checkPrivateKey, type Connected, connectPinned } from './sftp-connect.ts';
import { readFile } from './sftp-get.ts';
import { kindOf, listFolder, listTemporaryFiles } from './sftp-list.ts';
import { createFile, lookAt, publishFile, removeEmptyFolders, removeFile, writeTemporary } from './sftp-put.ts';
import type { SftpAttributes, SftpSession } from './sftp-session.ts';
import type { Bytes, ObjectStat, PutOptions, Range, Storage, StoredObject, Unfinished } from './storage.ts';

export interface SftpOptions extends SftpPlace {
  readonly username: string;
  readonly password?: string;
  readonly privateKey?: string;
  readonly passphrase?: string;
  /** From the first packet to being logged in; default 20 s. */
  readonly connectTimeoutMs?: number;
  /** How long a server that was asked something may say nothing; default five minutes (syncing a large file takes a while). */
  readonly silenceTimeoutMs?: number;
  /** How often an SSH keep-alive is sent; four unanswered ones end the connection. Default 15 s. */
  readonly keepAliveMs?: number;
}

const tidyMs = 20_000;

/**
 * A folder on an SFTP server. It must exist. One connection, made when it is first needed and again after it was lost; what was going on
 * when it was lost fails with StorageUnreachable. Throws `SecretInvalid` when the private key cannot be read.
 */
export function openSftp(options: SftpOptions, tools: StorageTools): Storage {
  return new SftpStorage(options, tools);
}

class SftpStorage implements Storage {
  readonly name: string;
  readonly #options: SftpOptions;
  readonly #tools: StorageTools;
  readonly #pins: HostKeyPins;
  #connecting: Promise<Connected> | undefined;
  #session: SftpSession | undefined;
  #cancel = new AbortController();

  constructor(options: SftpOptions, tools: StorageTools) {
    this.#options = options;
    this.#tools = tools;
    this.#pins = parseHostKeys(options.hostKeys);
    checkPrivateKey(options);
    this.name = `sftp://${options.host}:${options.port ?? 22}/${options.path.replace(/^\//, '')}`;
  }

  /** True where the server links files (OpenSSH does); known once connected, false before. */
  get conditionalPut(): boolean {
    return this.#session?.extensions.hardlink ?? false;
  }

  async put(key: string, body: Bytes, options: PutOptions, signal: AbortSignal): Promise<StoredObject> {
    checkWrittenKey(key);
    const { session, root } = await this.#connected(signal);
    const target = `${root}/${key}`;
    const folder = target.slice(0, target.lastIndexOf('/'));
    const temporary = `${folder}/${makeTemporaryName(this.#tools.random)}`;
    const aside = `${folder}/${makeTemporaryName(this.#tools.random)}`;
    try {
      const handle = await createFile(session, root, temporary, signal);
      const bytes = await writeTemporary(session, temporary, handle, body, signal);
      await publishFile(session, temporary, target, aside, options);
      return { bytes };
    } catch (error) {
      throw await this.#removeTemporary(temporary, error);
    }
  }

  async *get(key: string, range: Range | undefined, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    checkReadKey(key);
    const { session, root } = await this.#connected(signal);
    const path = `${root}/${key}`;
    if (kindOf((await this.#look(session, root, path, signal))?.mode) !== 'file')
      throw new Failure('ObjectMissing', `${key} is not in ${this.name}`);
    yield* readFile(session, path, range, signal);
  }

  async stat(key: string, signal: AbortSignal): Promise<ObjectStat | undefined> {
    checkReadKey(key);
    const { session, root } = await this.#connected(signal);
    const found = await this.#look(session, root, `${root}/${key}`, signal);
    if (found === undefined || kindOf(found.mode) !== 'file') return undefined;
    return { key, bytes: found.size, modifiedAtMs: found.mtime * 1000 };
  }

  async *list(
    prefix: string,
    after: string | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<ObjectStat, void, undefined> {
    const { session, root } = await this.#connected(signal);
    yield* listFolder(session, root, '', prefix, after, signal);
  }

  async delete(key: string, signal: AbortSignal): Promise<void> {
    checkReadKey(key);
    await this.#remove(key, signal);
  }

  async #remove(key: string, signal: AbortSignal): Promise<void> {
    const { session, root } = await this.#connected(signal);
    const path = `${root}/${key}`;
    const found = await this.#look(session, root, path, signal);
    if (found === undefined || kindOf(found.mode) === 'folder') return;
    await removeFile(session, path, signal);
    await removeEmptyFolders(session, root, path, signal);
  }

  async *listUnfinished(prefix: string, signal: AbortSignal): AsyncGenerator<Unfinished, void, undefined> {
    const { session, root } = await this.#connected(signal);
    yield* listTemporaryFiles(session, root, '', prefix, signal);
  }

  async removeUnfinished({ key }: Unfinished, signal: AbortSignal): Promise<void> {
    checkTemporaryKey(key);
    await this.#remove(key, signal);
  }

  async close(): Promise<void> {
    const connecting = this.#connecting;
    this.#connecting = undefined;
    this.#cancel.abort();
    try {
      (await connecting)?.session.lose(new Failure('Aborted', `the connection to ${this.name} was closed`));
    } catch {
      // It never came about.
    }
  }

  /** Nothing at a path is no answer before it is sure that the root is there. */
  async #look(
    session: SftpSession,
    root: string,
    path: string,
    signal: AbortSignal,
  ): Promise<SftpAttributes | undefined> {
    const found = await lookAt(session, path, signal);
    if (found === undefined && (await lookAt(session, root, signal)) === undefined)
      throw new Failure('StorageMissing', `${root} does not exist any more`);
    return found;
  }

  /** Over a new connection if the old one is lost, and whatever became of the caller's signal. Gives back the failure to throw. */
  async #removeTemporary(temporary: string, error: unknown): Promise<unknown> {
    try {
      await withinTime(this.#tools.clock, tidyMs, async (signal) => {
        const remove = async (): Promise<void> => {
          const { session, root } = await this.#connected(signal);
          await removeFile(session, temporary, signal);
          await removeEmptyFolders(session, root, temporary, signal);
        };
        // A request may fail before the connection is known to be lost: then the first try is made over what is dying.
        await attempt(remove, { attempts: 3, firstDelayMs: 200, longestDelayMs: 1_000, ...this.#tools }, signal);
      });
    } catch {
      // The failure that brought us here is the one to tell; the file stays under a name that is never listed.
    }
    return error;
  }

  async #connected(signal: AbortSignal): Promise<Connected> {
    for (;;) {
      throwIfAborted(signal);
      const connecting = this.#connecting ?? this.#connect();
      const connected = await untilAborted(connecting, signal);
      if (!connected.session.isLost) return connected;
      if (this.#connecting === connecting) this.#connecting = undefined;
    }
  }

  #connect(): Promise<Connected> {
    this.#cancel = new AbortController();
    const connecting = connectPinned(this.#options, this.#pins, this.#tools, this.#cancel.signal);
    this.#connecting = connecting;
    connecting.then(
      ({ session }) => {
        this.#session = session;
      },
      () => {
        if (this.#connecting === connecting) this.#connecting = undefined;
      },
    );
    return connecting;
  }
}
