import { Failure, toFailure } from '../../api/failure.ts';
import type { FailureReason } from '../../api/reasons.ts';
import { manifestKey } from '../../domain/layout.ts';
import { listObjects, manifestMaxBytes, printManifest, type Manifest } from '../../domain/manifest.ts';
import { WholeBytes } from '../../storage/whole-bytes.ts';
import type { Storage } from '../../storage/storage.ts';
import { takeAway } from '../take-away.ts';
import type { Workshop } from '../workshop.ts';
import { checkSignature } from '../check-signature.ts';
import { checkVolumes } from './check-volumes.ts';
import { clearHollow } from './clear-hollow.ts';
import type { Destination } from './destination.ts';
import { dropOut } from './drop-out.ts';
import { describeCopy } from './find-copy.ts';
import { alreadyStored } from './open-destinations.ts';
import { look, lookFor, type Standing } from './standing.ts';

type Tools = Pick<Workshop, 'log' | 'clock' | 'random' | 'signedBy'>;

/** A put that failed so has stored nothing; after any other failure, as after an acknowledgement, "absent" may be a mistake. */
const refusals: readonly FailureReason[] = [
  'StorageDenied',
  'StorageCredentialsInvalid',
  'StorageConfigInvalid',
  'StorageMissing',
  'StorageFull',
  'HostKeyMismatch',
  'TlsFailed',
];

/**
 * Compares the volumes with what each live destination lists, puts the manifest there, the same bytes, and reads it back: from then on
 * the backup exists there. The first manifest under a key wins; one of the same backup by another try is as good as ours, if its volumes
 * are there. What counts is what stands there afterwards, not what the put said: an answer that got lost is no failure, and volumes are
 * given up for cleaning only where it is certain that no manifest names them.
 */
export async function commit(
  manifest: Manifest,
  destinations: readonly Destination[],
  workshop: Tools,
  signal: AbortSignal,
): Promise<void> {
  const bytes = Buffer.from(printManifest(manifest));
  if (bytes.length > manifestMaxBytes) {
    throw new Failure('Internal', `the manifest would have ${bytes.length} bytes, more than ${manifestMaxBytes}`);
  }
  await Promise.all(
    destinations
      .filter((destination) => destination.live)
      .map((destination) => commitAt(manifest, bytes, destination, workshop, signal)),
  );
}

async function commitAt(
  manifest: Manifest,
  bytes: Buffer,
  destination: Destination,
  workshop: Tools,
  signal: AbortSignal,
): Promise<void> {
  const { storage } = destination;
  if (storage === undefined) return;
  try {
    await checkVolumes(storage, manifest, workshop, signal);
  } catch (error) {
    dropOut(destination, toFailure(error), workshop);
    return;
  }
  const key = keyOf(manifest);
  const putFailure = await tryPut(storage, key, bytes, signal);
  const isRefused = putFailure !== undefined && refusals.includes(putFailure.reason);
  const standing = isRefused
    ? await look(storage, key, bytes, signal)
    : await lookFor(storage, key, bytes, workshop, signal);
  switch (standing.is) {
    case 'ours':
      settleVolumes(destination, manifest);
      await acceptOurs(storage, key, manifest, bytes, destination, workshop, signal);
      return;
    case 'theirs':
      await acceptTheirs(storage, key, manifest, standing, destination, workshop, signal);
      return;
    case 'unknown':
      leaveAlone(manifest, destination, putFailure ?? standing.failure, standing.failure, workshop);
      return;
    default:
      if (isRefused && standing.is === 'absent') destination.failed(putFailure);
      else await takeBack(manifest, standing.is, storage, destination, putFailure, workshop, signal);
  }
}

async function acceptOurs(
  storage: Storage,
  key: string,
  manifest: Manifest,
  bytes: Buffer,
  destination: Destination,
  workshop: Tools,
  signal: AbortSignal,
): Promise<void> {
  const lost = await lostVolumes(storage, key, manifest, workshop, signal);
  if (lost !== undefined) {
    destination.failed(lost);
    return;
  }
  destination.stored(describeCopy(manifest, bytes));
  workshop.log.info('committed', { location: destination.location });
}

/**
 * A later try of this backup takes this one's pod for dead when Kubernetes does, and may have cleared the volumes since they were compared:
 * then there is no backup. A manifest with nothing behind it goes; one that lost a part stays, as it would before a run. A place that does
 * not answer changes nothing.
 */
