import { createHash } from 'node:crypto';
import { Failure, toFailure } from '../../api/failure.ts';
import type { CopyOutcome } from '../../domain/copy-report.ts';
import { backupFolder, manifestKey, parseAttemptKey } from '../../domain/layout.ts';
import { listArtifacts, listObjects, type Manifest } from '../../domain/manifest.ts';
import type { NamedBackup } from '../../domain/named-backup.ts';
import type { Storage } from '../../storage/storage.ts';
import { WholeBytes } from '../../storage/whole-bytes.ts';
import { lookFor, look } from '../backup/standing.ts';
import { checkVolumes } from '../backup/check-volumes.ts';
import { bounded } from '../bounded.ts';
import { checkSignature, isNoBackup, type SignedBy } from '../check-signature.ts';
import { deleteKeys } from '../delete-keys.ts';
import { findLack } from '../find-lack.ts';
import { readManifest, type ReadManifest } from '../read-manifest.ts';
import { readSmall } from '../read-small.ts';
import { takeAway } from '../take-away.ts';
import { copyVolume, holdsVolume, type CopyPlaces } from './copy-volume.ts';

export interface CopyWork extends CopyPlaces {
  readonly namespace: string;
  readonly policy: string;
  /** Nothing is deleted, and nothing put over what is there. */
  readonly appendOnly: boolean;
  /** Who must have signed what is copied: both places say so. */
  readonly signedBy?: SignedBy;
}

/** What became of a backup. */
export interface CopiedBackup {
  readonly id: string;
  readonly uid: string;
  readonly outcome: CopyOutcome;
  readonly failure?: Failure;
  /** That were stored. */
  readonly bytes: number;
}

/** A wrapped key has a few hundred bytes for each recipient. */
const smallMaxBytes = 1024 * 1024;
const cleanUpMilliseconds = 8_000;

/**
 * Copies one backup, as it is: volumes first, each compared with the manifest as it goes by and with what the place then holds; the manifest
 * last, the very same bytes, only if there is none. Never throws.
 */
export async function copyBackup(given: NamedBackup, work: CopyWork, signal: AbortSignal): Promise<CopiedBackup> {
  const { id, uid } = given;
  const key = manifestKey(work.namespace, work.policy, id);
  const put: string[] = [];
  const sum = { bytes: 0 };
  const end = (outcome: CopyOutcome, failure?: Failure): CopiedBackup => ({
    id,
    uid,
    outcome,
    ...(failure === undefined ? {} : { failure }),
    bytes: sum.bytes,
  });
  let hasManifest = true;
  try {
    const source = await readSource(given, key, work, signal);
    const standing = await look(work.to, key, source.bytes, signal);
    if (standing.is === 'unknown') throw standing.failure;
    if (standing.is === 'theirs') throw new Failure('AlreadyStored', `${key} in ${work.to.name} is of other bytes`);
    if (standing.is === 'damaged') throw new Failure('ManifestInvalid', `${key} in ${work.to.name} cannot be read`);
    hasManifest = standing.is === 'ours';
    if (hasManifest && (await findLack(work.to, source.manifest, signal)) === undefined) return end('Present');
    await copyObjects(source.manifest, work, { hasManifest, put, sum }, signal);
    await checkVolumes(work.to, source.manifest, work.workshop, signal);
    if (!hasManifest) await commit(key, source.bytes, work, signal);
    sum.bytes += hasManifest ? 0 : source.bytes.length;
    work.workshop.log.info('copied a backup', { backup: id, from: work.from.name, to: work.to.name, bytes: sum.bytes });
    return end('Copied');
  } catch (error) {
    const failure = toFailure(error);
    // What is tried again finds there what it need not send again.
    const isOver = failure.consequence !== 'retry' && !hasManifest && !work.appendOnly;
    if (isOver) await clean(put, key, work);
    return end(
      failure instanceof SourceFailure || failure.reason === 'BackupDamaged' ? 'SourceDamaged' : 'Failed',
      failure,
    );
  }
}

/** The source has not what it should; another one may have it. */
class SourceFailure extends Failure {}

async function readSource(
  { uid, manifestSha256 }: NamedBackup,
  key: string,
  { from, signedBy = [] }: CopyWork,
  signal: AbortSignal,
): Promise<ReadManifest> {
  let found: ReadManifest | undefined;
  try {
    found = await readManifest(from, key, signal);
    if (found !== undefined) await checkSignature(from, found, signedBy, signal);
  } catch (error) {
    const failure = toFailure(error);
    if (!isNoBackup(failure)) throw failure;
    throw new SourceFailure(failure.reason, failure.message, { cause: failure });
  }
  if (found === undefined) throw new SourceFailure('ObjectMissing', `${key} is not in ${from.name}`);
  const { backup, attempt, namespace, policy } = found.manifest;
  if (backup.uid !== uid)
    throw new SourceFailure('OtherBackupThere', `${key} in ${from.name} is of another backup (uid ${backup.uid})`);
  const sha256 = createHash('sha256').update(found.bytes).digest('hex');
  if (manifestSha256 !== undefined && manifestSha256 !== sha256)
    throw new SourceFailure('OtherBackupThere', `${key} in ${from.name} has other bytes than it was stored with`);
  const folder = `${backupFolder(namespace, policy.name, backup.id)}${attempt}/`;
  const stray = listObjects(found.manifest).find(
    (each) => !each.key.startsWith(folder) || parseAttemptKey(each.key) === undefined,
  );
  if (stray !== undefined) throw new SourceFailure('ManifestInvalid', `${key} names ${stray.key.slice(0, 200)}`);
  return found;
}

