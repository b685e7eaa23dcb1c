import { Failure, toFailure } from '../api/failure.ts';
import { throwIfAborted } from './abortable.ts';
import { behindAnother, LinkedEntries, mayBeLeftOut } from './inner-links.ts';
import { compareKeys, folderOfPrefix, isListed, isTemporaryName, mayHold } from './keys.ts';
import { sftpStatus, sftpStatusOf } from './sftp-errors.ts';
import { missingRoot } from './sftp-folders.ts';
import { findAtKey, resolveLinks } from './sftp-links.ts';
import { findObstacle, kindAt, kindOfMode, lookAt, modifiedAtMs, sizeAt, type SftpKind } from './sftp-look.ts';
import type { SftpSession } from './sftp-session.ts';
import type { SftpEntry } from './sftp-channel.ts';
import type { LeftOut, ObjectStat } from './storage.ts';

/** Of one folder; they are kept until they are sorted. */
const mostEntries = 250_000;
/** Pages that bring nothing new, in a row. */
const mostIdlePages = 100;

export interface SftpListing {
  readonly session: SftpSession;
  readonly root: string;
  readonly prefix: string;
  readonly after: string | undefined;
  readonly leftOut?: LeftOut | undefined;
  /** Files by their names; those of objects, if nothing is said. */
  readonly isWanted?: (name: string) => boolean;
  readonly signal: AbortSignal;
}

interface Listing extends SftpListing {
  readonly linked: LinkedEntries;
}

interface Entry {
  /** With a slash at the end for a folder, so that sorting entries sorts all keys below them. */
  readonly key: string;
  readonly isFolder: boolean;
  readonly bytes: number;
  readonly modifiedAtMs: number;
  /** The key of what a link shows; of a folder with a slash at its end. */
  readonly target?: string;
}

interface Folder {
  /** With a slash at its end, '' for the root. */
  readonly key: string;
  /** The key under which it is read, after all links; as `key`. */
  readonly at: string;
  /** It is, or lies behind, a link that was met on the way down. */
  readonly isLinked: boolean;
}

/** All files whose keys start with the prefix, from its folder downwards: what lies beside that folder is not looked at. */
export async function* listFrom(listing: SftpListing): AsyncGenerator<ObjectStat, void, undefined> {
  const key = folderOfPrefix(listing.prefix);
  if (key === undefined) return;
  const at = await findFolder(listing, key);
  if (at !== undefined) yield* listFolder({ ...listing, linked: new LinkedEntries() }, { key, at, isLinked: false });
}

async function findFolder({ session, root, leftOut, signal }: SftpListing, key: string): Promise<string | undefined> {
  const obstacle = await findObstacle(session, root, key, signal);
  if (obstacle === undefined) return key;
  if (obstacle.kind !== 'link' || leftOut === undefined) return undefined;
  const target = await resolveLinks(session, root, key.slice(0, -1), signal);
  return target === undefined || target === '' ? target : `${target}/`;
}

async function* listFolder(listing: Listing, folder: Folder): AsyncGenerator<ObjectStat, void, undefined> {
  const { prefix, after, linked, signal } = listing;
  throwIfAborted(signal);
  for (const { key, isFolder, target, bytes, modifiedAtMs } of await readFolder(listing, folder)) {
    if (folder.isLinked) linked.add();
    const at = target ?? `${folder.at}${key.slice(folder.key.length)}`;
    if (isFolder) yield* listFolder(listing, { key, at, isLinked: folder.isLinked || target !== undefined });
    else if (isListed(key, prefix, after)) yield { key, bytes, modifiedAtMs, ...(at === key ? {} : { target: at }) };
  }
}

async function readFolder(listing: Listing, folder: Folder): Promise<readonly Entry[]> {
  const { session, root, prefix, leftOut, signal } = listing;
  const path = folder.at === '' ? root : `${root}/${folder.at.slice(0, -1)}`;
  try {
    return await readEntries(listing, path, folder);
  } catch (error) {
    const status = sftpStatusOf(error);
    const isDenied = status === sftpStatus.permissionDenied && error instanceof Failure;
    if (isDenied && folder.key !== folderOfPrefix(prefix) && leftOut !== undefined) {
      leftOut(folder.key, error);
      return [];
    }
    if (status === 0) throw error;
    const found = await lookAt(session, path, signal);
    if (found !== undefined && (await kindAt(session, path, found, signal)) === 'folder') throw error;
    if ((await lookAt(session, root, signal)) === undefined) throw missingRoot(root);
    // A concurrent delete emptied it, or it never was.
    return [];
  }
}

