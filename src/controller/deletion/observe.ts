import { isCopy, type DestinationStatus } from '../../api/backup.ts';
import { finalizer, type Backup, type BackupLocation, type BackupPolicy } from '../../api/kinds.ts';
import { backupJobName } from '../../domain/names.ts';
import type { ControllerMode } from '../mode.ts';
import { countPlaceJobs } from '../run/count-place-jobs.ts';
import { hasEndedMeanwhile, observeRun, type RunObserved, type RunSources } from '../run/observe-run.ts';
import { resultOf } from '../run/outcome.ts';
import { isControlledBy, type JobSeen } from '../run/pods.ts';
import type { Read } from '../world/read-object.ts';
import type { World } from '../world/world.ts';
import { deletionName } from './job.ts';

/** A place that holds a copy, or may. */
export interface DeletionPlace {
  readonly index: number;
  readonly copy: DestinationStatus;
  readonly location: Read<BackupLocation> | undefined;
  readonly run: RunObserved;
}

/** All that the plan of a deletion looks at. */
export interface DeletionSeen {
  readonly nowMs: number;
  readonly backup: Backup;
  /** The Job of its run, if that is still there. */
  readonly job: JobSeen | undefined;
  readonly places: readonly DeletionPlace[];
  /** A run of it has begun, nobody heard its end, and nobody knows any more where it was to store. */
  readonly isLost: boolean;
  readonly otherPlaceJobs: number;
  readonly mode: ControllerMode;
}

/** Whether deleting a Backup waits for its data to be deleted. */
export function isDeletion({ metadata }: Backup): boolean {
  return metadata.deletionTimestamp !== undefined && (metadata.finalizers?.includes(finalizer) ?? false);
}

/** Undefined when there is no such Backup that is being deleted (any more). */
export async function observeDeletion(
  sources: RunSources,
  mode: ControllerMode,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<DeletionSeen | undefined> {
  const { world, clock } = sources;
  const before = readDeletion(world, namespace, name);
  if (before === undefined) return undefined;
  const runs = new Map<number, RunObserved>();
  for (const { index, copy } of listPlaces(world, before)) {
    const about = {
      namespace,
      jobName: deletionName(before, index),
      ownerUid: world.location(namespace, copy.location)?.object.metadata.uid ?? '',
      kind: 'prune',
      decided: false,
      jobWasMade: false,
      signal,
    } as const;
    let run = await observeRun(sources, about);
    while (hasEndedMeanwhile(run, world.job(namespace, about.jobName))) run = await observeRun(sources, about);
    runs.set(index, run);
  }
  const backup = readDeletion(world, namespace, name);
  if (backup === undefined) return undefined;
  const job = world.job(namespace, backupJobName(name));
  const nowMs = clock.nowMs();
  return {
    nowMs,
    backup,
    job: job !== undefined && isControlledBy(job, backup.metadata.uid) ? job : undefined,
    places: listPlaces(world, backup).flatMap(({ index, copy }) => {
      const run = runs.get(index);
      if (run === undefined) return [];
      const found = world.job(namespace, deletionName(backup, index)) ?? run.job;
      return [{ index, copy, location: world.location(namespace, copy.location), run: { ...run, job: found } }];
    }),
    isLost: isUnheard(backup) && backup.status?.job !== undefined && findPolicy(world, backup) === undefined,
    get otherPlaceJobs() {
      return countPlaceJobs(world, backup.metadata.uid, mode, nowMs);
    },
    mode,
  };
}

type Place = Pick<DeletionPlace, 'index' | 'copy'>;

/** Where it is; of a run that nobody heard the end of, where it might be. */
function listPlaces(world: World, backup: Backup): readonly Place[] {
  const { status } = backup;
  if (!isUnheard(backup)) {
    return (status?.destinations ?? []).flatMap((copy, index) => (isCopy(copy) ? [{ index, copy }] : []));
  }
  const removed = new Set(
    (status?.destinations ?? []).flatMap(({ location, outcome }) => (outcome === 'Removed' ? location : [])),
  );
  const destinations = findPolicy(world, backup)?.spec.destinations ?? [];
  return destinations.flatMap(({ location }, index) =>
    removed.has(location) ? [] : { index, copy: { location, outcome: 'Stored' as const } },
  );
}

const isUnheard = (backup: Backup): boolean => resultOf(backup) === undefined && backup.spec.import === undefined;

function findPolicy(world: World, { metadata, spec }: Backup): BackupPolicy | undefined {
  const policy = world.policy(metadata.namespace, spec.policy);
  return policy === undefined || policy.fault !== undefined ? undefined : policy.object;
}

function readDeletion(world: World, namespace: string, name: string): Backup | undefined {
  const backup = world.backup(namespace, name)?.object;
  return backup !== undefined && isDeletion(backup) ? backup : undefined;
}
