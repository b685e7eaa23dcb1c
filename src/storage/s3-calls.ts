import type { Asked } from './s3-asked.ts';
import type { ObjectStat } from './storage.ts';

/** The requests that the S3 driver makes, one each, with all errors as Failures. s3.ts makes them with the SDK. */
export interface S3Calls {
  /** `s3://bucket`. */
  readonly name: string;
  /** @throws Failure StorageMissing when there is no such bucket, as far as one may look: some servers make one at the first put. */
  checkBucket(key: string, signal: AbortSignal): Promise<void>;
  putObject(object: NewObject, bytes: Buffer, checks: Checks, signal: AbortSignal): Promise<Acknowledged>;
  createUpload(object: NewObject, withChecksums: boolean, signal: AbortSignal): Promise<string>;
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
    options: { readonly withSums: boolean; readonly ifAbsent: boolean },
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

export interface NewObject {
  readonly key: string;
  /** Only if there is no object of this key. */
  readonly ifAbsent: boolean;
  /** In the storage class of the location; small objects that are read often (manifests, probes) never are. */
  readonly inClass: boolean;
}

/** What the server says about bytes it took. */
export interface Acknowledged extends Asked {
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
  /** Of our bytes. */
  readonly crc32: string;
  /** The ETag is the MD5 of our bytes, and was compared. */
  readonly md5Compared: boolean;
}

export interface S3Head extends ObjectStat, Asked {
  readonly crc32?: string;
  /** The server says that `crc32` is of all bytes, and no sum of the parts' sums. */
  readonly crc32OfWhole: boolean;
  readonly opaqueTag: boolean;
  readonly versionId?: string;
}

export interface GetFrom {
  /** First byte; undefined = no Range header. */
  readonly start: number | undefined;
  /** Last byte, inclusive. */
  readonly end: number | undefined;
}

export interface S3Download {
  readonly body: AsyncIterable<Uint8Array> & { destroy(error?: Error): unknown };
  /** Bytes that this answer announces. */
  readonly length: number;
  /** First byte that the answer really begins with. */
  readonly start: number;
  readonly tag: string;
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
