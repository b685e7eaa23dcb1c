import { Failure } from '../api/failure.ts';
import { throwIfAborted } from './abortable.ts';
import { compareKeys, isListed, isTemporaryName, mayHold } from './keys.ts';
import { sftpStatus, sftpStatusOf } from './sftp-errors.ts';
import { lookAt } from './sftp-put.ts';
import type { SftpEntry, SftpSession } from './sftp-session.ts';
import type { ObjectStat, Unfinished } from './storage.ts';

interface Entry {
  /** With a slash at the end for a folder, so that sorting entries sorts all keys below them. */
  readonly key: string;
  readonly kind: 'file' | 'folder';
  readonly bytes: number;
  readonly modifiedAtMs: number;
}

/** All files below a folder; `folder` is its key with a slash at the end, '' for the root. Links are not followed. */
export async function* listFolder(
  session: SftpSession,
  root: string,
  folder: string,
  prefix: string,
  after: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<ObjectStat, void, undefined> {
  throwIfAborted(signal);
  for (const { key, kind, bytes, modifiedAtMs } of await readFolder(session, root, folder, signal)) {
    if (kind === 'folder') {
      if (mayHold(key, prefix, after)) yield* listFolder(session, root, key, prefix, after, signal);
    } else if (isListed(key, prefix, after)) {
      yield { key, bytes, modifiedAtMs };
    }
  }
}

/** Temporary files in a folder and below, as `listFolder` lists objects. */
export async function* listTemporaryFiles(
  session: SftpSession,
  root: string,
  folder: string,
  prefix: string,
  signal: AbortSignal,
): AsyncGenerator<Unfinished, void, undefined> {
  throwIfAborted(signal);
  for (const entry of await readFolder(session, root, folder, signal, isTemporaryName)) {
    const { key, bytes, modifiedAtMs } = entry;
    if (entry.kind === 'folder') {
      if (mayHold(key, prefix, undefined)) yield* listTemporaryFiles(session, root, key, prefix, signal);
    } else if (key.startsWith(prefix)) {
      yield { key, bytes, sinceMs: modifiedAtMs };
    }
  }
}

/** Folders, and files whose names are wanted: those of objects, if nothing is said. */
async function readFolder(
  session: SftpSession,
  root: string,
  folder: string,
  signal: AbortSignal,
  isWanted = (name: string): boolean => !isTemporaryName(name),
): Promise<readonly Entry[]> {
  const path = folder === '' ? root : `${root}/${folder.slice(0, -1)}`;
  let found: readonly SftpEntry[];
  try {
    found = await session.ask<readonly SftpEntry[]>(
      `list ${path}`,
      (channel, done) => channel.readdir(path, done),
      signal,
    );
  } catch (error) {
    if (sftpStatusOf(error) !== sftpStatus.noSuchFile) throw error;
    if (folder === '') throw new Failure('StorageMissing', `${path} does not exist any more`, { cause: error });
    // A concurrent delete emptied it.
    return [];
  }
  const entries: Entry[] = [];
  for (const entry of found) {
    const { filename } = entry;
    if (filename === '.' || filename === '..') continue;
    const described = await describeEntry(session, `${path}/${filename}`, folder, entry, signal);
    if (described === undefined) continue;
    if (described.kind === 'folder' || isWanted(filename)) entries.push(described);
  }
  return entries.sort((a, b) => compareKeys(a.key, b.key));
}

/** Undefined for what is neither file nor folder. */
async function describeEntry(
  session: SftpSession,
  path: string,
  folder: string,
  { filename, attrs }: SftpEntry,
  signal: AbortSignal,
): Promise<Entry | undefined> {
  // Some servers leave attributes out of listings.
  const complete = attrs.mode !== undefined && attrs.size !== undefined;
  const found = complete ? attrs : await lookAt(session, path, signal);
  if (found === undefined) return undefined;
  const kind = kindOf(found.mode);
  if (kind === 'other') return undefined;
  const slash = kind === 'folder' ? '/' : '';
  return { key: `${folder}${filename}${slash}`, kind, bytes: found.size, modifiedAtMs: found.mtime * 1000 };
}

/** From the type bits of a mode, as POSIX has them. */
export function kindOf(mode: number | undefined): 'file' | 'folder' | 'other' {
  const type = (mode ?? 0) & 0o170000;
  if (type === 0o100000) return 'file';
  return type === 0o040000 ? 'folder' : 'other';
}
