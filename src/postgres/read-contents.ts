import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../api/failure.ts';
import { aborted } from '../pipeline/aborted.ts';
import type { Bytes } from '../pipeline/bytes.ts';
import { readTocEntry, readTocHead, type TocEntry } from './archive-toc.ts';
import { decodeNames } from './decode-names.ts';
import type { Archive, ArchiveContents, ArchiveEntry, LoadTools } from './load-types.ts';
import { hasInternalOptions } from './internal-options.ts';
import { TocCursor } from './toc-cursor.ts';

const tarBlock = 512;

/** Named `table thing`: which table, the statement that drops it tells when there are several that could be meant. */
export const typesNamedAfterTable: ReadonlySet<string> = new Set([
  'DEFAULT',
  'CONSTRAINT',
  'CHECK CONSTRAINT',
  'FK CONSTRAINT',
  'TRIGGER',
  'RULE',
  'POLICY',
]);

/**
 * Reads the table of contents at the head of an archive, and nothing more of it. Not by pg_restore --list: that shows names with
 * spaces between them and line breaks taken out, so that two tables can look the same.
 * @throws Failure FileDamaged or BackupDamaged (`tools.damaged`), ProgramMissing (newer than all programs), and what `open` throws
 */
export async function readContents(
  tools: Pick<LoadTools, 'damaged'>,
  archive: Archive,
  signal: AbortSignal,
): Promise<ArchiveContents> {
  const damaged = (what: string) =>
    new Failure(tools.damaged ?? 'FileDamaged', `the head of the archive is damaged: ${what}`);
  const cursor = new TocCursor(openHead(archive, signal, damaged), damaged);
  try {
    if (archive.format === 'tar') await cursor.piece(() => readTarHeader(cursor, damaged));
    const head = await cursor.piece(() => readTocHead(cursor, damaged));
    let decode = decodeNames('UTF8');
    const entries: ArchiveEntry[] = [];
    let internalOptions = false;
    for (let read = 0; read < head.count; read++) {
      // Decoded inside: what the cursor gives is valid until the next piece.
      const { entry, encoding, hasOptions } = await cursor.piece(() => {
        const raw = readTocEntry(cursor, head, archive.format, damaged);
        return { ...readEntry(raw, decode), hasOptions: hasInternalOptions(raw) };
      });
      entries.push(entry);
      internalOptions ||= hasOptions;
      if (encoding !== undefined) decode = decodeNames(encoding);
    }
    return {
      archiveVersion: head.archiveVersion,
      serverVersion: head.serverVersion,
      serverMajor: Number(/^\d+/.exec(head.serverVersion)?.[0] ?? 0),
      entries,
      internalOptions,
    };
  } finally {
    await cursor.leave();
  }
}

async function* openHead(
  archive: Archive,
  signal: AbortSignal,
  damaged: (what: string) => Failure,
): AsyncGenerator<Uint8Array, void, void> {
  if (archive.kind === 'stream') {
    yield* archive.open(signal);
    return;
  }
  const path = archive.format === 'directory' ? join(archive.path, 'toc.dat') : archive.path;
  try {
    yield* createReadStream(path, { signal }) satisfies Bytes;
  } catch (error) {
    if (signal.aborted) throw aborted(signal);
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw damaged('it has no toc.dat');
    throw error;
  }
}

function readTarHeader(cursor: TocCursor, damaged: (what: string) => Failure): void {
  const name = cursor.take(tarBlock).subarray(0, 100).toString('latin1').replace(/\0.*$/s, '');
  if (name !== 'toc.dat') throw damaged('its first member is not toc.dat');
}

function readEntry(
  raw: TocEntry,
  decode: (bytes: Uint8Array) => string,
): { readonly entry: ArchiveEntry; readonly encoding: string | undefined } {
  const { dumpId, catalogue, type, definition, drop, dependencies } = raw;
  const name = decode(raw.name);
  const schema = decodeOr(decode, raw.schema);
  const owner = decodeOr(decode, raw.owner);
  const line = `${dumpId}; ${catalogue} ${type} ${schema ?? '-'} ${name} ${owner ?? ''}`.replaceAll(/[\r\n]/g, ' ');
  return {
    entry: {
      dumpId,
      type,
      schema,
      name,
      owner,
      dependencies,
      dropStatement: typesNamedAfterTable.has(type) ? decodeOr(decode, drop) : undefined,
      line,
    },
    encoding: type === 'ENCODING' ? /'([^']+)'/.exec(definition?.toString('latin1') ?? '')?.[1] : undefined,
  };
}

/** Empty is none, as pg_restore sees it. */
function decodeOr(decode: (bytes: Uint8Array) => string, text: Buffer | undefined): string | undefined {
  return text === undefined || text.length === 0 ? undefined : decode(text);
}
