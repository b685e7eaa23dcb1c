import { labels, type Backup, type BackupLocation, type BackupPolicy } from '../../api/kinds.ts';
import type { ControllerMode } from '../mode.ts';
import { countPlaceJobs } from '../run/count-place-jobs.ts';
import { hasEndedMeanwhile, observeRun, type RunObserved, type RunSources } from '../run/observe-run.ts';
import type { JobSeen } from '../run/pods.ts';
import type { Read } from '../world/read-object.ts';
import type { World } from '../world/world.ts';
import type { UpkeepEntry } from './due.ts';

/** A destination where there is such work. */
export interface PlaceSeen<Rule, Entry> {
  readonly location: string;
  readonly rule: Rule;
  /** What its status says. */
  readonly before: Entry | undefined;
  readonly found: Read<BackupLocation> | undefined;
  /** Of its Job. */
  readonly run: RunObserved;
}

/** All that the plan of such work of a policy looks at. */
export interface UpkeepSeen<Rule, Entry> {
  readonly nowMs: number;
  readonly policy: BackupPolicy;
  readonly places: readonly PlaceSeen<Rule, Entry>[];
  /** Those of the namespace, by name. */
  readonly locations: ReadonlyMap<string, Read<BackupLocation>>;
  /** All that name the policy, found ones included. */
  readonly backups: readonly Backup[];
  readonly backupNamed: (name: string) => Backup | undefined;
  /** Names of Backups that unfinished restores read. */
  readonly inUse: ReadonlySet<string>;
  /** Its Jobs of this work, at any place. */
  readonly jobs: readonly JobSeen[];
  /** Inspections, and such work of other policies. */
  readonly otherPlaceJobs: number;
  readonly mode: ControllerMode;
}

/** One sort of work on what the destinations of a policy hold. */
export interface UpkeepKind<Rule, Entry extends UpkeepEntry> {
  readonly task: 'prune' | 'copy';
  /** By location. */
  readonly rulesOf: (policy: BackupPolicy) => ReadonlyMap<string, Rule>;
  readonly entriesOf: (policy: BackupPolicy) => readonly Entry[] | undefined;
  /** Changes when an answer is taken, and not before. */
  readonly jobNameOf: (policy: BackupPolicy, location: string, before: Entry | undefined) => string;
}

/** Undefined when there is no such policy (any more), when it cannot be read, or when there never was such work. */
export async function observePlaces<Rule, Entry extends UpkeepEntry>(
  sources: RunSources,
  mode: ControllerMode,
  kind: UpkeepKind<Rule, Entry>,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<UpkeepSeen<Rule, Entry> | undefined> {
  const { world, clock } = sources;
  const entryAt = (policy: BackupPolicy, location: string): Entry | undefined =>
    kind.entriesOf(policy)?.find((each) => each.location === location);
  const before = readPolicy(world, kind, namespace, name);
  if (before === undefined) return undefined;
  const runs = new Map<string, RunObserved>();
  for (const location of kind.rulesOf(before).keys()) {
    const about = {
      namespace,
      jobName: kind.jobNameOf(before, location, entryAt(before, location)),
      ownerUid: before.metadata.uid,
      kind: kind.task,
      decided: false,
      jobWasMade: false,
      signal,
    } as const;
    let run = await observeRun(sources, about);
    while (hasEndedMeanwhile(run, world.job(namespace, about.jobName))) run = await observeRun(sources, about);
    runs.set(about.jobName, run);
  }
  // From here on nothing waits: what the plan sees is one moment.
  const policy = readPolicy(world, kind, namespace, name);
  if (policy === undefined) return undefined;
  const locations = world.locationsIn(namespace);
  const nowMs = clock.nowMs();
  const places: PlaceSeen<Rule, Entry>[] = [];
  for (const [location, rule] of kind.rulesOf(policy)) {
    const entry = entryAt(policy, location);
    const jobName = kind.jobNameOf(policy, location, entry);
    const run = runs.get(jobName);
    // Its answer was taken, or it was added, in the meantime: that change brings another look.
    if (run === undefined) return undefined;
    const job = world.job(namespace, jobName) ?? run.job;
    places.push({ location, rule, before: entry, found: locations.get(location), run: { ...run, job } });
  }
  return {
    nowMs,
    policy,
    places,
    locations,
    backups: world.backupsOfPolicy(namespace, name).map(({ object }) => object),
    backupNamed: (backup) => world.backup(namespace, backup)?.object,
    inUse: findInUse(world, namespace),
    jobs: world.jobsOwnedBy(policy.metadata.uid).filter(({ metadata }) => metadata.labels?.[labels.task] === kind.task),
    // Asked for only when a Job is due: there may be many.
    get otherPlaceJobs() {
      return countPlaceJobs(world, policy.metadata.uid, mode, nowMs);
    },
    mode,
  };
}

function readPolicy<Rule, Entry extends UpkeepEntry>(
  world: World,
  kind: UpkeepKind<Rule, Entry>,
  namespace: string,
  name: string,
): BackupPolicy | undefined {
  const read = world.policy(namespace, name);
  if (read === undefined || read.fault !== undefined || read.object.metadata.deletionTimestamp !== undefined) {
    return undefined;
  }
  const { object } = read;
  return kind.rulesOf(object).size > 0 || kind.entriesOf(object) !== undefined ? object : undefined;
}

function findInUse(world: World, namespace: string): ReadonlySet<string> {
  return new Set(
    world.unfinishedRestores().flatMap(({ object: { metadata, spec, status }, fault }) => {
      if (metadata.namespace !== namespace) return [];
      const named = fault === undefined ? spec.source.backup?.name : undefined;
      return [named, status?.source?.backup].filter((each) => each !== undefined);
    }),
  );
}
