import { toFailure } from '../../api/failure.ts';
import { backupFolder } from '../../domain/layout.ts';
import { listObjects, type Manifest } from '../../domain/manifest.ts';
import type { Storage } from '../../storage/storage.ts';
import { takeAway } from '../take-away.ts';
import type { Workshop } from '../workshop.ts';
import { checkVolumes } from './check-volumes.ts';

/**
 * An earlier try's manifest counts only with its volumes. One with nothing at all behind it is taken away, so that this run can do what it
 * pretends; one that lost a part stays as it is, because the rest may be all that there is.
 * @returns whether it was taken away
 * @throws Failure StoredBytesDiffer when a volume is missing or has another size, and the place's own
 */
export async function clearHollow(
  storage: Storage,
  key: string,
  manifest: Manifest,
  workshop: Pick<Workshop, 'clock' | 'random' | 'log' | 'signal'>,
): Promise<boolean> {
  const { signal, log } = workshop;
  try {
    await checkVolumes(storage, manifest, workshop, signal);
    return false;
  } catch (error) {
    const { reason, message } = toFailure(error);
    if (reason !== 'StoredBytesDiffer' || (await hasAny(storage, manifest, signal))) throw error;
    log.warn('an earlier try left a manifest with nothing behind it; it is taken away', { key, error: message });
    await takeAway(storage, key, signal);
    return true;
  }
}

/** Two questions, because it is for ever: nothing is listed in the attempt's folder, and no volume is there when asked for by name. */
async function hasAny(storage: Storage, manifest: Manifest, signal: AbortSignal): Promise<boolean> {
  const { namespace, policy, backup, attempt } = manifest;
  const folder = `${backupFolder(namespace, policy.name, backup.id)}${attempt}/`;
  for await (const _found of storage.list(folder, undefined, signal)) return true;
  for (const { key } of listObjects(manifest)) if ((await storage.stat(key, signal)) !== undefined) return true;
  return false;
}
