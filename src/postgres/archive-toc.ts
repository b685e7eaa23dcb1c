import { Failure } from '../api/failure.ts';
import { newestArchiveVersion } from './restore-programs.ts';
import type { TocCursor } from './toc-cursor.ts';

/** Of PostgreSQL 9.0. Older ones say less, and nobody has them any more. */
const oldestMinor = 12;
/** The layout did not change since, but for what stands below; a later one could. */
const newestMinor = Number(newestArchiveVersion.split('.')[1]);
/** More than any database has, large objects included; a damaged number must not make us wait for ever. */
const maxEntries = 50_000_000;

export type Damaged = (what: string) => Failure;

/** What an archive of pg_dump says before its entries. */
export interface TocHead {
  readonly minor: number;
  readonly archiveVersion: string;
  readonly serverVersion: string;
  readonly offsetBytes: number;
  /** What lies behind the table of contents is. */
  readonly isCompressed: boolean;
  /** Of entries. */
  readonly count: number;
}

/** An entry as its bytes say it. */
export interface TocEntry {
  readonly dumpId: number;
  readonly name: Buffer;
  readonly type: string;
  /** As pg_dump numbers them: 1 none (it belongs to what it follows), 2 before the rows, 3 rows, 4 after them. */
  readonly section: number;
  readonly definition: Buffer | undefined;
  /** Where the definition, with its length, stands in the bytes of the entry. */
  readonly definitionAt: { readonly from: number; readonly to: number };
  readonly drop: Buffer | undefined;
  /** Of rows; without it they are statements of their own. */
  readonly copy: Buffer | undefined;
  /** Something of it lies behind the table of contents. */
  readonly hasData: boolean;
  readonly schema: Buffer | undefined;
  readonly tablespace: Buffer | undefined;
  readonly owner: Buffer | undefined;
  readonly dependencies: readonly number[];
  /** Where the data is, of a directory or tar. */
  readonly file: Buffer | undefined;
}

/** To be called by `cursor.piece`, at the beginning of an archive. @throws Failure ProgramMissing, VersionUnsupported, `damaged` */
export function readTocHead(cursor: TocCursor, damaged: Damaged): TocHead {
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
  const isCompressed = (minor >= 15 ? cursor.byte() : cursor.integer()) !== 0;
  for (let part = 0; part < 7; part++) cursor.integer(); // When it was made.
  cursor.text(); // Name of the database.
  const serverVersion = /^\S+/.exec(cursor.text()?.toString('latin1') ?? '')?.[0];
  if (serverVersion === undefined) throw damaged('it does not say which server it comes from');
  cursor.text(); // Version of pg_dump.
  const count = cursor.integer();
  if (count < 0 || count > maxEntries) throw damaged('it says a number of entries that cannot be');
  return { minor, archiveVersion, serverVersion, offsetBytes, isCompressed, count };
}

/** To be called by `cursor.piece`, `head.count` times. */
export function readTocEntry(
  cursor: TocCursor,
  head: TocHead,
  format: 'custom' | 'directory' | 'tar',
  damaged: Damaged,
): TocEntry {
  const dumpId = cursor.integer();
  if (dumpId <= 0) throw damaged('an entry has no id');
  const hasData = cursor.integer() !== 0;
  cursor.skipText(); // The catalogue, and the oid in it.
  cursor.skipText();
  const name = cursor.text() ?? Buffer.alloc(0);
  const type = latin1(cursor.text());
  const section = cursor.integer();
  const from = cursor.position;
  const definition = cursor.text();
  const to = cursor.position;
  const drop = cursor.text();
  const copy = cursor.text();
  const schema = cursor.text();
  const tablespace = cursor.text();
  if (head.minor >= 14) cursor.skipText(); // Table access method.
  if (head.minor >= 16) cursor.integer(); // Kind of relation.
  const owner = cursor.text();
  cursor.skipText(); // WITH OIDS.
  const dependencies: number[] = [];
  for (let id = cursor.text(); id !== undefined; id = cursor.text()) dependencies.push(Number(latin1(id)));
  if (dependencies.some((id) => !Number.isSafeInteger(id))) throw damaged('a dependency is no number');
  // Where the data is: a state and an offset, or a file.
  const file = format === 'custom' ? void cursor.take(1 + head.offsetBytes) : cursor.text();
  return {
    dumpId,
    name,
    type,
    section,
    definition,
    definitionAt: { from, to },
    drop,
    copy,
    hasData,
    schema,
    tablespace,
    owner,
    dependencies,
    file: file === undefined || file.length === 0 ? undefined : file,
  };
}

/** One character for each byte. */
export function latin1(text: Buffer | undefined): string {
  return text?.toString('latin1') ?? '';
}
