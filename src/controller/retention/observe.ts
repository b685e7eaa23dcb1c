import type { Backup, BackupLocation, BackupPolicy } from '../../api/kinds.ts';
import type { RetentionSpec, RetentionStatus } from '../../api/retention.ts';
import type { ControllerMode } from '../mode.ts';
import { countPlaceJobs } from '../run/count-place-jobs.ts';
import { hasEndedMeanwhile, observeRun, type RunObserved, type RunSources } from '../run/observe-run.ts';
import type { JobSeen } from '../run/pods.ts';
import type { Read } from '../world/read-object.ts';
import type { World } from '../world/world.ts';
import { pruneName } from './job.ts';
import { retentionRules } from './rules.ts';

/** A destination that has a rule. */
export interface RetentionPlace {
  readonly location: string;
  readonly rule: RetentionSpec;
  /** What its status says. */
  readonly before: RetentionStatus | undefined;
  readonly found: Read<BackupLocation> | undefined;
  /** Of its prune. */
  readonly run: RunObserved;
}

/** All that the plan of a policy's retention looks at. */
export interface RetentionSeen {
  readonly nowMs: number;
  readonly policy: BackupPolicy;
  readonly places: readonly RetentionPlace[];
  /** All that name the policy, found ones included. */
  readonly backups: readonly Backup[];
  readonly backupNamed: (name: string) => Backup | undefined;
  /** Names of Backups that unfinished restores read. */
  readonly inUse: ReadonlySet<string>;
  /** Its prunes of any place. */
  readonly jobs: readonly JobSeen[];
  /** Inspections, and prunes of other policies. */
  readonly otherPlaceJobs: number;
  readonly mode: ControllerMode;
}

/** Undefined when there is no such policy (any more), when it cannot be read, or when it never had a rule. */
export async function observeRetention(
  sources: RunSources,
  mode: ControllerMode,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<RetentionSeen | undefined> {
  const { world, clock } = sources;
  const before = readPolicy(world, namespace, name);
  if (before === undefined) return undefined;
  const runs = new Map<string, RunObserved>();
  for (const location of retentionRules(before.spec).keys()) {
    const about = {
      namespace,
      jobName: pruneName(before, location, statusAt(before, location)),
      ownerUid: before.metadata.uid,
      kind: 'prune',
      decided: false,
      jobWasMade: false,
      signal,
    } as const;
    let run = await observeRun(sources, about);
    while (hasEndedMeanwhile(run, world.job(namespace, about.jobName))) run = await observeRun(sources, about);
    runs.set(about.jobName, run);
  }
  // From here on nothing waits: what the plan sees is one moment.
  const policy = readPolicy(world, namespace, name);
  if (policy === undefined) return undefined;
  const locations = world.locationsIn(namespace);
  const nowMs = clock.nowMs();
  const places: RetentionPlace[] = [];
  for (const [location, rule] of retentionRules(policy.spec)) {
    const status = statusAt(policy, location);
    const jobName = pruneName(policy, location, status);
    const run = runs.get(jobName);
    // Its answer was taken, or it was added, in the meantime: that change brings another look.
    if (run === undefined) return undefined;
    const job = world.job(namespace, jobName) ?? run.job;
    places.push({ location, rule, before: status, found: locations.get(location), run: { ...run, job } });
  }
  return {
    nowMs,
    policy,
    places,
    backups: world.backupsOfPolicy(namespace, name).map(({ object }) => object),
    backupNamed: (backup) => world.backup(namespace, backup)?.object,
    inUse: findInUse(world, namespace),
    jobs: world.jobsOwnedBy(policy.metadata.uid),
    // Asked for only when a prune is due: there may be many.
    get otherPlaceJobs() {
      return countPlaceJobs(world, policy.metadata.uid, mode, nowMs);
    },
    mode,
  };
}

function readPolicy(world: World, namespace: string, name: string): BackupPolicy | undefined {
  const read = world.policy(namespace, name);
  if (read === undefined || read.fault !== undefined || read.object.metadata.deletionTimestamp !== undefined) {
    return undefined;
  }
  const { object } = read;
  return retentionRules(object.spec).size > 0 || object.status?.prunes !== undefined ? object : undefined;
}

const statusAt = ({ status }: BackupPolicy, location: string): RetentionStatus | undefined =>
  status?.prunes?.find((each) => each.location === location);

function findInUse(world: World, namespace: string): ReadonlySet<string> {
  return new Set(
    world.unfinishedRestores().flatMap(({ object: { metadata, spec, status }, fault }) => {
      if (metadata.namespace !== namespace) return [];
      const named = fault === undefined ? spec.source.backup?.name : undefined;
      return [named, status?.source?.backup].filter((each) => each !== undefined);
    }),
  );
}
