import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../api/failure.ts';
import { aborted } from '../pipeline/aborted.ts';
import type { Bytes } from '../pipeline/bytes.ts';
import { decodeNames } from './decode-names.ts';
import type { Archive, ArchiveContents, ArchiveEntry, LoadTools } from './load-types.ts';
import { newestArchiveVersion } from './restore-programs.ts';
import { TocCursor } from './toc-cursor.ts';

/** Of PostgreSQL 9.0. Older ones say less, and nobody has them any more. */
const oldestMinor = 12;
/** The layout did not change since, but for what stands below; a later one could. */
const newestMinor = Number(newestArchiveVersion.split('.')[1]);
const tarBlock = 512;
/** More than any database has; a damaged number must not make us wait for ever. */
const maxEntries = 50_000_000;

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
    const head = await cursor.piece(() => readHead(cursor, damaged));
    if (head.count < 0 || head.count > maxEntries) throw damaged('it says a number of entries that cannot be');
    let decode = decodeNames('UTF8');
    const entries: ArchiveEntry[] = [];
    for (let read = 0; read < head.count; read++) {
      const { entry, encoding } = await cursor.piece(() => readEntry(cursor, head, archive.format, decode, damaged));
      entries.push(entry);
      if (encoding !== undefined) decode = decodeNames(encoding);
    }
    return {
      archiveVersion: head.archiveVersion,
      serverVersion: head.serverVersion,
      serverMajor: Number(/^\d+/.exec(head.serverVersion)?.[0] ?? 0),
      entries,
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

interface Head {
  readonly minor: number;
  readonly archiveVersion: string;
  readonly serverVersion: string;
  readonly offsetBytes: number;
  readonly count: number;
}

function readHead(cursor: TocCursor, damaged: (what: string) => Failure): Head {
  if (cursor.take(5).toString('latin1') !== 'PGDMP') throw damaged('it does not begin with PGDMP');
  const [major, minor] = [cursor.byte(), cursor.byte()];
  cursor.byte();
  const archiveVersion = `${major}.${minor}`;
  if (major !== 1 || minor > newestMinor) {
    throw new Failure('ProgramMissing', `no program here reads archives of version ${archiveVersion}`, {
      hint: 'The archive was made by a newer pg_dump: use a newer image.',
    });
  }
  if (minor < oldestMinor) {
    throw new Failure('VersionUnsupported', `archives of version ${archiveVersion} are not read any more`, {
      hint: 'It was made before PostgreSQL 9.0: restore it to a server of its time and dump that one.',
    });
  }
  cursor.integerBytes = cursor.byte();
  if (cursor.integerBytes < 4 || cursor.integerBytes > 8) throw damaged('its integers have an impossible size');
  const offsetBytes = cursor.byte();
  cursor.byte(); // The format: the same in a directory (5 or 1) and a tar (3) as their TOC is.
  // How data is compressed: since 1.15 by which method, before that how hard.
  if (minor >= 15) cursor.byte();
  else cursor.integer();
  for (let part = 0; part < 7; part++) cursor.integer(); // When it was made.
  cursor.text(); // Name of the database.
  const serverVersion = /^\S+/.exec(cursor.text()?.toString('latin1') ?? '')?.[0];
  if (serverVersion === undefined) throw damaged('it does not say which server it comes from');
  cursor.text(); // Version of pg_dump.
  return { minor, archiveVersion, serverVersion, offsetBytes, count: cursor.integer() };
}

function readEntry(
  cursor: TocCursor,
  head: Head,
  format: Archive['format'],
  decode: (bytes: Uint8Array) => string,
  damaged: (what: string) => Failure,
): { readonly entry: ArchiveEntry; readonly encoding: string | undefined } {
  const dumpId = cursor.integer();
  if (dumpId <= 0) throw damaged('an entry has no id');
  cursor.integer(); // Whether it has data.
  const catalogue = `${latin1(cursor.text())} ${latin1(cursor.text())}`;
  const name = decode(cursor.text() ?? Buffer.alloc(0));
  const type = latin1(cursor.text());
  cursor.integer(); // Section.
  const definition = cursor.text();
  const drop = cursor.text();
  cursor.text(); // The COPY statement.
  const schema = decodeOr(decode, cursor.text());
  cursor.text(); // Tablespace.
  if (head.minor >= 14) cursor.text(); // Table access method.
  if (head.minor >= 16) cursor.integer(); // Kind of relation.
  const owner = decodeOr(decode, cursor.text());
  cursor.text(); // WITH OIDS.
  const dependencies: number[] = [];
  for (let id = cursor.text(); id !== undefined; id = cursor.text()) dependencies.push(Number(id.toString('latin1')));
  if (dependencies.some((id) => !Number.isSafeInteger(id))) throw damaged('a dependency is no number');
  // Where the data is: a state and an offset, or a file.
  if (format === 'custom') cursor.take(1 + head.offsetBytes);
  else cursor.text();
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
    encoding: type === 'ENCODING' ? /'([^']+)'/.exec(latin1(definition))?.[1] : undefined,
  };
}

function latin1(text: Buffer | undefined): string {
  return text?.toString('latin1') ?? '';
}

/** Empty is none, as pg_restore sees it. */
function decodeOr(decode: (bytes: Uint8Array) => string, text: Buffer | undefined): string | undefined {
  return text === undefined || text.length === 0 ? undefined : decode(text);
}
