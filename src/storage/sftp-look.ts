import { Failure } from '../api/failure.ts';
import { sftpStatus, sftpStatusOf } from './sftp-errors.ts';
import { type SftpSession, sftpOpen } from './sftp-session.ts';
import type { SftpAttributes } from './sftp-channel.ts';

export type SftpKind = 'file' | 'folder' | 'link' | 'other';

const kinds: Readonly<Record<number, SftpKind>> = { 0o100000: 'file', 0o040000: 'folder', 0o120000: 'link' };

/** From the type bits of a mode, as POSIX has them; undefined where a server leaves them out. */
export function kindOfMode(mode: number | undefined): SftpKind | undefined {
  const type = (mode ?? 0) & 0o170000;
  return type === 0 ? undefined : (kinds[type] ?? 'other');
}

/** Attributes without following a link (where the server can tell), or undefined when nothing is there. */
export async function lookAt(
  session: SftpSession,
  path: string,
  signal?: AbortSignal,
): Promise<SftpAttributes | undefined> {
  const { abilities } = session;
  if (!abilities.has('lstat')) return await ask(session, 'stat', path, signal);
  try {
    const found = await ask(session, 'lstat', path, signal);
    abilities.prove('lstat');
    return found;
  } catch (error) {
    if (abilities.isProven('lstat') || !isRefusal(error)) throw error;
    // Not every server says that it does not know a request: one that it does know tells.
    const found = await ask(session, 'stat', path, signal).catch(() => Promise.reject(error));
    abilities.refuse('lstat');
    return found;
  }
}

async function ask(
  session: SftpSession,
  how: 'lstat' | 'stat',
  path: string,
  signal: AbortSignal | undefined,
): Promise<SftpAttributes | undefined> {
  try {
    return await session.ask<SftpAttributes>(`look at ${path}`, (channel, done) => channel[how](path, done), signal);
  } catch (error) {
    if (sftpStatusOf(error) === sftpStatus.noSuchFile) return undefined;
    throw error;
  }
}

function isRefusal(error: unknown): boolean {
  const status = sftpStatusOf(error);
  return [sftpStatus.permissionDenied, sftpStatus.failure, sftpStatus.unsupported].some((one) => one === status);
}

/** What is at a path that exists: by the type bits of its mode, else by what the server lets be done with it. */
export async function kindAt(
  session: SftpSession,
  path: string,
  { mode }: Pick<SftpAttributes, 'mode'>,
  signal?: AbortSignal,
): Promise<SftpKind> {
  const told = kindOfMode(mode);
  // Where links are followed when they are looked at, the mode is of what they point at.
  if (session.abilities.has('lstat') && told !== undefined) return told;
  if (await answers(session.ask<string>(`read link ${path}`, (channel, done) => channel.readlink(path, done), signal)))
    return 'link';
  if (told !== undefined) return told;
  return (await isFolder(session, path, signal)) ? 'folder' : 'file';
}

/** Whether it opens as one; also if it is closed to us. */
export async function isFolder(session: SftpSession, path: string, signal?: AbortSignal): Promise<boolean> {
  try {
    const handle = await session.ask<Buffer>(`open ${path}`, (channel, done) => channel.opendir(path, done), signal);
    await session.ask<void>(`close ${path}`, (channel, done) => channel.close(handle, done), signal);
    return true;
  } catch (error) {
    const status = sftpStatusOf(error);
    if (status === 0) throw error;
    // A file is no folder, whoever asks; a folder may be closed to us.
    return status === sftpStatus.permissionDenied;
  }
}

/** Whether the server does it; a refusal is an answer, too. */
async function answers(asked: Promise<unknown>): Promise<boolean> {
  try {
    await asked;
    return true;
  } catch (error) {
    if (sftpStatusOf(error) === 0) throw error;
    return false;
  }
}

/**
 * The first on the way from the root to the key's folder that is no folder: a symbolic link, which is not followed, or a file. Undefined
 * where the way is free or does not exist (yet). Each is looked at, all at once: REALPATH of some servers only tidies the path.
 */
export async function findObstacle(
  session: SftpSession,
  root: string,
  key: string,
  signal?: AbortSignal,
): Promise<{ readonly path: string; readonly kind: SftpKind } | undefined> {
  const segments = key.split('/').slice(0, -1);
  const looks = segments.map(async (_, index) => {
    const path = `${root}/${segments.slice(0, index + 1).join('/')}`;
    const found = await lookAt(session, path, signal);
    return { path, kind: found === undefined ? 'folder' : await kindAt(session, path, found, signal) } as const;
  });
  // Below a file some servers answer with a failure: the file comes first.
  for (const look of await Promise.allSettled(looks)) {
    if (look.status === 'rejected') throw look.reason;
    if (look.value.kind !== 'folder') return look.value;
  }
  return undefined;
}

/** The size of a file; where the server does not tell it, it is found by reading. `guess` is tried first. */
export async function sizeAt(
  session: SftpSession,
  path: string,
  { size }: Pick<SftpAttributes, 'size'>,
  guess: number,
  signal?: AbortSignal,
): Promise<number> {
  if (size !== undefined) return size;
  return await withFile(session, path, (handle) => measure(session, path, handle, guess, signal), signal);
}

/** Opens a file for reading, and closes it whatever happens. */
export async function withFile<T>(
  session: SftpSession,
  path: string,
  work: (handle: Buffer) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const handle = await session.ask<Buffer>(
    `open ${path}`,
    (channel, done) => channel.open(path, sftpOpen.read, { mode: 0 }, done),
    signal,
  );
  try {
    return await work(handle);
  } finally {
    await session
      .ask<void>(`close ${path}`, (channel, done) => channel.close(handle, done))
      // A handle that cannot be closed ends with its connection.
      .catch(() => undefined);
  }
}

/** The length of an open file by single bytes of it: some sixty requests at most, two when the guess is right. */
export async function measure(
  session: SftpSession,
  path: string,
  handle: Buffer,
  guess: number,
  signal?: AbortSignal,
): Promise<number> {
  const byte = Buffer.alloc(1);
  const isThere = async (at: number): Promise<boolean> =>
    (await session.ask<number>(`read ${path}`, (channel, done) => channel.read(handle, byte, 0, 1, at, done), signal)) >
    0;
  if ((guess === 0 || (await isThere(guess - 1))) && !(await isThere(guess))) return guess;
  let there = 0;
  let notThere = 1;
  while (await isThere(notThere - 1)) {
    there = notThere;
    notThere *= 2;
    if (notThere > Number.MAX_SAFE_INTEGER) throw new Failure('StorageFailed', `${path} has no end`);
  }
  while (there < notThere - 1) {
    const middle = Math.floor((there + notThere) / 2);
    if (await isThere(middle - 1)) there = middle;
    else notThere = middle;
  }
  return there;
}

/** 0 where the server does not tell: two looks at one file must see the same. */
export function modifiedAtMs({ mtime = 0 }: Pick<SftpAttributes, 'mtime'>): number {
  return mtime * 1000;
}
