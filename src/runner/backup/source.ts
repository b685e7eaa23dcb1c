import type { DatabaseFacts } from '../../domain/manifest.ts';
import type { Note } from '../../domain/note.ts';
import type { Bytes } from '../../pipeline/bytes.ts';
import type { DatabaseSurvey } from '../../postgres/survey-database.ts';

/** A PostgreSQL server as a backup sees it: reachable, its version known, the right programs found. */
export interface Source {
  readonly server: { readonly version: string; readonly major: number };
  readonly pgDumpVersion: string;
  /** What there is to say about the whole run. */
  readonly notes: readonly Note[];
  /** Databases that are no templates nor a provider's own, with their size where it may be read. */
  readonly databases: readonly FoundDatabase[];
  /** What became of a database, by the server's own list. Undefined: it is gone. @throws Failure those of connecting */
  find(oid: string): Promise<(FoundDatabase & { readonly connectionLimit: number }) | undefined>;
  /** What has a name now. Undefined: nothing. @throws Failure those of connecting */
  findNamed(name: string): Promise<FoundDatabase | undefined>;
  /** @throws Failure DatabaseMissing when it vanished */
  look(database: string): Promise<DatabaseLook>;
  /** The dump; the stream ends only after pg_dump ended well with something that is an archive. */
  dump(database: string, look: DatabaseLook): DumpStream;
  dumpGlobals(): Pick<DumpStream, 'bytes' | 'stderrTail'>;
  /** Resolves true when the server answers within the time. */
  answers(withinMilliseconds: number): Promise<boolean>;
  /** Takes away what it needed on disk. */
  close(): Promise<void>;
}

export interface FoundDatabase {
  readonly oid: string;
  readonly name: string;
  /** Why nobody can connect to it, if so. */
  readonly closed?: string;
  /** A restore replaced it, and left it there (`keepPrevious`). */
  readonly isKept?: boolean;
  readonly bytes?: number;
}

/** A database before it is dumped. */
export interface DatabaseLook {
  readonly facts: DatabaseFacts;
  /** Facts that could not be read, and why. */
  readonly missing: readonly string[];
  readonly survey: DatabaseSurvey;
}

export interface DumpStream {
  readonly bytes: Bytes;
  /** Version of the archive format, once the stream has ended. */
  archiveVersion(): string | undefined;
  /** What pg_dump said besides: warnings, errors. Its last 64 KiB. */
  stderrTail(): string;
  /** What there is to say about the dump, once the stream has ended. */
  notes(): readonly Note[];
}
