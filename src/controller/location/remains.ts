import type { BackupLocationStatus } from '../../api/backup-location.ts';
import type { Backup, BackupLocation, BackupPolicy } from '../../api/kinds.ts';
import { removableMax } from '../../api/remains.ts';
import type { InspectVerdict, ResultLine } from '../../domain/report.ts';
import type { InspectTask } from '../../domain/task.ts';
import { resultOf } from '../run/outcome.ts';

/** A task is bounded; policies beyond count as unknown, and more runs at once there are not. */
const mostNamed = 1000;

export interface RemainsKnown {
  /** Policies of the namespace. */
  readonly policies: readonly BackupPolicy[];
  /** Backups of the namespace that have not ended. */
  readonly unfinished: readonly Backup[];
  readonly backupNamed: (name: string) => Backup | undefined;
}

/**
 * What an inspection may know and do about remains. Two inspections and the cluster must agree before a volume goes: one proposed its
 * folder, no Backup object says that a run is at work on it or that this location holds it, and the next inspection finds the same.
 */
export function remainsTask(location: BackupLocation, known: RemainsKnown): NonNullable<InspectTask['remains']> {
  const proposed = location.status?.remains?.removableFolders ?? [];
  return {
    deadlines: Object.fromEntries(
      known.policies
        .slice(0, mostNamed)
        .map(({ metadata, spec }) => [metadata.name, spec.runner.deadlineSeconds] as const),
    ),
    running: known.unfinished.slice(0, mostNamed).map(({ metadata }) => metadata.name),
    remove: proposed.filter((folder) => mayGo(location, folder, known)),
  };
}

function mayGo(location: BackupLocation, folder: string, { backupNamed }: RemainsKnown): boolean {
  const backup = backupNamed(folder.split('/')[1] ?? '');
  if (location.spec.accessMode !== 'ReadWrite') return false;
  return backup === undefined || (resultOf(backup) !== undefined && !isHeld(location, backup));
}

/** A Backup that is said to be there, and whose manifest is gone: what is left of it is for people to look at. */
function isHeld({ metadata }: BackupLocation, { status }: Backup): boolean {
  return (status?.destinations ?? []).some(
    ({ location, outcome }) => location === metadata.name && outcome !== 'Failed' && outcome !== 'Removed',
  );
}

/** Backups whose manifest vanished although they are said to be at the location. */
export function lostManifests(
  location: BackupLocation,
  results: readonly ResultLine[],
  backupNamed: RemainsKnown['backupNamed'],
): readonly string[] {
  return proposedIn(results).filter((folder) => {
    const backup = backupNamed(folder.split('/')[1] ?? '');
    return backup !== undefined && isHeld(location, backup);
  });
}

/** What was counted, as it stands in the status; of an inspection that did not look, what stood there before. */
export function addRemains(
  before: BackupLocationStatus['remains'],
  { remains }: InspectVerdict,
  results: readonly ResultLine[],
): BackupLocationStatus['remains'] {
  if (remains === undefined) return before;
  const { objects, bytes, oldestTime, unfinishedUploads } = remains;
  const removableFolders = proposedIn(results).slice(0, removableMax);
  return {
    ...(objects === undefined ? {} : { objects }),
    ...(bytes === undefined ? {} : { bytes }),
    ...(oldestTime === undefined ? {} : { oldestTime }),
    ...(unfinishedUploads === undefined ? {} : { unfinishedUploads }),
    removedObjects: (before?.removedObjects ?? 0) + (remains.removedObjects ?? 0),
    removedBytes: (before?.removedBytes ?? 0) + (remains.removedBytes ?? 0),
    removedUploads: (before?.removedUploads ?? 0) + (remains.removedUploads ?? 0),
    ...(removableFolders.length === 0 ? {} : { removableFolders }),
  };
}

function proposedIn(results: readonly ResultLine[]): readonly string[] {
  return results.flatMap((line) => (line.kind === 'remains' ? line.folders : []));
}
