import { Failure } from '../api/failure.ts';
import { throwIfAborted, untilAborted, withinTime } from './abortable.ts';
import { attempt } from './attempt.ts';
import { type HostKeyPins, parseHostKeys } from './host-keys.ts';
import { notThroughLinks } from './inner-links.ts';
import { checkReadKey, checkTemporaryKey, checkWrittenKey, isTemporaryName, makeTemporaryName } from './keys.ts';
import type { StorageTools } from './place.ts';
import type { SftpAbility } from './sftp-abilities.ts';
import { type Connected, connectPinned } from './sftp-connect.ts';
import { createFile, missingRoot, removeEmptyFolders, removeFile, syncFolder } from './sftp-folders.ts';
import { readFile } from './sftp-get.ts';
import { readPrivateKey } from './sftp-key.ts';
import { listFrom } from './sftp-list.ts';
import { findAtKey, type FoundAtKey, resolveLinks } from './sftp-links.ts';
import { findObstacle, lookAt, modifiedAtMs, sizeAt, type SftpKind } from './sftp-look.ts';
import type { SftpOptions } from './sftp-options.ts';
import { publishFile, settleAside } from './sftp-publish.ts';
import type { SftpSession } from './sftp-session.ts';
import { explainFull } from './sftp-space.ts';
import { writeTemporary } from './sftp-write.ts';
import type { Bytes, LeftOut, ObjectStat, PutOptions, Range, Storage, StoredObject, Unfinished } from './storage.ts';

const tidyMs = 20_000;

/**
 * A folder on an SFTP server. It must exist. One connection, made when it is first needed and again after it was lost; what was going on
 * when it was lost fails with StorageUnreachable. Symbolic links below the root are followed by who reads, as long as they stay inside;
 * nothing is written or deleted through one.
 * Throws `SecretInvalid` when the private key cannot be read.
 */
export function openSftp(options: SftpOptions, tools: StorageTools): Storage {
  return new SftpStorage(options, tools);
}

class SftpStorage implements Storage {
  readonly name: string;
  readonly #options: SftpOptions;
  readonly #tools: StorageTools;
  readonly #pins: HostKeyPins;
  /** What the server refused, over all connections. */
  readonly #refused = new Set<SftpAbility>();
  #connecting: Promise<Connected> | undefined;
  #session: SftpSession | undefined;
  #cancel = new AbortController();

  constructor(options: SftpOptions, tools: StorageTools) {
    const { privateKey, passphrase, ...others } = options;
    const secret = passphrase === undefined ? {} : { passphrase };
    this.#options = privateKey === undefined ? options : { ...others, ...readPrivateKey({ privateKey, ...secret }) };
    this.#tools = tools;
    this.#pins = parseHostKeys(options.hostKeys);
    this.name = `sftp://${options.host}:${options.port ?? 22}/${options.path.replace(/^\//, '')}`;
  }

  /** True where the server links files (OpenSSH does); known once connected, false before, and when it has refused a link. */
  get conditionalPut(): boolean {
    return this.#session?.abilities.has('hardlink') ?? false;
  }

  async put(key: string, body: Bytes, options: PutOptions, signal: AbortSignal): Promise<StoredObject> {
    checkWrittenKey(key);
    const { session, root } = await this.#connected(signal);
    const target = `${root}/${key}`;
    const folder = target.slice(0, target.lastIndexOf('/'));
    const temporary = `${folder}/${makeTemporaryName(this.#tools.random)}`;
    const aside = `${folder}/${makeTemporaryName(this.#tools.random)}`;
    const obstacle = await findObstacle(session, root, key, signal);
    if (obstacle !== undefined) throw describeObstacle(obstacle);
    try {
      const handle = await createFile(session, root, temporary, signal);
      const bytes = await writeTemporary(session, temporary, handle, body, options, signal);
      await publishFile(session, temporary, target, aside, options);
      return { bytes };
    } catch (error) {
      const failure = await explainFull(session, [folder, root], error);
      await this.#tidy({ temporary, target, aside });
      throw failure;
    }
  }

