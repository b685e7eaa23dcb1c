import { toFailure } from '../api/failure.ts';
import type { ObjectStat, Storage } from '../storage/storage.ts';

const headBytes = 4096;

const magics: readonly (readonly [string, string])[] = [
  ['PGDMP', 'pg_dump custom'],
  ['PK\u0003\u0004', 'ZIP'],
  ['\u001f\u008b', 'gzip'],
  ['\u0028\u00b5\u002f\u00fd', 'zstd'],
];

/** What the first bytes of a file look like, in words; or why they cannot be read. */
export async function recogniseFile(storage: Storage, file: ObjectStat, signal: AbortSignal): Promise<string> {
  if (file.bytes === 0) return 'empty';
  const head: Uint8Array[] = [];
  try {
    for await (const chunk of storage.get(file.key, { start: 0, end: headBytes - 1 }, signal)) head.push(chunk);
  } catch (error) {
    signal.throwIfAborted();
    return toFailure(error).reason;
  }
  const text = Buffer.concat(head).toString('latin1');
  return magics.find(([magic]) => text.startsWith(magic))?.[1] ?? 'unknown';
}
