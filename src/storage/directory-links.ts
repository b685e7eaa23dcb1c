import { type FileHandle, readlink, realpath } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { errorCode, toDirectoryFailure } from './directory-errors.ts';
import { nothingThere } from './directory-files.ts';
import { leadsOut } from './inner-links.ts';
import { isTemporaryName } from './keys.ts';

/** The key of a real path, with the root as it really is called; undefined outside of it. */
export function keyInside(root: string, path: string): string | undefined {
  const start = root.endsWith('/') ? root : `${root}/`;
  return path.startsWith(start) ? path.slice(start.length) : undefined;
}

/**
 * Where a path below the root really is, after all links; undefined when nothing is there. `key` is what it is called.
 * @throws Failure StorageDenied when it is outside, or may not be looked at
 */
export async function resolveInside(
  root: string,
  key: string,
  path = join(root, key),
): Promise<{ readonly path: string; readonly target: string } | undefined> {
  let real: string;
  try {
    real = await realpath(path);
  } catch (error) {
    if (nothingThere.has(errorCode(error))) return undefined;
    throw toDirectoryFailure(error);
  }
  const target = real === root ? '' : keyInside(root, real);
  if (target === undefined) throw leadsOut(key, root);
  return isTemporaryName(basename(real)) ? undefined : { path: real, target };
}

/**
 * Whether an open file is inside, where the system tells its path: a link may have been put in its way since it was looked at.
 * @throws Failure StorageDenied
 */
export async function checkInside(file: FileHandle, root: string, key: string): Promise<void> {
  const path = await readlink(`/proc/self/fd/${file.fd}`).catch(() => undefined);
  if (path !== undefined && keyInside(root, path) === undefined) throw leadsOut(key, root);
}
