import type { S3Verb } from './s3-verb.ts';

/** Something optional that a request of a modern S3 client carries. */
export type S3Option =
  /** `x-amz-checksum-crc32` and its kin on what is put. */
  | 'checksum'
  /** `x-amz-checksum-algorithm` when an upload begins. */
  | 'checksum-algorithm'
  /** `x-amz-checksum-mode` on HEAD and GET. */
  | 'checksum-mode'
  /** `<ChecksumCRC32>` of parts when an upload is completed. */
  | 'checksum-elements'
  /** `If-None-Match` on what is put or completed. */
  | 'condition'
  | 'expect'
  | 'content-md5';

export interface Refusal {
  readonly option: S3Option;
  /** Default: whatever carries it. */
  readonly on?: readonly S3Verb[];
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

/** How a provider differs from AWS. */
export interface S3Manners {
  /** Answered with an error. */
  readonly refuses?: readonly Refusal[];
  /** Taken as if it were not there. */
  readonly ignores?: readonly S3Option[];
  /** Requests of these kinds are 501. */
  readonly unknown?: readonly S3Verb[];
  /** All parts but the last must have the same length: told when the upload is completed. */
  readonly equalParts?: boolean;
  /** ETags are no hashes of the bytes: of parts, or of objects that were put in parts. */
  readonly opaqueTags?: readonly ('parts' | 'objects')[];
  /** Every so many puts of parts or objects are answered 503 the first time. */
  readonly busyEvery?: number;
  /** What is echoed of a checksum is left away. */
  readonly tellsNoChecksum?: boolean;
}

const unsupportedHeader = (option: S3Option, header: string): Refusal => ({
  option,
  status: 400,
  code: 'InvalidArgument',
  message: `Unsupported header '${header}' received for this API call.`,
});
const notImplemented = (option: S3Option): Refusal => ({
  option,
  status: 501,
  code: 'NotImplemented',
  message: 'A header you provided implies functionality that is not implemented.',
});

/**
 * As documented, or as users of other tools report it, late in 2026:
 * R2: developers.cloudflare.com/r2 (S3 API compatibility, multipart limitations); s3fs-fuse#2095 (ETags of parts).
 * B2: backblaze.com/docs/cloud-storage-s3-compatible-api (unsupported features); nocodb#10942, zipline#746, home-assistant/core#143995.
 * GCS: cloud.google.com/storage/docs/xml-api (multipart uploads, preconditions by generation only); aws-sdk-java-v2#6055.
 */
export const providers = {
  'Cloudflare R2': {
    equalParts: true,
    opaqueTags: ['parts'],
    unknown: ['parts'],
  },
  'Cloudflare R2 of early 2025': {
    equalParts: true,
    opaqueTags: ['parts'],
    unknown: ['parts'],
    refuses: [
      { ...notImplemented('checksum'), message: "Header 'x-amz-checksum-crc32' with value '…' not implemented" },
      {
        ...notImplemented('checksum-algorithm'),
        message: "Header 'x-amz-checksum-algorithm' with value 'CRC32' not implemented",
      },
    ],
  },
  'Backblaze B2': {
    refuses: [
      unsupportedHeader('checksum', 'x-amz-checksum-crc32'),
      unsupportedHeader('checksum-algorithm', 'x-amz-checksum-algorithm'),
      unsupportedHeader('checksum-mode', 'x-amz-checksum-mode'),
      notImplemented('condition'),
    ],
    busyEvery: 9,
  },
  'Google Cloud Storage': {
    ignores: ['condition', 'checksum', 'checksum-algorithm', 'checksum-mode'],
    refuses: [
      {
        option: 'checksum-elements',
        status: 400,
        code: 'MalformedCompleteMultipartUploadRequest',
        message: 'The request body was not well-formed or did not validate against the schema.',
      },
    ],
    opaqueTags: ['objects'],
  },
} as const satisfies Readonly<Record<string, S3Manners>>;
