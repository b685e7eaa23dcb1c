import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../api/failure.ts';
import { aborted } from '../pipeline/aborted.ts';
import type { Bytes } from '../pipeline/bytes.ts';
import { readTocEntry, readTocHead, type TocEntry } from './archive-toc.ts';
import { decodeNames } from './decode-names.ts';
import { readGranted, revokesPublic } from './read-granted.ts';
import type { Archive, ArchiveContents, ArchiveEntry, LoadPass, LoadTools } from './load-types.ts';
import { hasInternalOptions } from './internal-options.ts';
import { checkFileName, openArchiveFiles, type CheckFile } from './archive-files.ts';
import { passChooser } from './choose-pass.ts';
import { openEntries } from './open-entries.ts';
import { createsPublic } from './public-schema.ts';
import { TocCursor } from './toc-cursor.ts';
import { typesNamedAfterTable } from './types-named-after-table.ts';

const tarBlock = 512;

/**
 * Reads the table of contents at the head of an archive, and nothing more of it. Not by pg_restore --list: that shows names with
 * spaces between them and line breaks taken out, so that two tables can look the same.
 * @throws Failure FileDamaged or BackupDamaged (`tools.damaged`), FileRefused (it names files that are not its own), ProgramMissing (newer
 * than all programs), and what `open` throws
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
    let decode = keptOnce(decodeNames('UTF8'));
    const keep = openEntries((what) => tooMany(tools, what));
    let internalOptions = false;
    let isPublicCreated = false;
    const choosePass = passChooser();
    const checkFile = await fileChecker(archive, damaged, signal);
    for (let read = 0; read < head.count; read++) {
      // Decoded inside: what the cursor gives is valid until the next piece.
      const { entry, encoding, hasOptions, hasPublic } = await cursor.piece(() => {
        const raw = readTocEntry(cursor, head, archive.format, damaged);
        if (raw.file !== undefined) checkFile(raw.type, raw.file);
        return {
          ...readEntry(raw, decode, choosePass(raw)),
          hasOptions: hasInternalOptions(raw),
          hasPublic: createsPublic(raw),
        };
      });
      keep.add(entry);
      internalOptions ||= hasOptions;
      isPublicCreated ||= hasPublic;
      if (encoding !== undefined) decode = keptOnce(decodeNames(encoding));
    }
    return {
      archiveVersion: head.archiveVersion,
      serverVersion: head.serverVersion,
      serverMajor: Number(/^\d+/.exec(head.serverVersion)?.[0] ?? 0),
      ...keep.all(),
      internalOptions,
      createsPublic: isPublicCreated,
      headBytes: cursor.length,
    };
  } finally {
    await cursor.leave();
  }
}

async function fileChecker(
  archive: Archive,
  damaged: (what: string) => Failure,
  signal: AbortSignal,
): Promise<CheckFile> {
  // In a tar the names are looked for among its own members.
  if (archive.format !== 'directory') return (type, file) => void checkFileName('tar', type, file);
  return openArchiveFiles(archive.path, damaged, signal);
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
  { decode, once }: Decode,
  pass: LoadPass,
): { readonly entry: ArchiveEntry; readonly encoding: string | undefined } {
  const { dumpId, type, definition, drop, dependencies } = raw;
  return {
    entry: {
      dumpId,
      type: once(raw.type),
      pass,
      schema: isEmpty(raw.schema) ? undefined : once(decode(raw.schema)),
      name: decode(raw.name),
      owner: isEmpty(raw.owner) ? undefined : once(decode(raw.owner)),
      ...(isEmpty(raw.tablespace) ? {} : { tablespace: once(decode(raw.tablespace)) }),
      ...readDetail(type, definition, { decode, once }),
      dependencies: dependencies.length === 0 ? none : dependencies,
      dropStatement: typesNamedAfterTable.has(type) && !isEmpty(drop) ? decode(drop) : undefined,
    },
    encoding: type === 'ENCODING' ? /'([^']+)'/.exec(definition?.toString('latin1') ?? '')?.[1] : undefined,
  };
}

const none: readonly number[] = [];

/** A name, with its schema or not. A quoted part ends where no quote follows: read in one way only, however many of them there are. */
const nameInSql = String.raw`(?:"(?:[^"]|"")*"(?!")|[^" ])+`;
/** Before its expressions, which may have the same words in them. */
const restrictivePolicy = new RegExp(`^CREATE POLICY ${nameInSql} ON ${nameInSql} AS RESTRICTIVE `);

/** Of few types, what only the definition tells. */
function readDetail(
  type: string,
  definition: Buffer | undefined,
  { decode, once }: Decode,
): Pick<ArchiveEntry, 'forAllTables' | 'restrictive' | 'provider' | 'granted' | 'revokes'> {
  if (definition === undefined) return {};
  if (type === 'ACL') {
    const text = decode(definition);
    return { granted: readGranted(text).map(once), ...(revokesPublic(text) ? { revokes: true } : {}) };
  }
  if (type === 'POLICY') return restrictivePolicy.test(definition.toString('latin1')) ? { restrictive: true } : {};
  if (type === 'PUBLICATION') return definition.includes(' FOR ALL TABLES') ? { forAllTables: true } : {};
  if (type !== 'SECURITY LABEL') return {};
  const [, quoted, plain] =
    /^SECURITY LABEL FOR (?:"((?:[^"]|"")+)"|([a-z_][a-z0-9_$]*)) /.exec(decode(definition)) ?? [];
  const provider = quoted?.replaceAll('""', '"') ?? plain;
  return provider === undefined ? {} : { provider };
}

interface Decode {
  readonly decode: (bytes: Uint8Array) => string;
  /** The same text for equal ones: a million entries have few types, schemas and owners. */
  readonly once: (text: string) => string;
}

function keptOnce(decode: (bytes: Uint8Array) => string): Decode {
  const kept = new Map<string, string>();
  return {
    decode,
    once(text) {
      const known = kept.get(text);
      if (known !== undefined) return known;
      kept.set(text, text);
      return text;
    },
  };
}

/** Empty is none, as pg_restore sees it. */
function isEmpty(text: Buffer | undefined): text is undefined {
  return text === undefined || text.length === 0;
}

function tooMany({ damaged }: Pick<LoadTools, 'damaged'>, what: string): Failure {
  return new Failure(damaged === 'BackupDamaged' ? 'BackupNotUsable' : 'FileRefused', what, {
    hint: 'No database is known to have so much; restore it with pg_restore by hand (docs/recovery.md).',
  });
}
