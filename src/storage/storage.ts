/**
 * The contract of a place that keeps objects. Every driver passes the same conformance suite
 * (test/suites/storage-conformance.ts), one case for each sentence below.
 *
 * Keys are relative paths of one to 1 024 bytes: segments of 1 to 255 of `[A-Za-z0-9._%~+=@-]`, joined by `/`, none `.` or `..`; what
 * else is written fails with StorageConfigInvalid. Foreign objects may have other names: those are listed, read and deleted too, as long
 * as they stay below the root. A key is a string and has no meaning here. All failures are `Failure`s whose reason starts with `Storage`,
 * or is HostKeyMismatch, TlsFailed, StoredBytesDiffer, ObjectMissing, AlreadyStored, SecretInvalid or Aborted.
 */

import type { Failure } from '../api/failure.ts';

/** Bytes on their way. Chunks may be of any size; drivers cut and gather for themselves. */
export type Bytes = AsyncIterable<Uint8Array>;

export interface PutOptions {
  /**
   * Refuse with `AlreadyStored` when the key exists. Atomic where `conditionalPut` is true (the place decides);
   * elsewhere looked up just before the object becomes visible.
   */
  readonly onlyIfAbsent?: boolean;
  /** Refuse, and leave the older object, where the place cannot replace it in one step: it is never out of sight. */
  readonly inOneStep?: boolean;
  /**
   * Store it as a body that is larger than one part, although it may be small: what that needs of a place can be tried so. It is begun before
   * the first byte is asked for. Places that know no parts take no notice.
   */
  readonly inParts?: boolean;
  /**
   * Told true when the place begins to sync what it took to its disk, and false when that is done: meanwhile it may take no bytes, and is no
   * less at work. Places that do not tell take no notice.
   */
  readonly onSync?: (begins: boolean) => void;
}

/** What the place says it holds after a put. */
export interface StoredObject {
  /** Size in bytes as the place tells it (asked after the write, not counted by us). */
  readonly bytes: number;
  /** The place's own mark of this content (ETag), if it has one. */
  readonly tag?: string;
  /** The object's version id, if the place keeps versions. */
  readonly versionId?: string;
  /**
   * True only if the place itself computed a checksum over the bytes that it holds and that one equals ours. Absent where nothing but
   * the size is known: then bytes are proven by reading them back.
   */
  readonly proven?: boolean;
}

export interface ObjectStat {
  readonly key: string;
  readonly bytes: number;
  /** Milliseconds since the epoch, by the place's clock; whole seconds on some places, 0 on those that do not say. */
  readonly modifiedAtMs: number;
  readonly tag?: string;
  /** The key of the file itself, where this one is a symbolic link to it, or behind one. */
  readonly target?: string;
}

/** A temporary file, or a multipart upload that was neither completed nor aborted. */
export interface Unfinished {
  /** Of the file itself, which lies beside its final key; of an upload the final key. */
  readonly key: string;
  /** The upload's id; absent of files. */
  readonly uploadId?: string;
  /** Absent where the place does not say (uploads). */
  readonly bytes?: number;
  /** Milliseconds since the epoch, by the place's clock: when a file was last written to, when an upload began; 0 if it does not say. */
  readonly sinceMs: number;
}

export interface Range {
  /** First byte, counted from 0. */
  readonly start: number;
  /** Last byte, inclusive; to the end if absent. */
  readonly end?: number;
}

/** `key` is a folder, with a slash at its end, or a symbolic link. */
export type LeftOut = (key: string, failure: Failure) => void;

export interface Storage {
  /** For messages and logs: `s3://bucket/prefix`, `sftp://host:port/path`, `file:///path`. Holds no secret. */
  readonly name: string;
  /**
   * True where `onlyIfAbsent` is decided by the place in one step. May change while the place is used: S3 is true until the server has
   * refused the condition, a directory until its file system has refused a link, SFTP is false until it is connected.
   */
  readonly conditionalPut: boolean;

  /**
   * Stores all of `body` under `key`, replacing what was there. Resolves when the bytes are durable, with what the place says
   * it holds. Until then nothing is visible under the key; on a failure of the body, of the place, or on abort nothing is left
   * behind (no object, no temporary file, no unfinished multipart upload), and an older object under the key is untouched.
   * The error of a failing body is rethrown as it is. Memory is bounded, whatever the length.
   */
  put(key: string, body: Bytes, options: PutOptions, signal: AbortSignal): Promise<StoredObject>;

  /**
   * The object's bytes, whole or a range (clipped at the object's end; no bytes when it begins there or behind). Never ends short
   * silently: fewer bytes than announced is a failure.
   * A missing key fails with ObjectMissing, at the latest when the first chunk is asked for. Symbolic links are followed as long as they
   * stay inside the root; one that leads out is StorageDenied.
   * Leaving the loop early releases the connection.
   */
  get(key: string, range: Range | undefined, signal: AbortSignal): Bytes;

  /** Size, time and tag, or undefined when the key does not exist. Symbolic links as with `get`. */
  stat(key: string, signal: AbortSignal): Promise<ObjectStat | undefined>;

  /**
   * Every object whose key starts with `prefix` (a plain string prefix; '' = all), each once, in ascending order of the UTF-8
   * bytes of the keys, across all pages of the place. Temporary files and unfinished uploads are never listed.
   * `after` leaves out keys up to and including it. A listing that cannot be completed fails; it never ends early. The one exception is
   * for who can do without: where `leftOut` is given, folders below the one that the prefix names that may not be read (`lost+found`)
   * are left out, and it is told of each, perhaps more than once. Symbolic links to files and folders inside the root are followed for
   * it, and only for it; it is told of those that lead out, and of a link to a folder behind another such link, which is not followed.
   */
  list(prefix: string, after: string | undefined, signal: AbortSignal, leftOut?: LeftOut): AsyncIterable<ObjectStat>;

  /**
   * Resolves when the key does not exist any more, whether or not it did before. Nothing is deleted (or put) through a symbolic link:
   * StorageDenied.
   */
  delete(key: string, signal: AbortSignal): Promise<void>;

  /**
   * What is unfinished and has a key that starts with `prefix`, in no certain order, by whomever it was begun: writers that are at work
   * too. Only what this driver makes: temporary files of other programs are objects. A listing that the place does not allow or does not
   * know fails.
   */
  listUnfinished(prefix: string, signal: AbortSignal): AsyncIterable<Unfinished>;

  /**
   * Resolves when it does not exist any more, whether or not it did before. Its writer, if it is still at work, fails, and leaves nothing.
   */
  removeUnfinished(item: Unfinished, signal: AbortSignal): Promise<void>;

  /** Ends connections. Idempotent; never throws. */
  close(): Promise<void>;
}
