import { Failure } from '../api/failure.ts';

/** What pg_dump --format=directory writes. Lists of large objects are never compressed. */
const dumpFolderName =
  /^(toc\.dat|[0-9]+\.dat(\.gz|\.lz4|\.zst)?|blobs(_[0-9]+)?\.toc|blob_[0-9]+\.dat(\.gz|\.lz4|\.zst)?)$/;

export function isDumpFolderName(name: string): boolean {
  return dumpFolderName.test(name);
}

/**
 * A member's name without `./` in front and slashes at the end.
 * @throws Failure FileRefused for one that could lead somewhere else
 */
export function readMemberName(name: string): string {
  const plain = name.replace(/^(\.\/)+/, '').replace(/\/+$/, '');
  const parts = plain.split('/');
  const leads =
    name.includes('\\') ||
    name.includes('\0') ||
    name.startsWith('/') ||
    /^[A-Za-z]:/.test(name) ||
    parts.includes('..') ||
    (plain !== '' && plain !== '.' && parts.some((part) => part === ''));
  if (leads) throw new Failure('FileRefused', `a member’s name leads outside: ${JSON.stringify(name.slice(0, 200))}`);
  return plain === '.' ? '' : plain;
}

export function folderOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf('/')));
}

export function baseOf(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1);
}