  async *get(key: string, range: Range | undefined, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    checkReadKey(key);
    const { session, root } = await this.#connected(signal);
    const { kind, target } = await this.#find(session, root, key, signal);
    if (kind !== 'file') throw new Failure('ObjectMissing', `${key} is not in ${this.name}`);
    yield* readFile(session, `${root}/${target}`, range, signal);
  }

  async stat(key: string, signal: AbortSignal): Promise<ObjectStat | undefined> {
    checkReadKey(key);
    const { session, root } = await this.#connected(signal);
    const { kind, attributes, target } = await this.#find(session, root, key, signal);
    if (kind !== 'file' || attributes === undefined) return undefined;
    const bytes = await sizeAt(session, `${root}/${target}`, attributes, 0, signal);
    return { key, bytes, modifiedAtMs: modifiedAtMs(attributes), ...(target === key ? {} : { target }) };
  }

  async *list(
    prefix: string,
    after: string | undefined,
    signal: AbortSignal,
    leftOut?: LeftOut,
  ): AsyncGenerator<ObjectStat, void, undefined> {
    const { session, root } = await this.#connected(signal);
    yield* listFrom({ session, root, prefix, after, leftOut, signal });
  }

  async delete(key: string, signal: AbortSignal): Promise<void> {
    checkReadKey(key);
    await this.#remove(key, signal);
  }

  async #remove(key: string, signal: AbortSignal): Promise<void> {
    const { session, root } = await this.#connected(signal);
    const path = `${root}/${key}`;
    const { kind } = await findAtKey(session, root, key, signal);
    if (kind === 'link') throw notThroughLinks(key);
    if (kind === undefined && (await lookAt(session, root, signal)) === undefined) throw missingRoot(root);
    if (kind !== 'file') return;
    await removeFile(session, path, signal);
    await syncFolder(session, await removeEmptyFolders(session, root, path, signal), signal);
  }

  async *listUnfinished(prefix: string, signal: AbortSignal): AsyncGenerator<Unfinished, void, undefined> {
    const { session, root } = await this.#connected(signal);
    const all = listFrom({ session, root, prefix, after: undefined, isWanted: isTemporaryName, signal });
    for await (const { key, bytes, modifiedAtMs: sinceMs } of all) yield { key, bytes, sinceMs };
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

  /** What a key names, behind links that stay inside. Nothing at a path is no answer before it is sure that the root is there. */
  async #find(
    session: SftpSession,
    root: string,
    key: string,
    signal: AbortSignal,
  ): Promise<FoundAtKey & { readonly target: string }> {
    const found = await findAtKey(session, root, key, signal);
    if (found.kind === 'link') {
      const target = await resolveLinks(session, root, key, signal);
      if (target !== undefined && target !== '') return { ...(await findAtKey(session, root, target, signal)), target };
      return { kind: undefined, target: key };
    }
    if (found.kind === undefined && (await lookAt(session, root, signal)) === undefined) throw missingRoot(root);
    return { ...found, target: key };
  }

  /** After a put that failed: over a new connection if the old one is lost, and whatever became of the caller's signal. */
  async #tidy(names: { readonly temporary: string; readonly target: string; readonly aside: string }): Promise<void> {
    try {
      await withinTime(this.#tools.clock, tidyMs, async (signal) => {
        const remove = async (): Promise<void> => {
          const { session, root } = await this.#connected(signal);
          await removeFile(session, names.temporary, signal);
          await settleAside(session, names.target, names.aside, signal);
          await removeEmptyFolders(session, root, names.temporary, signal);
        };
        // A request may fail before the connection is known to be lost: then the first try is made over what is dying.
        await attempt(remove, { attempts: 3, firstDelayMs: 200, longestDelayMs: 1_000, ...this.#tools }, signal);
      });
    } catch {
      // The failure that brought us here is the one to tell; the file stays under a name that is never listed.
    }
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
    const connecting = connectPinned(this.#options, this.#pins, this.#refused, this.#tools, this.#cancel.signal);
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

function describeObstacle({ path, kind }: { readonly path: string; readonly kind: SftpKind }): Failure {
  if (kind === 'link') return notThroughLinks(path);
  return new Failure('StorageConfigInvalid', `${path} is a file, so that nothing can be stored below it`, {
    hint: 'remove or rename it, or give the location a folder of its own',
  });
}
