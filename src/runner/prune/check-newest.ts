import { Failure, toFailure } from '../../api/failure.ts';
import { manifestKey } from '../../domain/layout.ts';
import type { PruneTask } from '../../domain/task.ts';
import type { ObjectStat, Storage } from '../../storage/storage.ts';
import { isoOf } from '../iso-time.ts';
import { checkSignature } from '../check-signature.ts';
import { nextBatch } from '../next-batch.ts';
import { readManifest, type ReadManifest } from '../read-manifest.ts';
import { namedBackups, survey, type Survey } from './survey.ts';

const dayMs = 24 * 3600 * 1000;

/**
 * Looks whether the controller knew the place when it decided: the newest backup that it knows is there, its time is one that can be, and
 * nothing of the policy is newer. Lists the place to its end on the way.
 * @throws Failure NewestBackupMissing, StoredAhead, NewerBackupThere, ManifestInvalid, those of signatures, and the store's own
 */
export async function checkNewest(
  storage: Storage,
  task: PruneTask,
  newest: NonNullable<PruneTask['newest']>,
  signal: AbortSignal,
): Promise<Survey> {
  const key = manifestKey(task.namespace, task.policy.name, newest.id);
  const stat = await storage.stat(key, signal);
  if (stat === undefined) throw missing(`${key} is not there`);
  const seen = await survey(storage, task, stat.modifiedAtMs, signal);
  if (!seen.named.has(newest.id)) throw missing(`${key} is there, and is not listed`);
  const found = await readManifest(storage, key, signal);
  if (found === undefined) throw missing(`${key} cannot be read any more`);
  await checkSignature(storage, found, [task.location.signedBy], signal);
  const { backup, completedAt } = found.manifest;
  if (backup.uid !== newest.uid) throw missing(`${key} is of another backup (uid ${backup.uid})`);
  const startedMs = Date.parse(found.manifest.startedAt);
  const completedMs = Date.parse(completedAt);
  if (Number.isNaN(startedMs) || Number.isNaN(completedMs))
    throw new Failure('ManifestInvalid', `${key} says no time that can be read`);
  if (stat.modifiedAtMs > 0 && completedMs - stat.modifiedAtMs > dayMs) {
    const taken = isoOf(stat.modifiedAtMs);
    throw new Failure('StoredAhead', `${key} says it was completed at ${completedAt}, and was stored at ${taken}`);
  }
  await refuseNewer(storage, task, { key, startedMs }, seen.candidates, signal);
  return seen;
}

async function refuseNewer(
  storage: Storage,
  task: PruneTask,
  newest: { readonly key: string; readonly startedMs: number },
  candidates: readonly ObjectStat[],
  signal: AbortSignal,
): Promise<void> {
  const uids = new Set(namedBackups(task).map(({ uid }) => uid));
  const look = async ({ key }: ObjectStat): Promise<void> => {
    const found = await readCandidate(storage, key, signal);
    if (found === undefined) return;
    const { policy, backup, startedAt } = found.manifest;
    if (policy.uid !== task.policy.uid && !uids.has(backup.uid)) return;
    // A time that cannot be read is not known to be older.
    if (Date.parse(startedAt) <= newest.startedMs) return;
    throw new Failure('NewerBackupThere', `${key} (${startedAt}) is newer than ${newest.key}, and was not known`);
  };
  for (let from = 0; from < candidates.length;) {
    const batch = nextBatch(candidates, from);
    await Promise.all(batch.map(look));
    from += batch.length;
  }
}

async function readCandidate(storage: Storage, key: string, signal: AbortSignal): Promise<ReadManifest | undefined> {
  try {
    return await readManifest(storage, key, signal);
  } catch (error) {
    if (toFailure(error).reason !== 'ManifestInvalid') throw error;
    throw new Failure('NewerBackupThere', `${key} cannot be understood, and may be newer than what is known`, {
      cause: error,
    });
  }
}

function missing(message: string): Failure {
  return new Failure('NewestBackupMissing', message);
}
