import type { Acknowledged } from './s3-calls.ts';

/** What answers to puts and looks have in common. */
export function readAcknowledged(told: {
  readonly ETag?: string | undefined;
  readonly ChecksumCRC32?: string | undefined;
  readonly VersionId?: string | undefined;
  readonly ServerSideEncryption?: string | undefined;
  readonly SSECustomerAlgorithm?: string | undefined;
  readonly SSEKMSKeyId?: string | undefined;
  readonly StorageClass?: string | undefined;
}): Acknowledged {
  const etag = unquote(told.ETag);
  const { ChecksumCRC32: crc32, VersionId: versionId } = told;
  return {
    ...(etag === undefined ? {} : { etag }),
    ...(crc32 === undefined ? {} : { crc32 }),
    ...(versionId === undefined || versionId === 'null' ? {} : { versionId }),
    opaqueTag: (told.ServerSideEncryption ?? '').startsWith('aws:kms') || told.SSECustomerAlgorithm !== undefined,
    algorithm: told.ServerSideEncryption,
    kmsKeyId: told.SSEKMSKeyId,
    storageClass: told.StorageClass,
  };
}

/** A tag without its quotes. Proxies that compress mark the store's tags as weak; they name the same bytes here. */
export function unquote(etag: string | undefined): string | undefined {
  return etag?.replace(/^W\//i, '').replaceAll('"', '');
}
