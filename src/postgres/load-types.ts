import type { Bytes } from '../pipeline/bytes.ts';
import type { Sleeper } from '../pipeline/sleeper.ts';
import type { Programs } from './programs.ts';

/** What loading a database works with. */
export interface LoadTools {
  /** All programs there are; which of them reads the archive and suits the server is found for each archive. */
  readonly available: readonly Programs[];
  readonly serverMajor: number;
  /** From `libpqEnvironment`; PGDATABASE is set for each load. */
  readonly environment: Readonly<Record<string, string>>;
  /** A folder of our own for lists and unpacked archives. */
  readonly folder: string;
  readonly clock: Sleeper;
}

export interface ArchiveSelection {
  /** Plain names. Each must be in the archive. */
  readonly schemas?: readonly string[] | undefined;
  /** `schema.name`, or a name that only one schema has. Each must be in the archive. */
  readonly tables?: readonly string[] | undefined;
  readonly schemaOnly: boolean;
  readonly dataOnly: boolean;
}

export interface LoadOptions {
  readonly database: string;
  readonly selection: ArchiveSelection;
  readonly noOwner: boolean;
  readonly noPrivileges: boolean;
  /** SET ROLE before everything. */
  readonly role?: string | undefined;
  /** More than 1 needs an archive that is a file or a folder. */
  readonly jobs: number;
  /** All or nothing (InPlace). */
  readonly singleTransaction: boolean;
  /** DROP … IF EXISTS before each CREATE. */
  readonly clean: boolean;
}

/** An archive of pg_dump: a stream (custom, or tar in order), or a path for parallel work. */
export type Archive =
  | { readonly kind: 'stream'; readonly format: 'custom' | 'tar'; readonly open: (signal: AbortSignal) => Bytes }
  | { readonly kind: 'path'; readonly format: 'custom' | 'tar' | 'directory'; readonly path: string };

/** What the head of an archive tells. */
export interface ArchiveContents {
  /** Such as `1.16`. */
  readonly archiveVersion: string;
  /** Version of the server that was dumped, such as `18.1`. */
  readonly serverVersion: string;
  readonly serverMajor: number;
  readonly entries: readonly ArchiveEntry[];
}

/** One line of `pg_restore --list`. */
export interface ArchiveEntry {
  readonly dumpId: number;
  /** `TABLE`, `TABLE DATA`, `INDEX` … */
  readonly type: string;
  readonly schema: string | undefined;
  readonly name: string;
  readonly owner: string | undefined;
  /** The line as pg_restore --use-list takes it. */
  readonly line: string;
}

export interface LoadResult {
  /** What was left out or done otherwise: settings that this server does not know, fewer jobs than asked for. */
  readonly notes: readonly string[];
}
