import { Failure } from '../api/failure.ts';
import type { Random } from '../support/clock.ts';

const longestKey = 1024;
const longestSegment = 255;
const storable = /^[A-Za-z0-9._%~+=@-]+(\/[A-Za-z0-9._%~+=@-]+)*$/;

/** A key that is written must keep the grammar of the contract. Throws `StorageConfigInvalid`. */
export function checkWrittenKey(key: string): void {
  checkReadKey(key);
  if (!storable.test(key)) throw badKey(key, 'has characters that not every place can keep');
}

/** Foreign objects may have odd names; what is read or deleted must only be a relative path that stays where it is. */
export function checkReadKey(key: string): void {
  const length = Buffer.byteLength(key);
  if (length === 0 || length > longestKey) throw badKey(key, `is not of 1 to ${longestKey} bytes`);
  for (const segment of key.split('/')) {
    if (segment === '' || segment === '.' || segment === '..') throw badKey(key, 'has an empty, . or .. segment');
    if (Buffer.byteLength(segment) > longestSegment)
      throw badKey(key, `has a segment of more than ${longestSegment} bytes`);
    if (segment.includes('\0')) throw badKey(key, 'has a zero byte');
    if (isTemporaryName(segment)) throw badKey(key, 'is the name of a temporary file');
  }
}

/** S3 keeps any key, `a//b` and `folder/` too; only what a proxy on the way could resolve to another place is refused. */
export function checkObjectKey(key: string): void {
  if (key === '') throw badKey(key, 'is empty');
  if (key.split('/').some((segment) => segment === '.' || segment === '..')) throw badKey(key, 'has a . or .. segment');
}

function badKey(key: string, what: string): Failure {
  return new Failure('StorageConfigInvalid', `key ${JSON.stringify(key.slice(0, 200))} ${what}`);
}

/** Ascending order of the UTF-8 bytes. */
export function compareKeys(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** The comma is outside the grammar of keys: no object of ours can ever be taken for a temporary file, or the other way round. */
const temporaryName = /^\.pgbackup-tmp,[0-9a-f]{24}$/;

export function makeTemporaryName(random: Random): string {
  return `.pgbackup-tmp,${Buffer.from(random.bytes(12)).toString('hex')}`;
}

export function isTemporaryName(name: string): boolean {
  return temporaryName.test(name);
}

/** The key of a temporary file: as one that is read, but for its last segment. Throws `StorageConfigInvalid`. */
export function checkTemporaryKey(key: string): void {
  const slash = key.lastIndexOf('/');
  if (!isTemporaryName(key.slice(slash + 1))) throw badKey(key, 'is not the name of a temporary file');
  if (slash >= 0) checkReadKey(key.slice(0, slash));
}

/** The folder (with its slash at the end, '' = the root) that a listing begins in; undefined where no file can have such a key. */
export function folderOfPrefix(prefix: string): string | undefined {
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  const segments = folder.split('/').slice(0, -1);
  return segments.some((segment) => segment === '' || segment === '.' || segment === '..') ? undefined : folder;
}

/** Whether a folder (a key with its slash at the end, '' = the root) can hold keys that start with `prefix` and come after `after`. */
export function mayHold(folder: string, prefix: string, after: string | undefined): boolean {
  if (!folder.startsWith(prefix) && !prefix.startsWith(folder)) return false;
  return after === undefined || after.startsWith(folder) || compareKeys(folder, after) > 0;
}

/** Whether a listing from `prefix` and `after` shows this key. */
export function isListed(key: string, prefix: string, after: string | undefined): boolean {
  return key.startsWith(prefix) && (after === undefined || compareKeys(key, after) > 0);
}
