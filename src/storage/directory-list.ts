import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../api/failure.ts';
import { throwIfAborted } from './abortable.ts';
import { errorCode, toDirectoryFailure } from './directory-errors.ts';
import { type FolderEntry, nothingThere, readFolder, statFile, staysInside } from './directory-files.ts';
import { keyInside, resolveInside } from './directory-links.ts';
import { behindAnother, LinkedEntries, mayBeLeftOut } from './inner-links.ts';
import { compareKeys, folderOfPrefix, isListed, mayHold } from './keys.ts';
import type { LeftOut, ObjectStat } from './storage.ts';

interface Listing {
  readonly root: string;
  readonly prefix: string;
  readonly after: string | undefined;
  /** Who gives it can do without what may not be read, and has links followed. */
  readonly leftOut: LeftOut | undefined;
  readonly linked: LinkedEntries;
  readonly signal: AbortSignal;
}

interface Folder {
  /** With a slash at its end, '' for the root. */
  readonly key: string;
  /** Where it really is. */
  readonly path: string;
  /** It is, or lies behind, a link that was met on the way down. */
  readonly isLinked: boolean;
}

/** All files whose keys start with the prefix, from its folder downwards: what lies beside that folder is not looked at. */
export async function* listDirectory(
  root: string,
  prefix: string,
  after: string | undefined,
  signal: AbortSignal,
  leftOut?: LeftOut,
): AsyncGenerator<ObjectStat, void, undefined> {
  const key = folderOfPrefix(prefix);
  if (key === undefined) return;
  const listing = { root, prefix, after, leftOut, linked: new LinkedEntries(), signal };
  const path = await findFolder(listing, key);
  if (path !== undefined) yield* listFolder(listing, { key, path, isLinked: false });
}

async function findFolder({ root, leftOut }: Listing, key: string): Promise<string | undefined> {
  if (leftOut === undefined) return (await staysInside(root, `${key}.`)) ? join(root, key) : undefined;
  return key === '' ? root : (await resolveInside(root, key.slice(0, -1)))?.path;
}

async function* listFolder(listing: Listing, folder: Folder): AsyncGenerator<ObjectStat, void, undefined> {
  const { root, prefix, after, leftOut, linked, signal } = listing;
  throwIfAborted(signal);
  try {
    for (const { key, path, isFolder, isLink } of await readEntries(listing, folder)) {
      const isLinked = folder.isLinked || isLink;
      if (folder.isLinked) linked.add();
      if (isFolder) {
        if (mayHold(key, prefix, after)) yield* listFolder(listing, { key, path, isLinked });
      } else if (isListed(key, prefix, after)) {
        throwIfAborted(signal);
        const found = await statFile(path, key);
        const target = keyInside(root, path);
        if (found !== undefined) yield target === undefined || target === key ? found : { ...found, target };
      }
    }
  } catch (error) {
    const denied = error instanceof Failure && error.reason === 'StorageDenied';
    if (!denied || folder.key === folderOfPrefix(prefix) || leftOut === undefined) throw error;
    leftOut(folder.key, error);
  }
}

interface Entry {
  readonly key: string;
  readonly path: string;
  readonly isFolder: boolean;
  readonly isLink: boolean;
}

async function readEntries(listing: Listing, folder: Folder): Promise<readonly Entry[]> {
  const found = await readFolder(folder.path, folder.key);
  const entries: Entry[] = [];
  for (const entry of found) {
    const path = join(folder.path, entry.name);
    if (!entry.isLink) entries.push({ ...entry, path });
    else if (listing.leftOut !== undefined)
      entries.push(...(await followLink(listing, folder, entry, listing.leftOut)));
  }
  return entries.some(({ isLink }) => isLink) ? entries.sort((a, b) => compareKeys(a.key, b.key)) : entries;
}

/** What a link shows: a file or a folder inside the root, or nothing. A link to a folder that it lies in shows nothing new. */
async function followLink(
  { root, prefix, after }: Listing,
  folder: Folder,
  { key, name }: FolderEntry,
  leftOut: LeftOut,
): Promise<readonly Entry[]> {
  if (!mayHold(`${key}/`, prefix, after) && !isListed(key, prefix, after)) return [];
  try {
    const real = await resolveInside(root, key, join(folder.path, name));
    if (real === undefined) return [];
    const { path } = real;
    const what = await stat(path);
    if (what.isFile()) return [{ key, path, isFolder: false, isLink: true }];
    if (!what.isDirectory() || `${folder.path}/`.startsWith(path === '/' ? path : `${path}/`)) return [];
    if (folder.isLinked) throw behindAnother(key);
    return [{ key: `${key}/`, path, isFolder: true, isLink: true }];
  } catch (error) {
    if (nothingThere.has(errorCode(error))) return [];
    const failure = error instanceof Failure ? error : toDirectoryFailure(error);
    if (!mayBeLeftOut.has(failure.reason)) throw failure;
    leftOut(key, failure);
    return [];
  }
}
