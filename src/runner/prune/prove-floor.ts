import { Failure, toFailure } from '../../api/failure.ts';
import { backupTime } from '../../domain/backup-time.ts';
import { manifestKey } from '../../domain/layout.ts';
import type { Manifest } from '../../domain/manifest.ts';
import { readStamp } from '../../domain/stamp.ts';
import type { PruneTask } from '../../domain/task.ts';
import type { Storage } from '../../storage/storage.ts';
import { checkSignature, isNoBackup, type SignedBy } from '../check-signature.ts';
import { findLack } from '../find-lack.ts';
import { nextBatch } from '../next-batch.ts';
import { readManifest } from '../read-manifest.ts';
import type { Workshop } from '../workshop.ts';
import type { Survey } from './survey.ts';

/** Why a backup must stay, if it must. */
export type MustStay = (manifest: Manifest) => Failure | undefined;

/**
 * Reads the backups that are to stay, and looks whether the place lists all of their volumes. What is left then may go: whose every
 * database, and globals, one of them holds whole that is not older. One of them that is not what it should be proves nothing.
 * @throws Failure of the place: then nothing is known
 */
export async function proveFloor(
  storage: Storage,
  task: PruneTask,
  { named }: Survey,
  log: Workshop['log'],
  signal: AbortSignal,
): Promise<MustStay> {
  const { namespace, policy, newest, floor = [], globals = true } = task;
  const stays = new Map([...floor, ...(newest === undefined ? [] : [newest])].map(({ id, uid }) => [id, uid]));
  const listed = [...stays].flatMap(([id, uid]) => {
    const found = named.get(id);
    return found === undefined ? [] : [{ id, uid, bytes: found.bytes }];
  });
  /** Of when the newest proven copy of each is. */
  const proven = new Map<string, number>();
  const prove = async ({ id, uid }: { readonly id: string; readonly uid: string }): Promise<void> => {
    const key = manifestKey(namespace, policy.name, id);
    const found = await readWhole(storage, { key, uid, signedBy: [task.location.signedBy] }, signal);
    if (found instanceof Failure) {
      log.warn('a backup that is to stay proves nothing', { key, reason: found.reason, error: found.message });
      return;
    }
    const timeMs = timeOf(found);
    if (timeMs === undefined) return;
    for (const part of storedParts(found, globals)) proven.set(part, Math.max(proven.get(part) ?? timeMs, timeMs));
  };
  for (let from = 0; from < listed.length;) {
    const batch = nextBatch(listed, from);
    await Promise.all(batch.map(prove));
    from += batch.length;
  }
  return (manifest) => {
    const timeMs = timeOf(manifest) ?? Infinity;
    const alone = storedParts(manifest, globals).filter((part) => (proven.get(part) ?? -Infinity) < timeMs);
    const [first] = alone;
    if (first === undefined) return undefined;
    const others = alone.length === 1 ? '' : ` and ${alone.length - 1} more`;
    const what = `no newer backup that was looked at holds ${first}${others} whole`;
    return new Failure('LastGoodCopy', what);
  };
}

async function readWhole(
  storage: Storage,
  { key, uid, signedBy }: { readonly key: string; readonly uid: string; readonly signedBy: SignedBy },
  signal: AbortSignal,
): Promise<Manifest | Failure> {
  try {
    const found = await readManifest(storage, key, signal);
    if (found === undefined) return new Failure('ObjectMissing', `${key} is not there`);
    const { manifest } = found;
    if (manifest.backup.uid !== uid)
      return new Failure('OtherBackupThere', `${key} is of another backup (uid ${manifest.backup.uid})`);
    await checkSignature(storage, found, signedBy, signal);
    return (await findLack(storage, manifest, signal)) ?? manifest;
  } catch (error) {
    const failure = toFailure(error);
    if (isNoBackup(failure)) return failure;
    throw failure;
  }
}

/** As the controller has it when it decides. */
function timeOf({ backup, startedAt }: Manifest): number | undefined {
  return backupTime(readStamp(backup.slot), readStamp(startedAt));
}

/** What a backup holds, in words that are never the same for two things. */
function storedParts({ databases, globals }: Manifest, withGlobals: boolean): readonly string[] {
  const stored = databases.filter(({ outcome, artifacts }) => outcome === 'stored' && artifacts.length > 0);
  return [
    ...stored.map(({ name }) => `database ${JSON.stringify(name)}`),
    ...(globals === undefined || !withGlobals ? [] : ['the globals']),
  ];
}
