import { toFailure } from '../api/failure.ts';
import { headBytes, recognise, type ContentKind } from '../pipeline/recognise.ts';
import type { ObjectStat, Storage } from '../storage/storage.ts';

const words: Readonly<Record<ContentKind, string>> = {
  custom: 'pg_dump (custom)',
  'dump-tar': 'pg_dump (tar)',
  tar: 'tar',
  gzip: 'gzip',
  zstd: 'zstd',
  zip: 'ZIP',
  sql: 'SQL',
  dumpall: 'pg_dumpall',
};

/** What the first bytes of a file say that it is, in words; else why it cannot be restored, or not be read. */
export async function recogniseFile(storage: Storage, file: ObjectStat, signal: AbortSignal): Promise<string> {
  const head: Uint8Array[] = [];
  try {
    if (file.bytes > 0) {
      for await (const chunk of storage.get(file.key, { start: 0, end: headBytes - 1 }, signal)) head.push(chunk);
    }
    const content = recognise(Buffer.concat(head), 'this');
    if (content.kind !== 'refused') return words[content.kind];
    const { reason, message } = content.failure;
    return `${reason}: ${message.replace(/^this is /, '')}`;
  } catch (error) {
    signal.throwIfAborted();
    return toFailure(error).reason;
  }
}
