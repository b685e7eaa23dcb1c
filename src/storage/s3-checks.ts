import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { Failure } from '../api/failure.ts';
import type { Acknowledged, Checks, S3Head, UploadedPart } from './s3-calls.ts';
import type { CheckKind } from './s3-offers.ts';

const md5Tag = /^[0-9a-f]{32}$/i;
const md5sTag = /^[0-9a-f]{32}(-\d+)?$/i;

/** CRC32 as S3 writes it: four bytes, big endian, base64. Native in Node: 1.6 GB/s. */
export function crc32Of(bytes: Uint8Array): string {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(bytes));
  return sum.toString('base64');
}

export function md5Of(bytes: Uint8Array): Buffer {
  return createHash('md5').update(bytes).digest();
}

export function makeChecks(bytes: Buffer, crc: string, kind: CheckKind): Checks {
  if (kind === 'none') return {};
  return kind === 'crc32' ? { crc32: crc } : { md5: md5Of(bytes).toString('base64') };
}

/**
 * Compares what was sent with what the server says it took: the echoed CRC32, else the ETag where it is an MD5 of the bytes; tells
 * whether that was compared. Throws `StoredBytesDiffer`. A server that says neither is judged at the end.
 */
export function compareAcknowledged(sent: Uint8Array, crc: string, told: Acknowledged, what: string): boolean {
  if (told.crc32 !== undefined) {
    if (told.crc32 !== crc) throw new Failure('StoredBytesDiffer', `${what}: CRC32 ${crc} sent, ${told.crc32} stored`);
    return false;
  }
  if (told.etag === undefined || told.opaqueTag || !md5Tag.test(told.etag)) return false;
  const md5 = md5Of(sent).toString('hex');
  if (md5 !== told.etag.toLowerCase())
    throw new Failure('StoredBytesDiffer', `${what}: MD5 ${md5} sent, ${told.etag} stored`);
  return true;
}

/** By what an object can be recognised as the one we sent. */
export interface Fingerprint {
  readonly bytes: number;
  /** MD5 of the bytes, or of the parts' MD5s with their number, as S3 makes it. */
  readonly etag: string | undefined;
  /** Whether `etag` comes of our bytes: that of several parts may come of what the server said of each. */
  readonly etagIsOurs: boolean;
  /** Of the bytes, or of the parts' sums with their number. */
  readonly crc32: string | undefined;
}

export function fingerprintOf(bytes: Uint8Array, crc: string): Fingerprint {
  return { bytes: bytes.length, etag: md5Of(bytes).toString('hex'), etagIsOurs: true, crc32: crc };
}

/** The fingerprint of an object of several parts: S3 hashes the hashes of the parts. */
export function fingerprintOfParts(parts: readonly UploadedPart[], bytes: number): Fingerprint {
  const hashes = parts.every(({ etag }) => md5Tag.test(etag));
  const md5s = Buffer.concat(parts.map(({ etag }) => Buffer.from(etag, 'hex')));
  const crcs = Buffer.concat(parts.map(({ crc32: sum }) => Buffer.from(sum, 'base64')));
  return {
    bytes,
    etag: hashes ? `${md5Of(md5s).toString('hex')}-${parts.length}` : undefined,
    etagIsOurs: hashes && parts.every(({ md5Compared }) => md5Compared),
    crc32: `${crc32Of(crcs)}-${parts.length}`,
  };
}

export function isSame(head: S3Head, fingerprint: Fingerprint): boolean {
  if (head.bytes !== fingerprint.bytes) return false;
  if (fingerprint.etag !== undefined && head.tag?.toLowerCase() === fingerprint.etag) return true;
  return compareSums(head.crc32, head.crc32OfWhole, fingerprint) === 'same';
}

/**
 * What the server's own sums say of the bytes that it holds now. `same` is the proof that `StoredObject.proven` promises, and it is asked
 * for after the object is complete, not taken from the answer to the request that carried our sum:
 * - the CRC32 of the object is ours: of the bytes, or the sum of the sums of all parts; or
 * - the ETag is the MD5 of our bytes (or the MD5 of the MD5s of our parts, each compared when its part was taken), which nobody can tell
 *   who has not hashed them: it was not sent, but for servers that refuse CRC32, and those check it.
 * ETags of objects under KMS, sums of another kind, and a server that tells none prove nothing: `unknown`.
 */
export function compareHeldSums(
  head: S3Head,
  fingerprint: Fingerprint,
  told: Acknowledged,
): 'same' | 'other' | 'unknown' {
  const sums = compareSums(head.crc32, head.crc32OfWhole, fingerprint);
  if (sums !== 'unknown') return sums;
  const { etag, etagIsOurs } = fingerprint;
  const tag = head.tag?.toLowerCase();
  if (etag === undefined || tag === undefined || head.opaqueTag || !md5sTag.test(tag)) return 'unknown';
  if (tag === etag) return etagIsOurs ? 'same' : 'unknown';
  // A server whose tags were our hashes when it took the bytes, and are others now, holds others now; unless it tells the hash of the whole
  // now, where it told that of the parts.
  const sameKind = tag.includes('-') === etag.includes('-');
  return sameKind && told.etag?.toLowerCase() === etag && !told.opaqueTag ? 'other' : 'unknown';
}

function compareSums(
  told: string | undefined,
  ofWhole: boolean,
  { crc32: ours }: Fingerprint,
): 'same' | 'other' | 'unknown' {
  if (told === undefined || ours === undefined) return 'unknown';
  // Some servers leave the number of parts away from the sum of sums.
  if (told === ours || (!ofWhole && !told.includes('-') && told === ours.replace(/-\d+$/, ''))) return 'same';
  // The sum of all bytes of an object in parts says nothing to us: we know the sums of the parts.
  const sameKind = told.includes('-') === ours.includes('-');
  return sameKind ? 'other' : 'unknown';
}

/** Compares the acknowledged checksum of the whole where it is one of the parts' checksums. Throws `StoredBytesDiffer`. */
export function compareCompleted({ crc32: expected }: Fingerprint, told: Acknowledged, what: string): void {
  if (expected === undefined || told.crc32 === undefined || !/-\d+$/.test(told.crc32)) return;
  if (told.crc32 !== expected)
    throw new Failure('StoredBytesDiffer', `${what}: CRC32 ${expected} sent, ${told.crc32} stored`);
}
