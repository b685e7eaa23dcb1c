import { createHash } from 'node:crypto';
import { Failure, toFailure } from '../../api/failure.ts';
import type { PruneOutcome } from '../../domain/prune-report.ts';
import { backupFolder, manifestKey } from '../../domain/layout.ts';
import { listObjects } from '../../domain/manifest.ts';
import type { PruneTask } from '../../domain/task.ts';
import { isHeld } from '../../storage/is-held.ts';
import type { Storage } from '../../storage/storage.ts';
import { readManifest, type ReadManifest } from '../read-manifest.ts';
import { takeAway } from '../take-away.ts';
import type { Workshop } from '../workshop.ts';
import { clearAttempt, type Cleared } from './clear-attempt.ts';
import { clearRemains } from './clear-remains.ts';
import type { MustStay } from './prove-floor.ts';

type Removal = PruneTask['remove'][number];

/** Where backups are removed, and what must stay there. */
export interface Removing {
  readonly storage: Storage;
  readonly namespace: string;
  readonly policy: string;
  readonly mustStay: MustStay;
  readonly log: Workshop['log'];
}

/** What became of a backup. */
export interface Pruned {
  readonly id: string;
  readonly uid: string;
  readonly outcome: PruneOutcome;
  /** Also of one that is removed: something of it is left. */
  readonly failure?: Failure | undefined;
  /** That were freed. */
  readonly bytes: number;
}

/**
 * Removes one backup: the manifest goes first, and is seen to be gone, before its volumes do. One that is not what the task says, or must
 * stay, is not touched. Never throws.
 */
export async function removeBackup(given: Removal, removing: Removing, signal: AbortSignal): Promise<Pruned> {
  const { storage, namespace, policy, mustStay, log } = removing;
  const { id, uid } = given;
  const folder = backupFolder(namespace, policy, id);
  const key = manifestKey(namespace, policy, id);
  let freed = 0;
  try {
    const found = await readManifest(storage, key, signal);
    if (found === undefined) {
      const cleared = await clearLeft(given, removing, folder, key, signal);
      return { id, uid, outcome: 'Gone', failure: leftOf(cleared), bytes: cleared.bytes };
    }
    const refusal = notTheOne(given, key, found) ?? mustStay(found.manifest);
    if (refusal !== undefined) return { id, uid, outcome: 'Refused', failure: refusal, bytes: 0 };
    const { manifest, bytes } = found;
    freed = await clearRemains(storage, folder, key, manifest, signal);
    await takeAway(storage, key, signal);
    const volumes = new Map(listObjects(manifest).map((each) => [each.key, each.bytes ?? 0]));
    const cleared = await clearAttempt(storage, `${folder}${manifest.attempt}/`, volumes, signal);
    freed += bytes.length + cleared.bytes;
    log.info('removed a backup', { backup: id, objects: cleared.objects, bytes: freed, left: cleared.left });
    return { id, uid, outcome: 'Removed', failure: leftOf(cleared), bytes: freed };
  } catch (error) {
    const failure = toFailure(error);
    if (failure.reason === 'ManifestInvalid') return { id, uid, outcome: 'Refused', failure, bytes: freed };
    if (!isHeld(failure)) return { id, uid, outcome: 'Failed', failure, bytes: freed };
    const held = new Failure('DeletionHeld', failure.message, { cause: failure });
    return { id, uid, outcome: 'Deferred', failure: held, bytes: freed };
  }
}

function notTheOne({ uid, manifestSha256 }: Removal, key: string, found: ReadManifest): Failure | undefined {
  const { backup } = found.manifest;
  if (backup.uid !== uid) return new Failure('OtherBackupThere', `${key} is of another backup (uid ${backup.uid})`);
  if (manifestSha256 === undefined) return undefined;
  const held = createHash('sha256').update(found.bytes).digest('hex');
  if (held === manifestSha256) return undefined;
  return new Failure('OtherBackupThere', `${key} has other bytes than it was stored with (SHA-256 ${held})`);
}

/** An earlier prune got no further than the manifest: what its try stored goes, if it is known which that was. */
async function clearLeft(
  { attempt }: Removal,
  { storage }: Removing,
  folder: string,
  key: string,
  signal: AbortSignal,
): Promise<Cleared> {
  if (attempt === undefined) return { objects: 0, bytes: 0, left: 0 };
  // Three questions with the one before, because it is for ever.
  let isThere = (await storage.stat(key, signal)) !== undefined;
  for await (const found of storage.list(key, undefined, signal)) isThere ||= found.key === key;
  if (isThere) throw new Failure('StorageFailed', `${key} is there, and cannot be read`);
  return await clearAttempt(storage, `${folder}${attempt}/`, new Map(), signal);
}

function leftOf({ left, failure }: Cleared): Failure | undefined {
  if (failure === undefined) return undefined;
  const what = left === 0 ? 'volumes may be left' : `${left} volumes are left`;
  return new Failure(failure.reason, `${what} for inspections to remove: ${failure.message}`, { cause: failure });
}
