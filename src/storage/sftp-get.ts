import { Failure } from '../api/failure.ts';
import { throwIfAborted } from './abortable.ts';
import { sftpStatusOf } from './sftp-errors.ts';
import { lookAt, measure } from './sftp-look.ts';
import { type SftpSession, sftpOpen } from './sftp-session.ts';
import type { SftpAttributes } from './sftp-channel.ts';
import type { Range } from './storage.ts';

/** In one block; a block is a buffer, and there are few of them. */
const requestsPerBlock = 16;
/** Asked for ahead: about 2 MiB, the window of an SSH channel. */
const blocksAhead = 4;

/** The bytes of a file, or a range of it, with many requests on their way at once. */
export async function* readFile(
  session: SftpSession,
  path: string,
  range: Range | undefined,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const handle = await session.ask<Buffer>(
    `open ${path}`,
    (channel, done) => channel.open(path, sftpOpen.read, { mode: 0 }, done),
    signal,
  );
  try {
    const size = await sizeOfOpen(session, path, handle, signal);
    const blockBytes = requestsPerBlock * session.limits.readBytes;
    const end = Math.min((range?.end ?? size - 1) + 1, size);
    const blocks: Promise<Buffer>[] = [];
    let asked = range?.start ?? 0;
    for (;;) {
      for (; asked < end && blocks.length < blocksAhead; asked += blockBytes) {
        const block = readBlock(session, path, handle, asked, Math.min(blockBytes, end - asked), signal);
        // Failures are met in turn; until then nobody listens.
        block.catch(() => undefined);
        blocks.push(block);
      }
      const next = blocks.shift();
      if (next === undefined) return;
      const block = await next;
      throwIfAborted(signal);
      yield block;
    }
  } finally {
    await session
      .ask<void>(`close ${path}`, (channel, done) => channel.close(handle, done))
      // A handle that cannot be closed ends with its connection.
      .catch(() => undefined);
  }
}

/** Of the file that was opened, which may have lost its name by now. */
async function sizeOfOpen(session: SftpSession, path: string, handle: Buffer, signal: AbortSignal): Promise<number> {
  if (session.abilities.has('fstat')) {
    try {
      const { size } = await session.ask<SftpAttributes>(
        `look at ${path}`,
        (channel, done) => channel.fstat(handle, done),
        signal,
      );
      if (size !== undefined) return size;
    } catch (error) {
      if (sftpStatusOf(error) === 0) throw error;
      session.abilities.refuse('fstat');
    }
  }
  const { size: guess = 0 } = (await lookAt(session, path, signal)) ?? {};
  return await measure(session, path, handle, guess, signal);
}

async function readBlock(
  session: SftpSession,
  path: string,
  handle: Buffer,
  start: number,
  length: number,
  signal: AbortSignal,
): Promise<Buffer> {
  const block = Buffer.allocUnsafeSlow(length);
  const requestBytes = session.limits.readBytes;
  const pieces: Promise<void>[] = [];
  for (let offset = 0; offset < length; offset += requestBytes) {
    pieces.push(
      readPiece(session, path, handle, block, offset, Math.min(requestBytes, length - offset), start, signal),
    );
  }
  await Promise.all(pieces);
  return block;
}

/** Servers may answer with less than was asked for; only nothing at all means that the file is shorter than it said. */
async function readPiece(
  session: SftpSession,
  path: string,
  handle: Buffer,
  block: Buffer,
  offset: number,
  length: number,
  start: number,
  signal: AbortSignal,
): Promise<void> {
  for (let done = 0; done < length;) {
    const at = offset + done;
    const got = await session.ask<number>(
      `read ${path}`,
      (channel, answer) => channel.read(handle, block, at, length - done, start + at, answer),
      signal,
    );
    if (got === 0) throw new Failure('StorageFailed', `${path} ends at byte ${start + at}, before its size`);
    done += got;
  }
}
