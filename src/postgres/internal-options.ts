import { Failure } from '../api/failure.ts';
import type { Bytes } from '../pipeline/bytes.ts';
import { tarBlock } from '../pipeline/tar-header.ts';
import { readTocEntry, readTocHead, type Damaged, type TocEntry } from './archive-toc.ts';
import type { Archive } from './load-types.ts';
import { TocCursor } from './toc-cursor.ts';

/**
 * What some servers keep among a column's options for themselves, and other servers refuse as `unrecognized parameter`. A pg_dump
 * that knows of it leaves it out; an older one, of any major version, writes it for every column of every table. (`pg_attver`: a
 * version of the column's definition, by which the server sees that a plan is outdated; Debian's 15.20 and later.)
 */
const internalOptions = ['pg_attver'] as const;
export const internalOptionPattern = `^(${internalOptions.join('|')})=`;
const marks = internalOptions.map((name) => Buffer.from(`${name}=`));

const name = '(?:"[^"]*")+|[a-z_][a-z0-9_]*';
/** Literals and quoted names first, so that nothing in them is taken for a statement. (A doubled quote is two of them side by side.) */
const pieces = new RegExp(
  `'[^']*'|^(ALTER (?:FOREIGN )?TABLE ONLY (?:(?:${name})\\.)?(?:${name}) ALTER COLUMN (?:${name}) SET \\()([^()'"]*)(\\);\\n?)|"[^"]*"`,
  'gm',
);
const isInternal = new RegExp(internalOptionPattern);

/** Of an entry that is being read. */
export function hasInternalOptions({ type, definition }: TocEntry): boolean {
  if (definition === undefined || !/^(?:FOREIGN )?TABLE$|^MATERIALIZED VIEW$/.test(type)) return false;
  return marks.some((mark) => definition.includes(mark));
}

/** The statements of an entry without those options; `count` is how many there were. */
export function withoutInternalOptions(definition: string): { readonly text: string; readonly count: number } {
  let count = 0;
  const text = definition.replace(pieces, (whole: string, before?: string, options?: string, after?: string) => {
    if (before === undefined || options === undefined || after === undefined) return whole;
    const all = options.split(', ');
    const kept = all.filter((option) => !isInternal.test(option));
    count += all.length - kept.length;
    if (kept.length === all.length) return whole;
    return kept.length === 0 ? '' : `${before}${kept.join(', ')}${after}`;
  });
  return { text, count };
}

/** Chunks of about this size come out of the table of contents. */
const chunkBytes = 256 * 1024;

/**
 * An archive (of a directory: its toc.dat) without internal options. Only its table of contents is looked at, entry by entry; data passes
 * as it is. `onEnd` is told how many were left out, or undefined when the archive is of a version that nobody knows here: it passes
 * unchanged. @throws what `source` throws, or what `damaged` makes
 */
export async function* leaveOutInternalOptions(
  source: Bytes,
  damaged: Damaged,
  onEnd: (count: number | undefined) => void = () => {},
  format: Archive['format'] = 'custom',
): AsyncGenerator<Uint8Array, void, void> {
  const cursor = new TocCursor(source, damaged);
  let total = 0;
  try {
    let waiting: Buffer[] = [];
    if (format === 'tar') waiting.push(Buffer.from(await cursor.piece(() => cursor.take(tarBlock))));
    const head = await readKnownHead(cursor, damaged);
    if (head === undefined) {
      onEnd(undefined);
      yield* waiting;
      yield* cursor.rest();
      return;
    }
    waiting.push(Buffer.from(cursor.taken));
    let waitingBytes = 0;
    for (let read = 0; read < head.count; read += 1) {
      const entry = await cursor.piece(() => readTocEntry(cursor, head, format, damaged));
      const parts = hasInternalOptions(entry) ? rewrite(entry) : undefined;
      total += parts?.count ?? 0;
      const bytes = Buffer.from(parts?.bytes ?? cursor.taken);
      waiting.push(bytes);
      waitingBytes += bytes.length;
      if (waitingBytes < chunkBytes) continue;
      yield Buffer.concat(waiting);
      [waiting, waitingBytes] = [[], 0];
    }
    onEnd(total);
    yield Buffer.concat(waiting);
    yield* cursor.rest();
  } finally {
    await cursor.leave();
  }

  function rewrite({ definition, definitionAt: { from, to } }: TocEntry) {
    const { text, count } = withoutInternalOptions(definition?.toString('latin1') ?? '');
    const { taken } = cursor;
    // The header of a tar's member has told its length: blanks keep it.
    const body = Buffer.from(format === 'tar' ? text.padEnd(definition?.length ?? 0) : text, 'latin1');
    return {
      count,
      bytes: Buffer.concat([taken.subarray(0, from), cursor.printInteger(body.length), body, taken.subarray(to)]),
    };
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
