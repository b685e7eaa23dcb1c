import { toFailure } from '../../api/failure.ts';
import { backupFolder, manifestKey, parseAttemptKey } from '../../domain/layout.ts';
import type { Storage } from '../../storage/storage.ts';
import { deleteKeys } from '../delete-keys.ts';
import type { Workshop } from '../workshop.ts';
import { addToFolder, findUnnamed, type FolderSeen } from './judge-folder.ts';
import type { RemainsWork } from './remains-work.ts';

/** Of one folder at one inspection; the next one goes on. */
const mostKeys = 10_000;

export interface Removed {
  readonly objects: number;
  readonly bytes: number;
}

/**
 * Removes volumes that an earlier inspection found without a manifest, if this one finds the same: nothing that a manifest names, or could
 * name once it can be read again; nothing of a try that wrote lately; no foreign object. A folder about which the place fails to answer
 * stays as it is.
 */
export async function removeFolders(
  { task, given, storage, placeNowMs }: RemainsWork,
  isOld: (policy: string, newestMs: number) => boolean,
  { log, signal: run }: Pick<Workshop, 'log' | 'signal'>,
  signal: AbortSignal,
): Promise<Removed> {
  let objects = 0;
  let bytes = 0;
  if (placeNowMs === undefined || task.accessMode !== 'ReadWrite') return { objects, bytes };
  for (const name of given.remove) {
    const [policy = '', backup = ''] = name.split('/');
    const folder = backupFolder(task.namespace, policy, backup);
    try {
      const sizes = await findOld(storage, folder, manifestKey(task.namespace, policy, backup), isOld, signal);
      const failed = await deleteKeys(
        storage,
        [...sizes.keys()],
        (key) => {
          objects += 1;
          bytes += sizes.get(key) ?? 0;
        },
        signal,
      );
      log.info('removed what remained of a run', { folder, objects: sizes.size });
      if (failed !== undefined) throw failed;
    } catch (error) {
      run.throwIfAborted();
      log.warn('what remains of a run could not be removed', { folder, error: toFailure(error).message });
    }
  }
  return { objects, bytes };
}

/** The keys that go, with their sizes. Nothing is deleted before the folder was listed to its end. */
async function findOld(
  storage: Storage,
  folder: string,
  manifest: string,
  isOld: (policy: string, newestMs: number) => boolean,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const sizes = new Map<string, number>();
  let seen: FolderSeen | undefined;
  for await (const found of storage.list(folder, undefined, signal)) {
    seen = addToFolder(seen, found);
    if (parseAttemptKey(found.key) !== undefined && sizes.size < mostKeys) sizes.set(found.key, found.bytes);
  }
  // Two questions, because it is for ever: a listing may leave something out.
  if (seen === undefined || (!seen.hasManifest && (await storage.stat(manifest, signal)) !== undefined))
    return new Map();
  const { policy } = seen;
  const unnamed = await findUnnamed(storage, seen, signal);
  return new Map(
    [...sizes].filter(([key]) => {
      const attempt = unnamed.get(parseAttemptKey(key)?.attempt ?? '');
      return attempt !== undefined && attempt.oldestMs > 0 && isOld(policy, attempt.newestMs);
    }),
  );
}
