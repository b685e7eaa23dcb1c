import type { ObjectStat } from './storage.ts';

/** The requests that the S3 driver makes, one each, with all errors as Failures. s3.ts makes them with the SDK. */
export interface S3Calls {
  /** `s3://bucket`. */
  readonly name: string;
  putObject(
    key: string,
    bytes: Buffer,
    checks: Checks,
    condition: Condition,
    signal: AbortSignal,
  ): Promise<Acknowledged>;
  createUpload(key: string, withChecksums: boolean, signal: AbortSignal): Promise<string>;
  uploadPart(
    upload: UploadRef,
    number: number,
    bytes: Buffer,
    checks: Checks,
    signal: AbortSignal,
  ): Promise<Acknowledged>;
  completeUpload(
    upload: UploadRef,
    parts: readonly UploadedPart[],
    condition: Condition,
    signal: AbortSignal,
  ): Promise<Acknowledged>;
  /** Also resolves when there is no such upload. */
  abortUpload(upload: UploadRef, signal: AbortSignal): Promise<void>;
  /** Whether the upload is still there, as far as one may know. */
  hasUpload(upload: UploadRef, signal: AbortSignal): Promise<boolean>;
  /** Undefined when the key does not exist. `withChecksum` asks for the checksum too. */
  head(key: string, withChecksum: boolean, signal: AbortSignal): Promise<S3Head | undefined>;
  get(key: string, from: GetFrom, signal: AbortSignal): Promise<S3Download>;
  listPage(page: ListPageRequest, signal: AbortSignal): Promise<ListPage>;
  /** One page of the uploads that are neither completed nor aborted. */
  listUploads(prefix: string, from: UploadMarker | undefined, signal: AbortSignal): Promise<UploadPage>;
  deleteObject(key: string, signal: AbortSignal): Promise<void>;
  close(): void;
}

/** Where the next page of a listing of uploads begins. */
export interface UploadMarker {
  readonly key: string;
  readonly id: string;
}

export interface UploadPage {
  readonly uploads: readonly { readonly key: string; readonly id: string; readonly initiatedMs: number }[];
  /** Undefined on the last page. */
  readonly next: UploadMarker | undefined;
}

export interface UploadRef {
  readonly key: string;
  readonly id: string;
}

/** What is sent along so that the server can check the bytes. At most one member is set. */
export interface Checks {
  /** Base64, big endian. */
  readonly crc32?: string;
  /** Base64, for servers that refuse checksums. */
  readonly md5?: string;
}

export interface Condition {
  readonly ifAbsent: boolean;
}

/** What the server says about bytes it took. */
export interface Acknowledged {
  /** Without quotes. */
  readonly etag?: string;
  readonly crc32?: string;
  readonly versionId?: string;
  /** Encrypted so that the ETag is no MD5 of the bytes. */
  readonly opaqueTag: boolean;
}

export interface UploadedPart {
  readonly number: number;
  readonly etag: string;
  readonly crc32?: string;
}

export interface S3Head extends ObjectStat {
  readonly crc32?: string;
  readonly versionId?: string;
}

export interface GetFrom {
  /** First byte; undefined = no Range header. */
  readonly start: number | undefined;
  /** Last byte, inclusive. */
  readonly end: number | undefined;
  /** Fail with `PreconditionFailed` when the object is not this one any more. */
  readonly tag: string | undefined;
}

export interface S3Download {
  readonly body: AsyncIterable<Uint8Array> & { destroy(error?: Error): unknown };
  /** Bytes that this answer announces. */
  readonly length: number;
  /** First byte that the answer really begins with. */
  readonly start: number;
  readonly tag: string | undefined;
}

export interface ListPageRequest {
  readonly prefix: string;
  readonly after: string | undefined;
  readonly token: string | undefined;
}

export interface ListPage {
  readonly objects: readonly ObjectStat[];
  /** Undefined on the last page. */
  readonly next: string | undefined;
}
