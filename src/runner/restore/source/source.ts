import type { RestoredSource } from '../../../api/restore-spec.ts';
import type { DatabaseFacts } from '../../../domain/manifest.ts';
import type { Bytes } from '../../../pipeline/bytes.ts';
import type { ScriptOptions } from '../../../postgres/load-script.ts';

/** What is restored into one database. */
export interface RestoreInput {
  /** Its name where it comes from, if it has one. */
  readonly database?: string;
  /** custom and tar: an archive of pg_dump; directory: several files, see `unpack`; sql: a script, see `part`. */
  readonly format: 'custom' | 'tar' | 'directory' | 'sql';
  /**
   * The plain bytes (not of format directory) from the beginning, as often as asked: a table of contents is read first, and left early.
   * Throws instead of ending unless what was read is whole: sizes and hashes of the manifest, or checksums of its container.
   * @throws Failure BackupDamaged, FileDamaged, FileRefused, ObjectMissing and those of the place
   */
  readonly open: (signal: AbortSignal) => Bytes;
  /** Only of format directory: its files, written below `folder`, nothing outside of it. Returns the archive's folder. */
  readonly unpack?: (folder: string, signal: AbortSignal) => Promise<string>;
  /** Only of format sql: what of it is meant (a database of pg_dumpall's). */
  readonly part?: ScriptOptions['part'];
  /** Plain bytes, if known. */
  readonly expectedBytes?: number;
  /** What the archive alone does not carry (manifest). */
  readonly facts?: DatabaseFacts;
}

/** One input for each target, in the order of the targets. */
export interface RestoreSource {
  readonly chosen: RestoredSource;
  /** True when it is the one of `unlessRestored`: there are no inputs then. */
  readonly unchanged: boolean;
  readonly inputs: readonly { readonly target: string; readonly input: RestoreInput }[];
  /** What a good restore of it has to say. */
  readonly notes?: readonly string[];
  /** Major of the server that the dump came from, if known without reading the archive. */
  readonly serverMajor?: number;
  /** SQL of pg_dumpall --globals-only, if the source has one. Anew with each call; whole or an error. */
  readonly openGlobals?: (signal: AbortSignal) => Bytes;
  /** Bytes fetched so far. */
  readonly readBytes: () => number;
  readonly close: () => Promise<void>;
}
