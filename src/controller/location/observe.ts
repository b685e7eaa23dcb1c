import { labels, type Backup, type BackupLocation } from '../../api/kinds.ts';
import type { Copies } from '../world/copies.ts';
import type { HeldAfter } from '../world/held-manifests.ts';
import type { ControllerMode } from '../mode.ts';
import { countPlaceJobs } from '../run/count-place-jobs.ts';
import { hasEndedMeanwhile, observeRun, type RunObserved, type RunSources } from '../run/observe-run.ts';
import type { JobSeen } from '../run/pods.ts';
import type { Read } from '../world/read-object.ts';
import { inspectionName } from './job.ts';
import type { RemainsKnown } from './remains.ts';

/** All that the plan of a location looks at. */
export interface LocationSeen extends RunObserved, RemainsKnown {
  readonly nowMs: number;
  readonly location: Read<BackupLocation>;
  /** Its Jobs of any inspection. */
  readonly jobs: readonly JobSeen[];
  /** Backups that ended and did not get there. */
  readonly failedThere: readonly Backup[];
  /** The manifests that Backup objects say that it has, or had. */
  readonly heldAfter: HeldAfter;
  /** Imports that wait for its catalogue. */
  readonly imports: readonly Backup[];
  /** Of other locations, and prunes (run/count-place-jobs.ts). */
  readonly otherInspections: number;
  /** What Backup objects say that it holds. */
  readonly copies: Copies;
  readonly mode: ControllerMode;
}

/** Undefined when there is no such location (any more). */
export async function observeLocation(
  sources: RunSources,
  mode: ControllerMode,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<LocationSeen | undefined> {
  const { world, clock } = sources;
  const before = world.location(namespace, name);
  if (before === undefined) return undefined;
  const jobName = inspectionName(before.object);
  const about = {
    namespace,
    jobName,
    ownerUid: before.object.metadata.uid,
    kind: 'inspect',
    decided: false,
    jobWasMade: false,
    signal,
  } as const;
  let run = await observeRun(sources, about);
  while (hasEndedMeanwhile(run, world.job(namespace, jobName))) run = await observeRun(sources, about);
  const location = world.location(namespace, name);
  // Its answer was taken in the meantime: what was heard belongs to another look.
  if (location === undefined || inspectionName(location.object) !== jobName) return undefined;
  const { uid } = location.object.metadata;
  const nowMs = clock.nowMs();
  return {
    nowMs,
    location,
    ...run,
    job: world.job(namespace, jobName) ?? run.job,
    jobs: world.jobsOwnedBy(uid).filter(({ metadata }) => metadata.labels?.[labels.task] === 'inspect'),
    // Asked for only when an inspection is due: there may be many, and each end of a run has its locations looked at.
    get otherInspections() {
      return countPlaceJobs(world, uid, mode, nowMs);
    },
    get policies() {
      return world.policiesIn(namespace).map(({ object }) => object);
    },
    get unfinished() {
      const all = world.unfinishedBackups().map(({ object }) => object);
      return all.filter(({ metadata }) => metadata.namespace === namespace);
    },
    copies: world.copiesAt(namespace, name),
    failedThere: world.backupsFailedAt(namespace, name).map(({ object }) => object),
    heldAfter: (key) => world.heldAfter(namespace, name, key),
    // Asked for only when a catalogue was read.
    get imports() {
      return world.importsFrom(namespace, name).map(({ object }) => object);
    },
    backupNamed: (backup) => world.backup(namespace, backup)?.object,
    mode,
  };
}
