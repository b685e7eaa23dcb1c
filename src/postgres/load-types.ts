import type { LeavableKind } from '../api/restore-options.ts';
import type { Bytes } from '../pipeline/bytes.ts';
import type { Sleeper } from '../pipeline/sleeper.ts';
import type { Random } from '../support/clock.ts';
import type { AskLoad } from './load-claim.ts';
import type { OpenTransaction } from './open-transaction.ts';
import type { Programs } from './programs.ts';
import type { Refusal } from './refusal.ts';
import type { Server } from './server.ts';

/** What loading a database works with. */
export interface LoadTools {
  /** All programs there are; which of them reads the archive and suits the server is found for each archive. */
  readonly available: readonly Programs[];
  readonly serverMajor: number;
  /** The server that is loaded into, for scripts; the programs know it by `environment`. */
  readonly server: Server;
  /** From `libpqEnvironment`; PGDATABASE is set for each load. */
  readonly environment: Readonly<Record<string, string>>;
  /** A folder of our own for lists, heads and unpacked archives. */
  readonly folder: string;
  readonly clock: Sleeper;
  /** For keys that no script can guess. */
  readonly random: Pick<Random, 'bytes'>;
  /** Path of coreutils' stdbuf, if there is one: as for dumps. */
  readonly stdbuf?: string;
  /** What an archive is called that contradicts itself: one of ours (BackupDamaged), or somebody's file (default). */
  readonly damaged?: 'BackupDamaged' | 'FileDamaged';
}

export interface ArchiveSelection {
  /** Plain names. Each must be in the archive. */
  readonly schemas?: readonly string[] | undefined;
  /** `schema.name`, or a name that only one schema has. Each must be in the archive. */
  readonly tables?: readonly string[] | undefined;
  /** Not these, nor what needs them; named like the others. Each must be in the archive. */
  readonly excludeSchemas?: readonly string[] | undefined;
  readonly excludeTables?: readonly string[] | undefined;
  /** Without their rows. */
  readonly excludeTableData?: readonly string[] | undefined;
  readonly schemaOnly: boolean;
  readonly dataOnly: boolean;
}

export interface LoadOptions {
  readonly database: string;
  readonly selection: ArchiveSelection;
  readonly noOwner: boolean;
  readonly noPrivileges: boolean;
  /** What is left out by its kind. */
  readonly without?: readonly LeavableKind[] | undefined;
  /** Schemas that names without a schema are looked up in while it loads. Absent: none, as pg_dump has it. */
  readonly searchPath?: readonly string[] | undefined;
  /** SET ROLE before everything. */
  readonly role?: string | undefined;
  /** More than 1: of a file or folder all is loaded by so many connections, of a stream what comes after the rows. */
  readonly jobs: number;
  /** Nobody asked for so many: nobody is told when fewer do. */
  readonly jobsByDefault?: boolean;
  /** What the sessions that load set for themselves; left out behind a pooler. Values are plain words. */
  readonly settings?: Readonly<Record<string, string>>;
  /** All or nothing (InPlace). */
  readonly singleTransaction: boolean;
  /** DROP … IF EXISTS before each CREATE. */
  readonly clean: boolean;
  /**
   * The database is new and empty: with selected tables come the schemas, extensions, types and functions that they need. Without
   * it these are expected to be there.
   */
  readonly freshDatabase?: boolean;
  /** If `readContents` was asked before: the head is not fetched again. */
  readonly contents?: ArchiveContents;
}

export interface LoadHooks {
  /** Called for each chunk of a streamed archive or script that was read, with its length. */
  readonly onBytes?: (bytes: number) => void;
  /** With `singleTransaction`: called when its transaction has begun, before anything of the source is read. Texts are UTF-8. */
  readonly afterBegin?: (ask: AskLoad) => Promise<void>;
  /** The same, behind it: for SQL of the request. */
  readonly beforeLoad?: (transaction: OpenTransaction) => Promise<void>;
  /** With `singleTransaction`: called when all is loaded and nothing is committed. What it throws undoes the load. */
  readonly beforeCommit?: (transaction: OpenTransaction) => Promise<void>;
  /** Called for each entry that the server refuses, and the load goes on without it. Absent: the first one ends the load. */
  readonly onRefused?: ((refusal: Refusal) => void) | undefined;
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
  /** Dump ids of large objects, by pass, that are not among the entries: one of each owner is. */
  readonly largeObjects: Readonly<Record<LoadPass, readonly number[]>>;
  /** Columns have options that only some servers know (internal-options.ts). */
  readonly internalOptions: boolean;
  /** It creates the schema public, which every new database has (public-schema.ts). */
  readonly createsPublic: boolean;
  /** Of the table of contents, with all that is before it. */
  readonly headBytes: number;
}

/** What several connections may load at once: one pass has ended before the next one begins (load-passes.ts). */
export type LoadPass = 'before' | 'rows' | 'after';

/** One entry of the table of contents. */
export interface ArchiveEntry {
  /** Unique in the archive. */
  readonly dumpId: number;
  /** `TABLE`, `TABLE DATA`, `INDEX` … */
  readonly type: string;
  /** When it is loaded, where several connections load. */
  readonly pass: LoadPass;
  readonly schema: string | undefined;
  /** Exactly as dumped, whatever characters it has. Of a trigger, constraint, default, rule or policy: `table thing`. */
  readonly name: string;
  readonly owner: string | undefined;
  /** Absent: the database’s default. */
  readonly tablespace?: string;
  /** Dump ids of what it needs. Some may not be in the archive. */
  readonly dependencies: readonly number[];
  /** Of a publication: it is for all tables. */
  readonly forAllTables?: true;
  /** Of a policy: it takes away what others allow. */
  readonly restrictive?: true;
  /** Of a security label: whose it is. */
  readonly provider?: string;
  /** Of an ACL: each right and who gets it, such as `SELECT reader`. */
  readonly granted?: readonly string[];
  /** Of an ACL: it takes from PUBLIC what PUBLIC has by default. */
  readonly revokes?: true;
  /** The statement that would drop it; kept only where it is needed to tell tables apart. */
  readonly dropStatement: string | undefined;
}

export interface LoadResult {
  /** What was left out or done otherwise: settings that this server does not know, fewer jobs than asked for. */
  readonly notes: readonly string[];
}
