import { Failure } from '../api/failure.ts';
import type { Bytes } from '../pipeline/bytes.ts';
import { tarBlock } from '../pipeline/tar-header.ts';
import { readTocEntry, readTocHead, type Damaged, type TocEntry } from './archive-toc.ts';
import type { Archive } from './load-types.ts';
import { TocCursor } from './toc-cursor.ts';

/** Another definition for an entry (one byte for each character; in a tar not longer than the old one); undefined leaves it as it is. */
export type RewriteDefinition = (entry: TocEntry) => string | undefined;

/** Chunks of about this size come out of the table of contents. */
const chunkBytes = 256 * 1024;

/**
 * An archive (of a directory: its toc.dat) with other definitions. Only its table of contents is looked at, entry by entry; data passes as
 * it is. `onEnd` is called behind the table of contents: false when the archive is of a version that nobody knows here; it passes unchanged.
 * @throws what `source` throws, or what `damaged` makes
 */
export async function* rewriteDefinitions(
  source: Bytes,
  damaged: Damaged,
  format: Archive['format'],
  rewrite: RewriteDefinition,
  onEnd: (isKnown: boolean) => void = () => {},
): AsyncGenerator<Uint8Array, void, void> {
  const cursor = new TocCursor(source, damaged);
  try {
    let waiting: Buffer[] = [];
    if (format === 'tar') waiting.push(Buffer.from(await cursor.piece(() => cursor.take(tarBlock))));
    const head = await readKnownHead(cursor, damaged);
    if (head === undefined) {
      onEnd(false);
      yield* waiting;
      yield* cursor.rest();
      return;
    }
    waiting.push(Buffer.from(cursor.taken));
    let waitingBytes = 0;
    for (let read = 0; read < head.count; read += 1) {
      const entry = await cursor.piece(() => readTocEntry(cursor, head, format, damaged));
      const text = rewrite(entry);
      const bytes = Buffer.from(text === undefined ? cursor.taken : replace(entry, text));
      waiting.push(bytes);
      waitingBytes += bytes.length;
      if (waitingBytes < chunkBytes) continue;
      yield Buffer.concat(waiting);
      [waiting, waitingBytes] = [[], 0];
    }
    onEnd(true);
    yield Buffer.concat(waiting);
    yield* cursor.rest();
  } finally {
    await cursor.leave();
  }

  function replace({ definition, definitionAt: { from, to } }: TocEntry, text: string): Buffer {
    const { taken } = cursor;
    // The header of a tar's member has told its length: blanks keep it.
    const body = Buffer.from(format === 'tar' ? text.padEnd(definition?.length ?? 0) : text, 'latin1');
    return Buffer.concat([taken.subarray(0, from), cursor.printInteger(body.length), body, taken.subarray(to)]);
  }
}

async function readKnownHead(cursor: TocCursor, damaged: Damaged) {
  try {
    return await cursor.piece(() => readTocHead(cursor, damaged));
  } catch (error) {
    const isForeign =
      error instanceof Failure && (error.reason === 'ProgramMissing' || error.reason === 'VersionUnsupported');
    // Nothing of it was taken: `rest` has it from its beginning.
    if (isForeign && cursor.position === 0) return undefined;
    throw error;
  }
}