interface Done {
  readonly hasManifest: boolean;
  /** Keys that were put where nothing was. */
  readonly put: string[];
  readonly sum: { bytes: number };
}

async function copyObjects(manifest: Manifest, work: CopyWork, done: Done, signal: AbortSignal): Promise<void> {
  const { namespace, policy, backup, attempt } = manifest;
  const there = new Map<string, number>();
  const wanted = new Set(listObjects(manifest).map(({ key }) => key));
  for await (const { key, bytes } of work.to.list(
    `${backupFolder(namespace, policy.name, backup.id)}${attempt}/`,
    undefined,
    signal,
  )) {
    if (wanted.has(key)) there.set(key, bytes);
  }
  const mayPut = (key: string): void => {
    if (!there.has(key)) done.put.push(key);
    else if (work.appendOnly)
      throw new Failure(
        'AlreadyStored',
        `${key} is in ${work.to.name} with other bytes, and nothing is put over it there`,
      );
  };
  for (const volume of listArtifacts(manifest).flatMap(({ volumes }) => volumes)) {
    if (there.get(volume.key) === volume.bytes && (await holdsVolume(work.to, volume, signal))) continue;
    mayPut(volume.key);
    await copyVolume(volume, work, signal);
    done.sum.bytes += volume.bytes;
  }
  for (const { key, bytes } of listObjects(manifest)) {
    // Who has changed the recipients of a backup that stands there has done it on purpose.
    if (bytes !== undefined || (there.has(key) && done.hasManifest)) continue;
    done.sum.bytes += await copySmall(key, work, () => mayPut(key), signal);
  }
}

/** @returns the bytes that were stored */
async function copySmall(
  key: string,
  { from, to }: CopyWork,
  mayPut: () => void,
  signal: AbortSignal,
): Promise<number> {
  const content = await readIfThere(from, key, signal);
  if (content === undefined) throw new SourceFailure('BackupDamaged', `${key} is not in ${from.name}`);
  if ((await readIfThere(to, key, signal))?.equals(content) === true) return 0;
  mayPut();
  await to.put(key, new WholeBytes(content), {}, signal);
  if ((await readIfThere(to, key, signal))?.equals(content) === true) return content.length;
  throw new Failure('StoredBytesDiffer', `${key} was read back and is not what was sent`);
}

async function readIfThere(storage: Storage, key: string, signal: AbortSignal): Promise<Buffer | undefined> {
  try {
    return await readSmall(storage, key, smallMaxBytes, signal);
  } catch (error) {
    if (toFailure(error).reason === 'ObjectMissing') return undefined;
    throw error;
  }
}

/** What counts is what stands there afterwards, not what the put said. */
async function commit(
  key: string,
  bytes: Buffer,
  { to, workshop, appendOnly }: CopyWork,
  signal: AbortSignal,
): Promise<void> {
  let failure: Failure | undefined;
  try {
    await to.put(key, new WholeBytes(bytes), { onlyIfAbsent: true }, signal);
  } catch (error) {
    failure = toFailure(error);
  }
  const standing = await lookFor(to, key, bytes, workshop, signal);
  if (standing.is === 'ours') return;
  if (standing.is === 'unknown') throw failure ?? standing.failure;
  // Ours came out changed; one that stood there before is nobody's to delete.
  if (standing.is === 'damaged' && failure === undefined && !appendOnly) await takeAway(to, key, signal);
  throw failure ?? new Failure('StoredBytesDiffer', `${key} was acknowledged, but ${standing.is} is what is there`);
}

/** Only where there is certainly no manifest. */
async function clean(put: readonly string[], key: string, { to, workshop }: CopyWork): Promise<void> {
  await bounded(workshop.clock, cleanUpMilliseconds, async (signal) => {
    try {
      if ((await to.stat(key, signal)) !== undefined) return;
      for await (const found of to.list(key, undefined, signal)) if (found.key === key) return;
      const failure = await deleteKeys(to, put, () => undefined, signal);
      if (failure !== undefined) throw failure;
    } catch (error) {
      workshop.log.warn('what was copied of a backup could not be removed', { error: toFailure(error).message });
    }
  });
}
