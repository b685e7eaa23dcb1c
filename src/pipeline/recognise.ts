/* oxlint-disable no-control-regex -- beginnings of binary formats */
import { Failure } from '../api/failure.ts';
import { looksLikeSql } from './looks-like-sql.ts';
import { isTarHeader, isTarOfDump, tarBlock } from './tar-header.ts';

/** What a file can be that is restored, or unpacked. `dump-tar`: the tar of pg_dump itself; `tar`: made by tar. */
export type ContentKind = 'custom' | 'dump-tar' | 'tar' | 'gzip' | 'zstd' | 'zip' | 'sql' | 'dumpall';

export type Content = { readonly kind: ContentKind } | { readonly kind: 'refused'; readonly failure: Failure };

/** So many first bytes are asked for. */
export const headBytes = 64 * 1024;

interface Refusal {
  readonly reason: 'FileUnknown' | 'FileEncrypted' | 'FileIncomplete';
  readonly what: string;
  readonly hint?: string;
}

/** Beginnings, as latin1. */
const kinds: readonly (readonly [RegExp, ContentKind])[] = [
  [/^PGDMP/, 'custom'],
  [/^\x1f\x8b/, 'gzip'],
  [/^\x28\xb5\x2f\xfd/, 'zstd'],
  // A frame to be skipped: pzstd begins with one.
  [/^[\x50-\x5f]\x2a\x4d\x18/, 'zstd'],
  [/^PK(\x03\x04|\x05\x06|\x07\x08)/, 'zip'],
];

const packed = (what: string): Refusal => ({
  reason: 'FileUnknown',
  what: `compressed with ${what}`,
  hint: 'unpack it, and upload it as it is or with gzip, zstd or ZIP',
});
const encrypted = (what: string): Refusal => ({ reason: 'FileEncrypted', what: `encrypted with ${what}` });
const unknown = (what: string, hint?: string): Refusal => ({
  reason: 'FileUnknown',
  what,
  ...(hint === undefined ? {} : { hint }),
});

const refusals: readonly (readonly [RegExp, Refusal])[] = [
  [/^BZh[1-9]/, packed('bzip2')],
  [/^\xfd7zXZ\x00/, packed('xz')],
  [/^\x5d\x00\x00[\x00-\xff]{2}\xff\xff/, packed('lzma')],
  [/^LZIP/, packed('lzip')],
  [/^\x04\x22\x4d\x18/, packed('lz4')],
  [/^7z\xbc\xaf\x27\x1c/, packed('7-Zip')],
  [/^Rar!\x1a\x07/, packed('RAR')],
  [/^\x1f[\x9d\xa0]/, packed('compress')],
  [
    /^\x02\x04\x78|^\x01\x80\x03/,
    {
      reason: 'FileEncrypted',
      what: 'an encrypted artifact of a backup of ours, or another message of the AWS Encryption SDK',
      hint: 'restore the backup itself (source.backup or source.policy), whose manifest leads to the key',
    },
  ],
  [/^age-encryption\.org\/|^-----BEGIN AGE ENCRYPTED FILE-----/, encrypted('age')],
  [/^Salted__|^U2FsdGVkX1/, encrypted('openssl')],
  [/^-----BEGIN PGP MESSAGE-----/, encrypted('gpg')],
  // Packets of OpenPGP: a key for somebody, version 3, or a passphrase's, version 4.
  [/^(\x85[\x00-\xff]{2}|\x84[\x00-\xff]|\xc1[\x00-\xbf]|\xc1[\xc0-\xdf][\x00-\xff])\x03/, encrypted('gpg')],
  [/^[\x8c\xc3][\x04-\x2f][\x04-\x06][\x01-\x0d]/, encrypted('gpg')],
  [/^RCLONE\x00\x00/, encrypted('rclone crypt')],
  [/^(\xff\xfe|\xfe\xff)/, unknown('a text in UTF-16', 'convert it: iconv -f UTF-16 -t UTF-8')],
  [
    /^[\x01-\x7f]\x00[\x01-\x7f]\x00|^\x00[\x01-\x7f]\x00[\x01-\x7f]/,
    unknown('a text in UTF-16', 'convert it: iconv -f UTF-16 -t UTF-8'),
  ],
  [/^SQLite format 3\x00/, unknown('a database of SQLite')],
  [/^-- (MySQL|MariaDB) dump/, unknown('a dump of MySQL or MariaDB')],
  [/^\/\*M?!\d{5,6}|^\/\*M!999999/, unknown('a dump of MySQL or MariaDB')],
  [/^\s*<(!doctype|html|\?xml)/i, unknown('a web page or XML', 'perhaps an error page was saved in its place')],
  [/^%PDF-/, unknown('a PDF')],
];

/** Says what a file is by its first bytes (at least `headBytes`, or all). `name` stands in messages. */
export function recognise(head: Buffer, name: string): Content {
  if (head.length === 0) {
    return refused(name, { reason: 'FileIncomplete', what: 'empty: its upload has only begun, or failed' });
  }
  const start = head.toString('latin1', 0, 300);
  const kind = kinds.find(([pattern]) => pattern.test(start))?.[1];
  if (kind !== undefined) return { kind };
  if (isTarHeader(head.subarray(0, tarBlock)))
    return { kind: isTarOfDump(head.subarray(0, tarBlock)) ? 'dump-tar' : 'tar' };
  const text = start.startsWith('\xef\xbb\xbf') ? head.subarray(3) : head;
  const refusal = refusals.find(([pattern]) =>
    pattern.test(text === head ? start : text.toString('latin1', 0, 300)),
  )?.[1];
  if (refusal !== undefined) return refused(name, refusal);
  const words = text.toString('utf8');
  if (text.includes(0)) return refused(name, unknown('not known: neither an archive of pg_dump nor SQL'));
  if (!looksLikeSql(words)) return refused(name, unknown('a text that does not begin as SQL'));
  return { kind: /^\s*--\s*\n-- PostgreSQL database cluster dump\r?\n/.test(words) ? 'dumpall' : 'sql' };
}

function refused(name: string, { reason, what, hint }: Refusal): Content {
  return { kind: 'refused', failure: new Failure(reason, `${name} is ${what}`, hint === undefined ? {} : { hint }) };
}
