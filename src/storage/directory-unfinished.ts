import { join } from 'node:path';
import { throwIfAborted } from './abortable.ts';
import { readFolder, statFile } from './directory-files.ts';
import { isTemporaryName, mayHold } from './keys.ts';
import type { Unfinished } from './storage.ts';

/** Temporary files in a folder and below; `folder` is its key with a slash at the end, '' for the root. Links are not followed. */
export async function* listTemporaryFiles(
  path: string,
  folder: string,
  prefix: string,
  signal: AbortSignal,
): AsyncGenerator<Unfinished, void, undefined> {
  throwIfAborted(signal);
  for (const { name, key, isFolder, isLink } of await readFolder(path, folder, isTemporaryName)) {
    if (isLink) continue;
    if (isFolder) {
      if (mayHold(key, prefix, undefined)) yield* listTemporaryFiles(join(path, name), key, prefix, signal);
    } else if (key.startsWith(prefix)) {
      const found = await statFile(join(path, name), key);
      if (found !== undefined) yield { key, bytes: found.bytes, sinceMs: found.modifiedAtMs };
    }
  }
}
