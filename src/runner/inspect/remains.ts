import { toFailure } from '../../api/failure.ts';
import { maxDeadlineSeconds } from '../../api/parts.ts';
import { removableMax } from '../../api/remains.ts';
import { parseManifestKey, parseUnfinishedKey } from '../../domain/layout.ts';
import type { RemainsSeen } from '../../domain/remains-report.ts';
import type { Storage, Unfinished } from '../../storage/storage.ts';
import { bounded } from '../bounded.ts';
import { isoOf } from '../iso-time.ts';
import type { Workshop } from '../workshop.ts';
import { addToFolder, findUnnamed, folderOf, type FolderSeen } from './judge-folder.ts';
import type { RemainsWork } from './remains-work.ts';
import { removeFolders } from './remove-folders.ts';

const dayMs = 24 * 3600 * 1000;
/** A listing that takes longer tells nothing: what remains is then not known. */
const budgetMilliseconds = 600_000;
const mostUnfinished = 10_000;

/**
 * Removes what the controller agreed to, and counts what else remains of runs: volumes without a manifest that names them, and what is
 * unfinished. Never fails an inspection: what could not be found out is absent.
 */
export async function inspectRemains(
  work: RemainsWork,
  workshop: Workshop,
): Promise<{ readonly seen: RemainsSeen; readonly proposed: readonly string[] }> {
  const { clock, signal, log } = workshop;
  const tell = (what: string) => (error: unknown) => {
    signal.throwIfAborted();
    log.warn(what, { error: toFailure(error).message });
    return undefined;
  };
  return await bounded(
    clock,
    budgetMilliseconds,
    async (limit) => {
      const removed = await removeFolders(work, isOldEnough(work), workshop, limit);
      const unfinished = await countUnfinished(work, limit).catch(tell('unfinished uploads cannot be listed'));
      const counted = await countVolumes(work, limit).catch(tell('what remains of runs could not be counted'));
      const { proposed = [], ...volumes } = counted ?? {};
      return {
        seen: { ...volumes, ...unfinished, removedObjects: removed.objects, removedBytes: removed.bytes },
        proposed,
      };
    },
    { signal, milliseconds: 0 },
  );
}

/** Older than the deadline of the policy's runs and a day; a policy that is not known any more may have had the longest deadline. */
function isOldEnough({ given, placeNowMs }: RemainsWork): (policy: string, newestMs: number) => boolean {
  return (policy, newestMs) => {
    if (placeNowMs === undefined || newestMs <= 0) return false;
    const deadlineMs = (given.deadlines[policy] ?? maxDeadlineSeconds) * 1000;
    return newestMs < placeNowMs - deadlineMs - dayMs;
  };
}

async function countVolumes(
  work: RemainsWork,
  signal: AbortSignal,
): Promise<Pick<RemainsSeen, 'objects' | 'bytes' | 'oldestTime'> & { readonly proposed: readonly string[] }> {
  const { task, given, storage, placeNowMs } = work;
  const isOld = isOldEnough(work);
  const running = new Set(given.running);
  let objects = 0;
  let bytes = 0;
  let oldestMs = Number.POSITIVE_INFINITY;
  const proposed: string[] = [];
  const close = async (folder: FolderSeen | undefined): Promise<void> => {
    if (folder === undefined || running.has(folder.backup)) return;
    const unnamed = [...(await findUnnamed(storage, folder, signal)).values()]
      // A run that began after the controller looked.
      .filter((attempt) => placeNowMs === undefined || attempt.oldestMs < placeNowMs);
    for (const attempt of unnamed) {
      objects += attempt.objects;
      bytes += attempt.bytes;
      if (attempt.oldestMs > 0) oldestMs = Math.min(oldestMs, attempt.oldestMs);
    }
    const goes = unnamed.some((attempt) => attempt.oldestMs > 0 && isOld(folder.policy, attempt.newestMs));
    if (goes && proposed.length < removableMax) proposed.push(`${folder.policy}/${folder.backup}`);
  };
  let name: string | undefined;
  let folder: FolderSeen | undefined;
  for await (const found of storage.list(`${task.namespace}/`, undefined, signal)) {
    const next = folderOf(found.key);
    if (next === undefined) continue;
    if (next !== name) {
      await close(folder);
      folder = undefined;
      name = next;
    }
    folder = addToFolder(folder, found);
  }
  await close(folder);
  return { objects, bytes, ...(Number.isFinite(oldestMs) ? { oldestTime: isoOf(oldestMs) } : {}), proposed };
}

/** Uploads and temporary files are no backups, whoever asks: old ones of ours go at once. */
async function countUnfinished(
  work: RemainsWork,
  signal: AbortSignal,
): Promise<Pick<RemainsSeen, 'unfinishedUploads' | 'removedUploads'>> {
  const { task, given, storage } = work;
  const isOld = isOldEnough(work);
  let unfinishedUploads = 0;
  let removedUploads = 0;
  for await (const item of storage.listUnfinished(`${task.namespace}/`, signal)) {
    const about = placeOf(item);
    if (about === undefined || given.running.includes(about.backup)) continue;
    if (!isOld(about.policy, item.sinceMs) || !(await canRemove(storage, item, signal))) unfinishedUploads += 1;
    else removedUploads += 1;
    if (unfinishedUploads + removedUploads === mostUnfinished) break;
  }
  return { unfinishedUploads, removedUploads };
}

/** Of a volume, or of a manifest, which lies in the folder above. */
function placeOf({ key, uploadId }: Unfinished): { readonly policy: string; readonly backup: string } | undefined {
  const isUpload = uploadId !== undefined;
  const beside = key.replace(/[^/]*$/, 'manifest.json');
  return parseUnfinishedKey(key, isUpload) ?? parseManifestKey(isUpload ? key : beside);
}

async function canRemove(storage: Storage, item: Unfinished, signal: AbortSignal): Promise<boolean> {
  try {
    await storage.removeUnfinished(item, signal);
    return true;
  } catch {
    signal.throwIfAborted();
    return false;
  }
}
