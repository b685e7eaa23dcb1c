import { annotations, finalizer, type Backup, type BackupLocation } from '../../api/kinds.ts';
import { removableMax } from '../../api/remains.ts';
import { readStamp } from '../../domain/stamp.ts';
import { endOf, resultOf } from '../run/outcome.ts';
import { backupRun } from '../policy/backup-run.ts';
import type { Read } from '../world/read-object.ts';

/** A Backup without data in any location. */
export interface NothingLeft {
  /** failed: it never stored anything. vanished: it did, and no location has it any more. removed: by retention, everywhere. */
  readonly kind: 'failed' | 'vanished' | 'removed';
  /** When it failed, or when the last copy was missed or removed (milliseconds since the epoch). */
  readonly since: number;
}

/**
 * So long the object of vanished data stays in any case. Inspections in between find the data again if it was only out of sight; and
 * volumes without a manifest are proposed for removal by then (after a week and a day at most), which keeps the object (hasRemains).
 */
export const keptAfterVanishingMs = 9 * 24 * 3_600_000;

/** An inspection that was on its way meanwhile (an hour at most) may have seen it, and would show it again. */
const keptAfterRemovalMs = 2 * 3_600_000;

/** When the object may go at the earliest (milliseconds since the epoch). */
export function mayGoAt({ kind, since }: NothingLeft): number {
  if (kind === 'failed') return 0;
  return since + (kind === 'removed' ? keptAfterRemovalMs : keptAfterVanishingMs);
}

/**
 * Whether a Backup stands for no data: only then may its object go. Undefined also for those made by hand, which are their maker's, for
 * those that go on, are being deleted or are held by somebody's finalizer, and where it is not known what became of a copy.
 */
export function findNothingLeft(backup: Backup): NothingLeft | undefined {
  const { metadata, status } = backup;
  const isFound = backup.spec.import !== undefined && metadata.annotations?.[annotations.foundUid] !== undefined;
  const run = backupRun(backup);
  const isByHand = !isFound && !(run.isOwn && run.isNamedBySlot);
  const others = (metadata.finalizers ?? []).filter((each) => each !== finalizer);
  const isHeld = metadata.deletionTimestamp !== undefined || others.length > 0;
  const result = resultOf(backup);
  if (isByHand || isHeld || result === undefined) return undefined;
  const destinations = status?.destinations ?? [];
  const end = endOf(backup);
  if (result === 'Failed') return isFound || end === undefined ? undefined : { kind: 'failed', since: end };

  const removed = destinations.filter(({ outcome }) => outcome === 'Removed');
  const kept = destinations.filter(({ outcome }) => outcome !== 'Failed' && outcome !== 'Removed');
  if (kept.length === 0 && removed.length > 0) {
    const times = removed.flatMap(({ removedAt }) => readStamp(removedAt) ?? []);
    return times.length < removed.length ? undefined : { kind: 'removed', since: Math.max(...times) };
  }
  const missed = kept.flatMap(({ outcome, missingSince }) => {
    const since = readStamp(missingSince);
    return outcome === 'Missing' && since !== undefined ? [since] : [];
  });
  if (missed.length === 0 || missed.length < kept.length) return undefined;
  return { kind: 'vanished', since: Math.max(...missed) };
}

/** Whether volumes of it lie at a location that inspections are about to remove: until then its object says whose they are. */
export function hasRemains({ metadata, spec }: Backup, locations: ReadonlyMap<string, Read<BackupLocation>>): boolean {
  return [...locations.values()].some(({ object: location }) => {
    const folders = location.status?.remains?.removableFolders ?? [];
    if (location.spec.accessMode !== 'ReadWrite') return false;
    // A full list is not the whole one.
    return folders.includes(`${spec.policy}/${metadata.name}`) || folders.length >= removableMax;
  });
}