async function readEntries(listing: Listing, path: string, folder: Folder): Promise<readonly Entry[]> {
  const { session, prefix, after, leftOut, isWanted = (name) => !isTemporaryName(name), signal } = listing;
  const entries: Entry[] = [];
  for await (const entry of readNames(session, path, signal)) {
    const key = `${folder.key}${entry.filename}`;
    if (!mayHold(`${key}/`, prefix, after) && !isListed(key, prefix, after)) continue;
    try {
      const described = await describe(session, `${path}/${entry.filename}`, key, entry, signal);
      const inner = `${folder.at}${entry.filename}`;
      const shown = described === 'link' ? await followLink(listing, folder, key, inner) : described;
      if (shown === undefined) continue;
      if (shown.isFolder ? mayHold(shown.key, prefix, after) : isWanted(entry.filename)) entries.push(shown);
    } catch (error) {
      const failure = toFailure(error);
      if (leftOut === undefined || !mayBeLeftOut.has(failure.reason)) throw error;
      leftOut(key, failure);
    }
  }
  return entries.sort((a, b) => compareKeys(a.key, b.key));
}

/** What a link shows: a file or a folder inside the root, or nothing. A link to a folder that it lies in shows nothing new. */
async function followLink(
  { session, root, leftOut, signal }: Listing,
  folder: Folder,
  key: string,
  inner: string,
): Promise<Entry | undefined> {
  if (leftOut === undefined) return undefined;
  const target = await resolveLinks(session, root, inner, signal);
  if (target === undefined || folder.at.startsWith(target === '' ? '' : `${target}/`)) return undefined;
  const { kind, attributes } = await findAtKey(session, root, target, signal);
  if (kind === 'folder') {
    if (folder.isLinked) throw behindAnother(key);
    return { key: `${key}/`, isFolder: true, bytes: 0, modifiedAtMs: 0, target: `${target}/` };
  }
  if (kind !== 'file' || attributes === undefined) return undefined;
  const bytes = await sizeAt(session, `${root}/${target}`, attributes, 0, signal);
  return { key, isFolder: false, bytes, modifiedAtMs: modifiedAtMs(attributes), target };
}

/** Each name once. A listing that does not end, or goes round, is a failure. */
async function* readNames(
  session: SftpSession,
  path: string,
  signal: AbortSignal,
): AsyncGenerator<SftpEntry, void, undefined> {
  const seen = new Set<string>();
  const handle = await session.ask<Buffer>(`list ${path}`, (channel, done) => channel.opendir(path, done), signal);
  try {
    for (let idle = 0; idle < mostIdlePages;) {
      const page = await nextPage(session, path, handle, signal);
      if (page === undefined) return;
      const before = seen.size;
      for (const entry of page) {
        const { filename } = entry;
        if (seen.has(filename)) continue;
        if (filename === '' || /[/\0]/.test(filename))
          throw new Failure('StorageFailed', `${path} is said to hold ${JSON.stringify(filename.slice(0, 200))}`);
        seen.add(filename);
        if (seen.size > mostEntries)
          throw new Failure('StorageConfigInvalid', `${path} holds more than ${mostEntries} files and folders`, {
            hint: 'give the location a folder of its own',
          });
        if (filename !== '.' && filename !== '..') yield entry;
      }
      idle = seen.size > before ? 0 : idle + 1;
    }
    throw new Failure('StorageFailed', `the listing of ${path} does not end`);
  } finally {
    await session
      .ask<void>(`close ${path}`, (channel, done) => channel.close(handle, done))
      // A handle that cannot be closed ends with its connection.
      .catch(() => undefined);
  }
}

async function nextPage(
  session: SftpSession,
  path: string,
  handle: Buffer,
  signal: AbortSignal,
): Promise<readonly SftpEntry[] | undefined> {
  try {
    return await session.ask<readonly SftpEntry[]>(
      `list ${path}`,
      (channel, done) => channel.readdir(handle, done),
      signal,
    );
  } catch (error) {
    if (sftpStatusOf(error) === sftpStatus.endOfFile) return undefined;
    throw error;
  }
}

/** Undefined for what is neither file, folder nor link, or gone. */
async function describe(
  session: SftpSession,
  path: string,
  key: string,
  { longname, attrs }: SftpEntry,
  signal: AbortSignal,
): Promise<Entry | 'link' | undefined> {
  const told = kindOfMode(attrs.mode) ?? kindOfLine(longname);
  // Some servers leave attributes out of listings.
  const found = told !== undefined && attrs.size !== undefined ? attrs : await lookAt(session, path, signal);
  if (found === undefined) return undefined;
  const kind = told ?? (await kindAt(session, path, found, signal));
  if (kind === 'folder') return { key: `${key}/`, isFolder: true, bytes: 0, modifiedAtMs: 0 };
  if (kind === 'link') return 'link';
  if (kind !== 'file') return undefined;
  const bytes = await sizeAt(session, path, found, 0, signal);
  return { key, isFolder: false, bytes, modifiedAtMs: modifiedAtMs(found) };
}

/** From a line as `ls -l` prints it: `drwxr-x---   3 user …`. */
function kindOfLine(line: string): SftpKind | undefined {
  const type = /^([-dlbcps])[-r][-w][-xsS][-r][-w][-xsS][-r][-w][-xtT]/.exec(line)?.[1];
  if (type === '-') return 'file';
  if (type === 'd') return 'folder';
  if (type === 'l') return 'link';
  return type === undefined ? undefined : 'other';
}
