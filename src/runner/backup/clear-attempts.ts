import { toFailure } from '../../api/failure.ts';
import { backupFolder, parseUnfinishedKey, parseAttemptKey } from '../../domain/layout.ts';
import type { BackupTask } from '../../domain/task.ts';
import type { Storage } from '../../storage/storage.ts';
import { deleteKeys } from '../delete-keys.ts';
import type { Workshop } from '../workshop.ts';
import type { Destination } from './destination.ts';

/** More than that is left to inspections. */
const mostKeys = 10_000;

/**
 * Removes what other tries of this backup left at a place that holds it. No word about which pods live is needed: the manifest that stands
 * there names one try, no other can be put in its place (the place itself decides that; elsewhere nothing is cleared), so that no
 * volume of another try can ever belong to a backup, not even of one that is still at work on a node that was lost. Never throws.
 */
export async function clearAttempts(
  task: Pick<BackupTask, 'namespace' | 'policy' | 'backup' | 'destinations'>,
  destination: Destination,
  { log, attempt: own }: Pick<Workshop, 'log' | 'attempt'>,
  signal: AbortSignal,
): Promise<void> {
  const { storage, copy, location } = destination;
  const entry = task.destinations.find((one) => one.location.name === location);
  if (storage === undefined || copy === undefined || !storage.conditionalPut) return;
  const mayDelete = entry?.location.appendOnly !== true;
  const folder = backupFolder(task.namespace, task.policy.name, task.backup.name);
  const isOthers = (attempt: string | undefined): boolean => ![undefined, copy.attempt, own].includes(attempt);
  try {
    const keys = mayDelete ? await listOthers(storage, folder, isOthers, signal) : [];
    let deleted = 0;
    const error = await deleteKeys(storage, keys, () => (deleted += 1), signal);
    const unfinished = await removeUnfinished(storage, folder, isOthers, mayDelete, signal);
    if (keys.length + unfinished > 0)
      log.info('cleared what earlier tries of this backup left', { location, objects: deleted, unfinished });
    if (error !== undefined) throw toFailure(error);
  } catch (error) {
    log.warn('what earlier tries of this backup left could not be cleared', {
      location,
      error: toFailure(error).message,
    });
  }
}

async function listOthers(
  storage: Storage,
  folder: string,
  isOthers: (attempt: string | undefined) => boolean,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const { key } of storage.list(folder, undefined, signal)) {
    if (isOthers(parseAttemptKey(key)?.attempt)) keys.push(key);
    if (keys.length === mostKeys) break;
  }
  return keys;
}

async function removeUnfinished(
  storage: Storage,
  folder: string,
  isOthers: (attempt: string | undefined) => boolean,
  files: boolean,
  signal: AbortSignal,
): Promise<number> {
  let removed = 0;
  for await (const item of storage.listUnfinished(folder, signal)) {
    const isUpload = item.uploadId !== undefined;
    // An upload is no object yet: to abort it deletes nothing.
    if ((!files && !isUpload) || !isOthers(parseUnfinishedKey(item.key, isUpload)?.attempt)) continue;
    await storage.removeUnfinished(item, signal);
    removed += 1;
    if (removed === mostKeys) break;
  }
  return removed;
}
