import { Failure, toFailure } from '../api/failure.ts';
import { throwIfAborted } from './abortable.ts';
import { BufferPool, gatherParts } from './gather-parts.ts';
import { RequestWindow } from './request-window.ts';
import { sftpStatusOf } from './sftp-errors.ts';
import { lookAt, sizeAt } from './sftp-look.ts';
import type { SftpSession } from './sftp-session.ts';
import type { Bytes, PutOptions } from './storage.ts';
import { tellSync } from './tell-sync.ts';

/** Unanswered; enough for 40 MB/s over a round trip of 50 ms. */
const bytesInFlight = 2 << 20;
/** Servers that take little at once are not flooded with requests either. */
const mostInFlight = 128;
/** Made durable as it goes, while others work: at the end little is left to wait for. */
const syncEveryBytes = 32 << 20;
/** Waits for the size of a closed file; object stores behind SFTP know it late. Ten seconds in all. */
const sizeWaitsMs = [0, 100, 200, 500, 1_000, 2_000, 3_000, 3_200];

/** Writes a new file and makes it durable; resolves with the size that the server tells. Leaves the handle closed, also on failure. */
export async function writeTemporary(
  session: SftpSession,
  path: string,
  handle: Buffer,
  body: Bytes,
  options: PutOptions,
  signal: AbortSignal,
): Promise<number> {
  let sent: number;
  let syncs: boolean;
  try {
    syncs = await trySync(session, path, handle, signal);
    const sync = (until: AbortSignal): Promise<void> => tellSync(options, () => session.sync(path, handle, until));
    sent = await writeBody(session, path, handle, body, syncs ? sync : undefined, signal);
    if (syncs) await sync(signal);
  } catch (error) {
    await closeHandle(session, path, handle).catch(() => undefined);
    throw error;
  }
  // In front of an object store it is here that the bytes are taken or refused.
  await closeHandle(session, path, handle);
  throwIfAborted(signal);
  return await heldBytes(session, path, sent, syncs, signal);
}

/**
 * Whether the server syncs, tried on the empty file, where no disk can be at fault: some offer it and refuse it always. Once it worked,
 * a refusal is a failure.
 */
async function trySync(session: SftpSession, path: string, handle: Buffer, signal: AbortSignal): Promise<boolean> {
  const { abilities } = session;
  if (!abilities.has('fsync') || abilities.isProven('fsync')) return abilities.has('fsync');
  try {
    await session.sync(path, handle, signal);
    abilities.prove('fsync');
    return true;
  } catch (error) {
    if (sftpStatusOf(error) === 0) throw error;
    abilities.refuse('fsync');
    return false;
  }
}

function closeHandle(session: SftpSession, path: string, handle: Buffer): Promise<void> {
  return session.ask<void>(`close ${path}`, (channel, done) => channel.close(handle, done));
}

async function writeBody(
  session: SftpSession,
  path: string,
  handle: Buffer,
  body: Bytes,
  sync: ((until: AbortSignal) => Promise<void>) | undefined,
  signal: AbortSignal,
): Promise<number> {
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const { writeBytes } = session.limits;
  const atOnce = Math.min(mostInFlight, Math.max(1, Math.floor(bytesInFlight / writeBytes)));
  const window = new RequestWindow(atOnce, (error) => stop.abort(toFailure(error)));
  // A buffer is filled again only when its request was answered, whatever becomes of its bytes until then.
  const pool = new BufferPool(writeBytes);
  let position = 0;
  let synced = 0;
  for await (const { bytes } of gatherParts(body, writeBytes, () => pool.take(), either)) {
    if (bytes.length === 0) continue;
    const at = position;
    await window.enter();
    throwIfAborted(either);
    const written = session.ask<void>(
      `write ${path}`,
      (channel, done) => channel.write(handle, bytes, 0, bytes.length, at, done),
      either,
    );
    window.watch(written.then(() => pool.give(bytes)));
    position += bytes.length;
    if (sync === undefined || position - synced < syncEveryBytes) continue;
    synced = position;
    await window.enter();
    window.watch(sync(either));
  }
  await window.empty();
  throwIfAborted(either);
  return position;
}

/** What the server says that a closed file holds. Too little is asked for again for a while, too much is not. */
async function heldBytes(
  session: SftpSession,
  path: string,
  sent: number,
  syncs: boolean,
  signal: AbortSignal,
): Promise<number> {
  let held: number | undefined;
  for (const wait of sizeWaitsMs) {
    if (wait > 0) await session.clock.sleep(wait, signal);
    const found = await lookAt(session, path, signal);
    held = found === undefined ? undefined : await sizeAt(session, path, found, sent, signal);
    if (held === sent) return held;
    // What was synced is in a file system: if it is gone, somebody removed it.
    if (held === undefined ? syncs : held > sent) break;
  }
  const told = held === undefined ? 'the server knows no such file' : `${held} bytes held`;
  throw new Failure('StoredBytesDiffer', `${path}: ${sent} bytes sent, ${told}`);
}
