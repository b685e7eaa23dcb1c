import { dirname } from 'node:path/posix';
import { Failure, toFailure } from '../api/failure.ts';
import { throwIfAborted } from './abortable.ts';
import { gatherParts } from './gather-parts.ts';
import { RequestWindow } from './request-window.ts';
import { sftpStatus, sftpStatusOf } from './sftp-errors.ts';
import { type SftpAttributes, type SftpSession, sftpOpen } from './sftp-session.ts';
import type { Bytes, PutOptions } from './storage.ts';

/** What every server takes: a request and its header fit one SSH packet of 32 KiB. */
const leastRequestBytes = 28 * 1024;
/** What OpenSSH takes. Each request is answered, and answers cost more than bytes do. */
const mostRequestBytes = 255 * 1024;
/** Unanswered; enough for 40 MB/s over a round trip of 50 ms. */
const bytesInFlight = 2 << 20;
/** Made durable as it goes, while others work: at the end little is left to wait for. */
const syncEveryBytes = 32 << 20;
const fileMode = 0o640;
const folderMode = 0o750;

/** Writes a new file and makes it durable; resolves with the size that the server tells. Leaves the handle closed, also on failure. */
export async function writeTemporary(
  session: SftpSession,
  path: string,
  handle: Buffer,
  body: Bytes,
  signal: AbortSignal,
): Promise<number> {
  try {
    const sent = await writeBody(session, path, handle, body, signal);
    if (session.extensions.fsync) await syncHandle(session, path, handle, signal);
    const held = await session.ask<SftpAttributes>(
      `look at ${path}`,
      (channel, done) => channel.fstat(handle, done),
      signal,
    );
    if (held.size !== sent)
      throw new Failure('StoredBytesDiffer', `${path}: ${sent} bytes sent, ${held.size} bytes held`);
    await closeHandle(session, path, handle);
    throwIfAborted(signal);
    return held.size;
  } catch (error) {
    await closeHandle(session, path, handle).catch(() => undefined);
    throw error;
  }
}

function syncHandle(session: SftpSession, path: string, handle: Buffer, signal: AbortSignal): Promise<void> {
  return session.ask<void>(`sync ${path}`, (channel, done) => channel.ext_openssh_fsync(handle, done), signal);
}

function closeHandle(session: SftpSession, path: string, handle: Buffer): Promise<void> {
  return session.ask<void>(`close ${path}`, (channel, done) => channel.close(handle, done));
}

async function writeBody(
  session: SftpSession,
  path: string,
  handle: Buffer,
  body: Bytes,
  signal: AbortSignal,
): Promise<number> {
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const { writeBytes = leastRequestBytes } = session.extensions;
  const requestBytes = Math.max(leastRequestBytes, Math.min(writeBytes, mostRequestBytes));
  const window = new RequestWindow(Math.floor(bytesInFlight / requestBytes), (error) => stop.abort(toFailure(error)));
  // One buffer is enough: a request copies its bytes when it is made.
  const buffer = Buffer.allocUnsafeSlow(requestBytes);
  let position = 0;
  let synced = 0;
  for await (const { bytes } of gatherParts(body, requestBytes, () => buffer, either)) {
    if (bytes.length === 0) continue;
    const at = position;
    await window.enter();
    throwIfAborted(either);
    window.watch(
      session.ask<void>(
        `write ${path}`,
        (channel, done) => channel.write(handle, bytes, 0, bytes.length, at, done),
        either,
      ),
    );
    position += bytes.length;
    if (!session.extensions.fsync || position - synced < syncEveryBytes) continue;
    synced = position;
    await window.enter();
    window.watch(syncHandle(session, path, handle, either));
  }
  await window.empty();
  throwIfAborted(either);
  return position;
}

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
      if (sftpStatusOf(error) !== sftpStatus.noSuchFile || tries >= 20) throw error;
    }
    await makeFolders(session, root, dirname(path), signal);
  }
}

