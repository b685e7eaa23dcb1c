import type { Backup, BackupLocation, BackupPolicy } from '../../api/kinds.ts';
import { readStamp } from '../../domain/stamp.ts';
import { checkDestinations } from '../destinations.ts';
import type { ControllerMode } from '../mode.ts';
import { resultOf } from '../outcome.ts';
import { isControlledBy } from '../pods.ts';
import type { Read } from '../read-object.ts';
import { hasEndedMeanwhile, observeRun, type RunObserved, type RunSources } from '../observe-run.ts';
import { backupJobName } from '../../domain/names.ts';
import { serverOf, serverOfPolicy, type QueueEntry } from './admission.ts';
import { resources } from '../resources.ts';
import { readBackupTask } from './job.ts';
import { findStuckAt } from './stuck.ts';

/** All that the plan of a Backup looks at. */
export interface BackupSeen extends RunObserved {
  readonly nowMs: number;
  readonly backup: Read<Backup>;
  readonly policy: Read<BackupPolicy> | undefined;
  readonly locations: ReadonlyMap<string, Read<BackupLocation>>;
  /** Other Backups of the policy that are no imports. */
  readonly siblings: readonly Backup[];
  /** Empty when it needs no turn any more. */
  readonly queue: readonly QueueEntry[];
  readonly mode: ControllerMode;
}

/** Undefined when there is no such Backup (any more). */
export async function observeBackup(
  sources: RunSources,
  mode: ControllerMode,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<BackupSeen | undefined> {
  const { world, clock } = sources;
  const before = world.backup(namespace, name)?.object;
  if (before === undefined) return undefined;
  const decided = resultOf(before) !== undefined || before.spec.import !== undefined;
  const jobName = backupJobName(name);
  const about = {
    namespace,
    jobName,
    ownerUid: before.metadata.uid,
    kind: 'backup',
    decided,
    jobWasMade: before.status?.job !== undefined,
    signal,
  } as const;
  let run = await observeRun(sources, about);
  while (hasEndedMeanwhile(run, world.job(namespace, jobName))) run = await observeRun(sources, about);
  // From here on nothing waits: what the plan sees is one moment, and its intents are noted before another look begins.
  const backup = world.backup(namespace, name);
  if (backup === undefined) return undefined;
  const policyName = backup.object.spec.policy;
  const job = world.job(namespace, jobName) ?? run.job;
  const hasJob = job !== undefined && isControlledBy(job, backup.object.metadata.uid);
  const siblings = decided ? [] : world.backupsOfPolicy(namespace, policyName).map(({ object }) => object);
  return {
    nowMs: clock.nowMs(),
    backup,
    policy: world.policy(namespace, policyName),
    locations: world.locationsIn(namespace),
    ...run,
    job,
    siblings: siblings.filter(({ metadata, spec }) => metadata.name !== name && spec.import === undefined),
    queue: decided || hasJob ? [] : observeQueue(sources, mode, name),
    mode,
  };
}

/** All that want a place; only the one that asks when there is room for all, which is what a thousand at once may ask a thousand times. */
function observeQueue({ world, clock }: RunSources, mode: ControllerMode, asking: string): readonly QueueEntry[] {
  const nowMs = clock.nowMs();
  const locations = new Map<string, BackupSeen['locations']>();
  const locationsIn = (namespace: string): BackupSeen['locations'] => {
    const known = locations.get(namespace) ?? world.locationsIn(namespace);
    locations.set(namespace, known);
    return known;
  };
  const unfinished = world.unfinishedBackups();
  const hasRoom = unfinished.length <= Math.min(mode.limits.runs, mode.limits.perServer);
  const seen = hasRoom ? unfinished.filter(({ object }) => object.metadata.name === asking) : unfinished;
  return seen.flatMap(({ object: backup, fault }): readonly QueueEntry[] => {
    const { namespace, name, uid, creationTimestamp, deletionTimestamp } = backup.metadata;
    const entry = { key: `${namespace}/${name}`, createdAtMs: readStamp(creationTimestamp) ?? 0 };
    const policy = world.policy(namespace, backup.spec.policy);
    const jobName = backupJobName(name);
    const job = world.job(namespace, jobName);
    if (job !== undefined && isControlledBy(job, uid)) {
      const task = readBackupTask(job);
      const server = task === undefined ? '' : serverOf(namespace, task.source);
      const isStuck = nowMs >= (findStuckAt(world, backup) ?? Infinity);
      const state = isStuck ? 'stuck' : 'working';
      return [{ ...entry, server: server || (policy && serverOfPolicy(policy.object)) || '', state }];
    }
    const isReadable = policy !== undefined && policy.fault === undefined && fault === undefined;
    if (!isReadable || deletionTimestamp !== undefined || backup.status?.job !== undefined) return [];
    const { destinations } = policy.object.spec;
    const { blocking } = checkDestinations(destinations, locationsIn(namespace), mode.claimRequired);
    if (blocking !== undefined) return [];
    const state = world.refusal(resources.job, namespace, jobName) === undefined ? 'waiting' : 'refused';
    return [{ ...entry, server: serverOfPolicy(policy.object), state }];
  });
}
