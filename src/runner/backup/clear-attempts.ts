import { toFailure } from '../../api/failure.ts';
import {
  backupFolder,
  manifestKey,
  parseAttemptKey,
  parseManifestKey,
  parseUnfinishedKey,
} from '../../domain/layout.ts';
import type { BackupTask } from '../../domain/task.ts';
import type { Storage } from '../../storage/storage.ts';
import { deleteKeys } from '../delete-keys.ts';
import type { Workshop } from '../workshop.ts';
import { clearHollow } from './clear-hollow.ts';
import type { Destination } from './destination.ts';
import { findCopy } from './find-copy.ts';

/** More than that is left to inspections. */
const mostKeys = 10_000;

type Task = Pick<BackupTask, 'namespace' | 'policy' | 'backup' | 'destinations'>;
type Tools = Pick<Workshop, 'clock' | 'random' | 'log' | 'attempt' | 'signal'>;

/**
 * Removes what other tries of this backup left at a place. Never throws.
 *
 * Where the backup is, no word about which pods live is needed: the manifest that stands there names one try, no other can be put in its place
 * (the place itself decides that; elsewhere nothing is cleared), so that no volume of another try can ever belong to a backup, not even of
 * one that is still at work on a node that was lost.
 *
 * Where it is not, because this run failed, only those go that were there before it began and are of the very same Backup: they are over.
 * Should one live all the same on a node that is said to be lost, it finds its volumes gone, and commits nothing.
 */
export async function clearAttempts(
  task: Task,
  destination: Destination,
  /** Tries that are committed somewhere. */
  committed: ReadonlySet<string>,
  tools: Tools,
  signal: AbortSignal,
): Promise<void> {
  const { storage, copy, location } = destination;
  if (storage === undefined || (copy !== undefined && !storage.conditionalPut)) return;
  const entry = task.destinations.find((one) => one.location.name === location);
  const mayDelete = entry?.location.appendOnly !== true;
  const folder = backupFolder(task.namespace, task.policy.name, task.backup.name);
  const key = manifestKey(task.namespace, task.policy.name, task.backup.name);
  try {
    const earlier = copy === undefined ? await destination.earlier : undefined;
    if (earlier?.size === 0) return;
    const isOthers = (attempt: string | undefined): boolean =>
      attempt !== undefined &&
      attempt !== tools.attempt &&
      !committed.has(attempt) &&
      (earlier === undefined || earlier.has(attempt));
    if (earlier !== undefined && (await storage.stat(key, signal)) !== undefined) return;
    const keys = mayDelete ? await listOthers(storage, folder, isOthers, signal) : [];
    if (earlier !== undefined && keys.includes(key)) return;
    const others = keys.filter((one) => one !== key);
    let deleted = 0;
    const error = await deleteKeys(storage, others, () => (deleted += 1), signal);
    const unfinished = await removeUnfinished(storage, folder, isOthers, mayDelete, signal);
    if (others.length + unfinished > 0)
      tools.log.info('cleared what earlier tries of this backup left', { location, objects: deleted, unfinished });
    if (earlier !== undefined && deleted > 0) await lookAgain(storage, key, earlier, tools, signal);
    if (error !== undefined) throw toFailure(error);
  } catch (error) {
    tools.log.warn('what earlier tries of this backup left could not be cleared', {
      location,
      error: toFailure(error).message,
    });
  }
}

/** One that lived all the same may have committed meanwhile: a manifest with nothing behind it does not stay. */
async function lookAgain(
  storage: Storage,
  key: string,
  cleared: ReadonlySet<string>,
  tools: Tools,
  signal: AbortSignal,
): Promise<void> {
  const found = await findCopy(storage, key, signal);
  if (found !== undefined && cleared.has(found.manifest.attempt))
    await clearHollow(storage, key, found.manifest, { ...tools, signal });
}

/** With the manifest, if it is listed. */
async function listOthers(
  storage: Storage,
  folder: string,
  isOthers: (attempt: string | undefined) => boolean,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const { key } of storage.list(folder, undefined, signal)) {
    if (isOthers(parseAttemptKey(key)?.attempt) || parseManifestKey(key) !== undefined) keys.push(key);
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
