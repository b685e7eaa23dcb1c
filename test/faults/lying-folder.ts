import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Failure } from '../../src/api/failure.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { changeStorage } from '../builders/change-storage.ts';
import { foldPath, spoilFile, type Spoil } from './spoil-file.ts';

/** What a folder does to keys that end so. */
export interface FolderLie {
  readonly about?: string;
  readonly spoil?: Spoil;
  /** How often a key is not there after it was put. */
  readonly deny?: number;
  /** Names that differ in upper and lower case only are one name, as on vfat, NTFS or SMB. */
  readonly fold?: boolean;
  /** Written when it was met. */
  readonly met?: number;
}

/** The lie of a folder stands in a file beside it. */
export const lieFile = (path: string): string => `${path}.lie`;

/** A folder that lies as the file beside it says; every other place is what it is. */
export function lyingFolder(storage: Storage): Storage {
  if (!storage.name.startsWith('file:')) return storage;
  const path = fileURLToPath(storage.name);
  if (!existsSync(lieFile(path))) return storage;
  const lie = JSON.parse(readFileSync(lieFile(path), 'utf8')) as FolderLie;
  const isMeant = (key: string): boolean => lie.about !== undefined && key.endsWith(lie.about);
  const count = (): void => {
    writeFileSync(`${lieFile(path)}.new`, JSON.stringify({ ...lie, met: 1 }));
    renameSync(`${lieFile(path)}.new`, lieFile(path));
  };
  const inner = (key: string): string =>
    lie.fold === true ? foldPath(join(path, key)).slice(join(path, '/').length) : key;
  let hidden = 0;
  const hides = (key: string): boolean => isMeant(key) && hidden-- > 0;
  return changeStorage(storage, {
    put: async (key, ...rest) => {
      const stored = await storage.put(inner(key), ...rest);
      if (!isMeant(key)) return stored;
      hidden = lie.deny ?? 0;
      if (hidden > 0 || (lie.spoil !== undefined && spoilFile(lie.spoil, join(path, inner(key))))) count();
      return stored;
    },
    async *get(key, ...rest) {
      if (hides(key)) throw new Failure('ObjectMissing', `${key} is hidden`);
      yield* storage.get(inner(key), ...rest);
    },
    stat: async (key, signal) => {
      const found = hides(key) ? undefined : await storage.stat(inner(key), signal);
      return found === undefined ? undefined : { ...found, key };
    },
    delete: (key, signal) => storage.delete(inner(key), signal),
  });
}
