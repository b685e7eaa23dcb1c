import { Failure } from '../../../api/failure.ts';
import type { Bytes } from '../../../pipeline/bytes.ts';
import type { SeekableBytes } from '../../../pipeline/seekable-bytes.ts';
import type { ObjectStat, Storage } from '../../../storage/storage.ts';
import { isSameFile } from './file-choose.ts';

/** A file in a location, as it was when it was chosen. */
export interface StoredFile extends SeekableBytes {
  readonly key: string;
  /** Fetched so far. */
  readBytes(): number;
  /**
   * Passes `source`, which is made of this file's bytes, and looks again at its end: what was replaced meanwhile is two halves, and so
   * is what seems damaged then. @throws Failure FileIncomplete, and what the source throws
   */
  proveSame(source: Bytes, signal: AbortSignal): Bytes;
  /** The same for work that reads the file. */
  proveSameAfter<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T>;
}

export function openStoredFile(storage: Storage, chosen: ObjectStat): StoredFile {
  const { key, bytes } = chosen;
  // A link that is turned elsewhere meanwhile (`latest`) changes nothing.
  const at = chosen.target ?? key;
  let readBytes = 0;

  const replaced = (cause?: unknown): Failure =>
    new Failure('FileIncomplete', `${key} was changed or replaced while it was read`, { cause });
  async function* read(start: number, end: number, signal: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
    if (start >= end) return;
    let left = end - start;
    for await (const chunk of storage.get(at, { start, end: end - 1 }, signal)) {
      readBytes += chunk.length;
      left -= chunk.length;
      yield chunk;
    }
    if (left !== 0) throw replaced();
  }
  const isSame = async (signal: AbortSignal): Promise<boolean> => {
    const now = await storage.stat(at, signal);
    return now !== undefined && isSameFile({ ...now, ...(chosen.target === undefined ? {} : { target: at }) }, chosen);
  };
  async function proveSameAfter<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    let result: T;
    try {
      result = await work();
    } catch (error) {
      if (isOfContent(error) && !(await isSame(signal))) throw replaced(error);
      throw error;
    }
    if (!(await isSame(signal))) throw replaced();
    return result;
  }
  async function* proveSame(source: Bytes, signal: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
    const chunks = source[Symbol.asyncIterator]();
    try {
      for (;;) {
        let next: IteratorResult<Uint8Array>;
        try {
          next = await chunks.next();
        } catch (error) {
          if (isOfContent(error) && !(await isSame(signal))) throw replaced(error);
          throw error;
        }
        if (next.done === true) break;
        yield next.value;
      }
    } finally {
      await chunks.return?.();
    }
    if (!(await isSame(signal))) throw replaced();
  }

  return { key, bytes, read, proveSame, proveSameAfter, readBytes: () => readBytes };
}

function isOfContent(error: unknown): boolean {
  return error instanceof Failure && /^(File(?!Incomplete)|Sql|ObjectMissing)/.test(error.reason);
}
