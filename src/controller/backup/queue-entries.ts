import type { Backup } from '../../api/kinds.ts';
import { backupJobName } from '../../domain/names.ts';
import { readStamp } from '../../domain/stamp.ts';
import { checkDestinations } from '../destinations.ts';
import type { ControllerMode } from '../mode.ts';
import { isControlledBy } from '../pods.ts';
import type { Read } from '../read-object.ts';
import { resources } from '../resources.ts';
import type { World } from '../world.ts';
import { serverOf, serverOfPolicy, type QueueEntry } from './admission.ts';
import { readBackupTask } from './job.ts';
import { findStuckAt } from './stuck.ts';

/** What of these unfinished Backups has a Job, or could have one but for the limits. */
export function backupEntries(
  world: World,
  mode: ControllerMode,
  nowMs: number,
  backups: readonly Read<Backup>[],
): readonly QueueEntry[] {
  const locations = new Map<string, ReturnType<World['locationsIn']>>();
  const locationsIn = (namespace: string): ReturnType<World['locationsIn']> => {
    const known = locations.get(namespace) ?? world.locationsIn(namespace);
    locations.set(namespace, known);
    return known;
  };
  return backups.flatMap(({ object: backup, fault }): readonly QueueEntry[] => {
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
