import type { Backup, BackupLocation } from '../../api/kinds.ts';
import { labels } from '../../api/kinds.ts';
import { readStamp } from '../../domain/stamp.ts';
import { stuckAfterMs } from '../run/stuck.ts';
import type { Copies } from '../world/copies.ts';
import type { ControllerMode } from '../mode.ts';
import { hasEndedMeanwhile, observeRun, type RunObserved, type RunSources } from '../run/observe-run.ts';
import { isFinished, runnerState, type JobSeen } from '../run/pods.ts';
import type { Read } from '../world/read-object.ts';
import type { World } from '../world/world.ts';
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
  /** All of its namespace. Asked for only when a catalogue was read: there may be many. */
  readonly allBackups: () => readonly Backup[];
  /** Places that inspections of other locations take: all that work, and of those that are stuck the ones beyond `mode.inspections`. */
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
    jobs: world.jobsOwnedBy(uid),
    // Asked for only when an inspection is due: there may be many, and each end of a run has its locations looked at.
    get otherInspections() {
      return countOthers(world, uid, mode, nowMs);
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
    allBackups: () => world.backupsIn(namespace).map(({ object }) => object),
    backupNamed: (backup) => world.backup(namespace, backup)?.object,
    mode,
  };
}

function countOthers(world: World, uid: string, mode: ControllerMode, nowMs: number): number {
  const others = world.jobs().filter((job) => {
    const isOther = job.metadata.ownerReferences?.every((owner) => owner.uid !== uid) ?? true;
    return isOther && job.metadata.labels?.[labels.location] !== undefined && !isFinished(job);
  });
  const working = others.filter((job) => !hasNotStarted(world, job, nowMs));
  return Math.max(working.length, others.length - mode.inspections);
}

/** As with runs (docs/design/limits.md): a volume that nobody can mount must not hold up all other locations. */
function hasNotStarted(world: World, { metadata }: JobSeen, nowMs: number): boolean {
  const since = readStamp(metadata.creationTimestamp);
  if (since === undefined || nowMs < since + stuckAfterMs) return false;
  return world.podsOfJob(metadata.uid).every((pod) => runnerState(pod)?.running === undefined);
}