async function lostVolumes(
  storage: Storage,
  key: string,
  manifest: Manifest,
  { log, ...workshop }: Tools,
  signal: AbortSignal,
): Promise<Failure | undefined> {
  try {
    if (!(await clearHollow(storage, key, manifest, { ...workshop, log, signal }))) return undefined;
    const what = 'the volumes were removed while the manifest was written: another try of this backup has taken over';
    return new Failure('StoredBytesDiffer', what);
  } catch (error) {
    const failure = toFailure(error);
    if (failure.reason === 'StoredBytesDiffer') return failure;
    log.warn('the volumes could not be looked at once more after the commit', { error: failure.message });
    return undefined;
  }
}

/** @returns why the put is not known to have worked */
async function tryPut(storage: Storage, key: string, bytes: Buffer, signal: AbortSignal): Promise<Failure | undefined> {
  try {
    const stored = await storage.put(key, new WholeBytes(bytes), { onlyIfAbsent: true }, signal);
    if (stored.bytes === bytes.length) return undefined;
    const what = `${key}: ${bytes.length} bytes were sent, the store says it holds ${stored.bytes}`;
    return new Failure('StoredBytesDiffer', what);
  } catch (error) {
    return toFailure(error);
  }
}

/** Another manifest stands there. Of this very backup it is as good as ours, with its volumes, and signed by us if we sign. */
async function acceptTheirs(
  storage: Storage,
  key: string,
  ours: Manifest,
  theirs: Extract<Standing, { is: 'theirs' }>,
  destination: Destination,
  workshop: Tools,
  signal: AbortSignal,
): Promise<void> {
  const { manifest, bytes } = theirs;
  if (manifest.backup.uid !== ours.backup.uid) {
    destination.failed(alreadyStored(key, manifest));
    return;
  }
  try {
    await checkSignature(storage, theirs, [workshop.signedBy], signal);
    await checkVolumes(storage, manifest, workshop, signal);
  } catch (error) {
    dropOut(destination, toFailure(error), workshop);
    return;
  }
  destination.stored(describeCopy(manifest, bytes));
  workshop.log.info('another try committed this backup first', {
    location: destination.location,
    attempt: manifest.attempt,
  });
}

/**
 * The manifest came out changed, or is not there although nothing says that the place refused it: it goes first, and is seen to be gone,
 * before its volumes may go. One that stood there before is nobody's to delete.
 */
async function takeBack(
  manifest: Manifest,
  is: 'absent' | 'damaged',
  storage: Storage,
  destination: Destination,
  putFailure: Failure | undefined,
  workshop: Tools,
  signal: AbortSignal,
): Promise<void> {
  const key = keyOf(manifest);
  if (putFailure?.reason === 'AlreadyStored') {
    const failure = new Failure('ManifestInvalid', `${key} exists and cannot be read`, { cause: putFailure });
    // Damaged, it stood there before; unseen, it may be ours after a lost answer.
    if (is === 'damaged') destination.failed(failure);
    else leaveAlone(manifest, destination, failure, putFailure, workshop);
    return;
  }
  const what = is === 'absent' ? 'it is not there' : 'other bytes are there';
  const failure =
    putFailure !== undefined && is === 'absent'
      ? putFailure
      : new Failure('StoredBytesDiffer', `${key} was acknowledged, but ${what}`, { cause: putFailure });
  try {
    await takeAway(storage, key, signal);
    destination.failed(failure);
  } catch (error) {
    leaveAlone(manifest, destination, failure, toFailure(error), workshop);
  }
}

/** Perhaps it is committed, perhaps not: to delete the volumes could make a manifest without data. */
function leaveAlone(
  manifest: Manifest,
  destination: Destination,
  failure: Failure,
  doubt: Failure,
  workshop: Tools,
): void {
  settleVolumes(destination, manifest);
  destination.failed(failure);
  workshop.log.warn('it is not known whether the manifest stands; its volumes are left alone', {
    location: destination.location,
    error: doubt.message,
  });
}

function keyOf({ namespace, policy, backup }: Manifest): string {
  return manifestKey(namespace, policy.name, backup.id);
}

/** What else was begun (of a database that failed, say) stays to be cleaned up. */
function settleVolumes(destination: Destination, manifest: Manifest): void {
  for (const { key } of listObjects(manifest)) destination.settle(key);
}
