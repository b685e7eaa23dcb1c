import { Failure, toFailure } from '../../api/failure.ts';
import { manifestKey } from '../../domain/layout.ts';
import { manifestMaxBytes, parseManifest, printManifest, type Manifest } from '../../domain/manifest.ts';
import { WholeBytes } from '../../storage/whole-bytes.ts';
import type { Storage } from '../../storage/storage.ts';
import { readSmall } from '../read-small.ts';
import type { Workshop } from '../workshop.ts';
import { alreadyStored } from './open-destinations.ts';
import type { Destination } from './destination.ts';
import { describeCopy } from './find-copy.ts';

/** What stands under the manifest's key after a try to put ours there. */
type Standing =
  | { readonly is: 'ours' }
  | { readonly is: 'absent' }
  | { readonly is: 'theirs'; readonly manifest: Manifest; readonly bytes: Buffer }
  | { readonly is: 'damaged' }
  | { readonly is: 'unknown'; readonly failure: Failure };

/**
 * Puts the manifest, the same bytes, at each live destination and reads it back: from then on the backup exists there. The first
 * manifest under a key wins; one of the same backup by another try is as good as ours. What counts is what stands there afterwards,
 * not what the put said: an answer that got lost is no failure, and volumes are given up for cleaning only where it is certain
 * that no manifest names them.
 */
export async function commit(
  manifest: Manifest,
  destinations: readonly Destination[],
  workshop: Pick<Workshop, 'log'>,
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
  workshop: Pick<Workshop, 'log'>,
  signal: AbortSignal,
): Promise<void> {
  const { storage, location } = destination;
  if (storage === undefined) return;
  const key = manifestKey(manifest.namespace, manifest.policy.name, manifest.backup.id);
  let putFailure: Failure | undefined;
  try {
    const stored = await storage.put(key, new WholeBytes(bytes), { onlyIfAbsent: true }, signal);
    if (stored.bytes !== bytes.length) {
      putFailure = new Failure(
        'StoredBytesDiffer',
        `${key}: ${bytes.length} bytes were sent, the store says it holds ${stored.bytes}`,
      );
    }
  } catch (error) {
    putFailure = toFailure(error);
  }
  const standing = await look(storage, key, bytes, signal);
  switch (standing.is) {
    case 'ours':
      for (const begun of destination.begun) destination.settle(begun);
      destination.stored(describeCopy(manifest, bytes));
      workshop.log.info('committed', { location });
      return;
    case 'theirs':
      if (standing.manifest.backup.uid === manifest.backup.uid) {
        destination.stored(describeCopy(standing.manifest, standing.bytes));
        workshop.log.info('another try committed this backup first', { location, attempt: standing.manifest.attempt });
      } else {
        destination.failed(alreadyStored(key, standing.manifest));
      }
      return;
    case 'absent':
      destination.failed(
        putFailure ?? new Failure('StoredBytesDiffer', `${key} was acknowledged, but it is not there`),
      );
      return;
    case 'damaged':
      await removeDamaged(storage, key, destination, putFailure, workshop, signal);
      return;
    case 'unknown':
      // Perhaps it is committed, perhaps not: to delete the volumes could make a manifest without data.
      for (const begun of destination.begun) destination.settle(begun);
      destination.failed(putFailure ?? standing.failure);
      workshop.log.warn('it is not known whether the manifest was stored; its volumes are left alone', {
        location,
        error: standing.failure.message,
      });
  }
}

async function look(storage: Storage, key: string, ours: Buffer, signal: AbortSignal): Promise<Standing> {
  let bytes: Buffer;
  try {
    bytes = await readSmall(storage, key, manifestMaxBytes, signal);
  } catch (error) {
    const failure = toFailure(error);
    if (failure.reason === 'ObjectMissing') return { is: 'absent' };
    return { is: 'unknown', failure };
  }
  if (bytes.equals(ours)) return { is: 'ours' };
  try {
    return { is: 'theirs', manifest: parseManifest(key, bytes.toString('utf8')), bytes };
  } catch {
    return { is: 'damaged' };
  }
}

/** Nobody's manifest stands there: ours came out changed, unless the put was refused because something stood there before. */
async function removeDamaged(
  storage: Storage,
  key: string,
  destination: Destination,
  putFailure: Failure | undefined,
  workshop: Pick<Workshop, 'log'>,
  signal: AbortSignal,
): Promise<void> {
  if (putFailure?.reason === 'AlreadyStored') {
    destination.failed(new Failure('ManifestInvalid', `${key} exists and cannot be read`, { cause: putFailure }));
    return;
  }
  destination.failed(
    new Failure('StoredBytesDiffer', `${key} was acknowledged, but other bytes are there`, { cause: putFailure }),
  );
  try {
    await storage.delete(key, signal);
  } catch (error) {
    // A damaged manifest that stays is shown by inspections; its volumes stay with it, to be looked at.
    for (const begun of destination.begun) destination.settle(begun);
    workshop.log.warn('the damaged manifest cannot be deleted; its volumes are left alone', {
      location: destination.location,
      error: toFailure(error).message,
    });
  }
}