async function makeFolders(session: SftpSession, root: string, folder: string, signal: AbortSignal): Promise<void> {
  if (folder === root) {
    if ((await lookAt(session, root, signal)) === undefined)
      throw new Failure('StorageMissing', `${root} does not exist any more`);
    return;
  }
  if ((await lookAt(session, folder, signal)) !== undefined) return;
  await makeFolders(session, root, dirname(folder), signal);
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
}

/** Attributes without following a link, or undefined when nothing is there. */
export async function lookAt(
  session: SftpSession,
  path: string,
  signal?: AbortSignal,
): Promise<SftpAttributes | undefined> {
  try {
    return await session.ask<SftpAttributes>(`look at ${path}`, (channel, done) => channel.lstat(path, done), signal);
  } catch (error) {
    if (sftpStatusOf(error) === sftpStatus.noSuchFile) return undefined;
    throw error;
  }
}

/** Makes the finished file visible. Takes no signal: a rename cannot be taken back half-way. */
export async function publishFile(
  session: SftpSession,
  temporary: string,
  target: string,
  aside: string,
  options: PutOptions,
): Promise<void> {
  if (options.onlyIfAbsent === true) return await publishIfAbsent(session, temporary, target);
  if (session.extensions.rename) {
    return await session.ask<void>(`rename to ${target}`, (channel, done) =>
      channel.ext_openssh_rename(temporary, target, done),
    );
  }
  try {
    await rename(session, temporary, target);
  } catch (error) {
    // Version 3 of the protocol does not replace. The older object steps aside and comes back if the new one cannot take its place.
    if ((await lookAt(session, target)) === undefined) throw error;
    await rename(session, target, aside);
    try {
      await rename(session, temporary, target);
    } catch (second) {
      await rename(session, aside, target);
      throw second;
    }
    await removeFile(session, aside);
  }
}

async function publishIfAbsent(session: SftpSession, temporary: string, target: string): Promise<void> {
  if (session.extensions.hardlink) {
    try {
      await session.ask<void>(`link ${target}`, (channel, done) =>
        channel.ext_openssh_hardlink(temporary, target, done),
      );
      return await removeFile(session, temporary);
    } catch (error) {
      if (sftpStatusOf(error) === 0) throw error;
      await refuseExisting(session, target);
      // The file system of the server has no links.
    }
  }
  await refuseExisting(session, target);
  try {
    await rename(session, temporary, target);
  } catch (error) {
    await refuseExisting(session, target);
    throw error;
  }
}

async function refuseExisting(session: SftpSession, target: string): Promise<void> {
  if ((await lookAt(session, target)) !== undefined) throw new Failure('AlreadyStored', `${target} exists already`);
}

function rename(session: SftpSession, from: string, to: string): Promise<void> {
  return session.ask<void>(`rename to ${to}`, (channel, done) => channel.rename(from, to, done));
}

/** Resolves when the file does not exist any more. */
export async function removeFile(session: SftpSession, path: string, signal?: AbortSignal): Promise<void> {
  try {
    await session.ask<void>(`delete ${path}`, (channel, done) => channel.unlink(path, done), signal);
  } catch (error) {
    if (sftpStatusOf(error) !== sftpStatus.noSuchFile) throw error;
  }
}

/** Removes the folders above a file, up to the root, as long as they are empty. */
export async function removeEmptyFolders(
  session: SftpSession,
  root: string,
  path: string,
  signal?: AbortSignal,
): Promise<void> {
  for (let folder = dirname(path); folder !== root && folder.startsWith(root); folder = dirname(folder)) {
    const at = folder;
    try {
      await session.ask<void>(`remove folder ${at}`, (channel, done) => channel.rmdir(at, done), signal);
    } catch (error) {
      // Not empty, or not ours to remove: an empty folder does no harm. One that is gone already has parents all the same.
      const status = sftpStatusOf(error);
      if (status === 0) throw error;
      if (status !== sftpStatus.noSuchFile) return;
    }
  }
}
