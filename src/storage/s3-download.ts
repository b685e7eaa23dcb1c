import { Failure } from '../api/failure.ts';
import { abortFailure, throwIfAborted } from './abortable.ts';
import { type Patience, Tries } from './attempt.ts';
import type { GetFrom, S3Calls, S3Download } from './s3-calls.ts';
import { s3CodeOf, s3StatusOf, toS3Failure } from './s3-errors.ts';
import type { Range } from './storage.ts';

/**
 * The bytes of an object or a range. A download that breaks off is taken up again at its last byte, as long as the object is still the
 * same one; attempts are counted from the last byte that came. The first request is not repeated here: that is for retryStorage.
 */
export async function* downloadObject(
  calls: S3Calls,
  patience: Patience,
  key: string,
  range: Range | undefined,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const start = range?.start ?? 0;
  const whole = start === 0 && range?.end === undefined;
  if (range?.end !== undefined && range.end < start) return;
  let download: S3Download;
  try {
    download = await calls.get(key, { start: whole ? undefined : start, end: range?.end }, signal);
  } catch (error) {
    // A range that begins behind the last byte has no bytes.
    if (s3CodeOf(error) === 'InvalidRange' || s3StatusOf(error) === 416) return;
    throw error;
  }
  const tag = download.tag;
  const end = start + download.length;
  let position = start;
  const tries = new Tries(patience, signal);
  for (;;) {
    const before = position;
    try {
      for await (const chunk of readDownload(download, position, key, signal)) {
        position += chunk.length;
        if (position > end) throw new Failure('StorageConfigInvalid', `${key}: more bytes came than were announced`);
        yield chunk;
      }
      if (position === end) return;
      throw new Failure('StorageUnreachable', `${key} broke off at byte ${position} of ${end}`);
    } catch (error) {
      throwIfAborted(signal);
      if (position > before) tries.progress();
      await tries.again(error);
    }
    if (position === end) return;
    const rest = { start: position, end: end - 1 };
    const taken = await attemptAgain(tries, () => takeUp(calls, key, rest, tag, signal));
    if (taken === undefined) throw new Failure('StorageFailed', `${key} was replaced while it was read`);
    download = taken;
  }
}

async function attemptAgain<T>(tries: Tries, work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      await tries.again(error);
    }
  }
}

/** The rest of the same object; undefined when there is another one by now. Compared here: not every server does, least of all with weak tags. */
async function takeUp(
  calls: S3Calls,
  key: string,
  from: GetFrom,
  tag: string,
  signal: AbortSignal,
): Promise<S3Download | undefined> {
  let download: S3Download;
  try {
    download = await calls.get(key, from, signal);
  } catch (error) {
    if (s3StatusOf(error) === 416) return undefined;
    throw error;
  }
  if (download.tag === tag) return download;
  download.body.destroy();
  return undefined;
}

/** One answer's body. Leaving it early, or an abort, ends the connection. */
async function* readDownload(
  { body, start }: S3Download,
  expectedStart: number,
  key: string,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const onAbort = (): void => void body.destroy(abortFailure(signal));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    if (start !== expectedStart)
      throw new Failure('StorageConfigInvalid', `${key}: byte ${expectedStart} was asked for, byte ${start} came`, {
        hint: 'the server does not understand ranges',
      });
    throwIfAborted(signal);
    for await (const chunk of readChunks(body, key)) yield chunk;
  } finally {
    signal.removeEventListener('abort', onAbort);
    body.destroy();
  }
}

/** Only errors of the body itself are errors of the place; what the loop's taker throws is not ours to name. */
async function* readChunks(body: AsyncIterable<Uint8Array>, key: string): AsyncGenerator<Uint8Array, void, undefined> {
  const iterator = body[Symbol.asyncIterator]();
  for (;;) {
    let next: IteratorResult<Uint8Array>;
    try {
      next = await iterator.next();
    } catch (error) {
      const failure = toS3Failure(error, `get ${key}`);
      throw failure.reason === 'TlsFailed' || failure.reason === 'Aborted'
        ? failure
        : new Failure('StorageUnreachable', failure.message, { cause: failure.cause });
    }
    if (next.done === true) return;
    yield next.value;
  }
}
