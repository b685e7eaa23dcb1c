import { backupJobName } from '../../domain/names.ts';
import { readStamp } from '../../domain/stamp.ts';
import { serverOf, serverOfPolicy, type QueueEntry } from './entry.ts';
import { findIdleAt } from './idle.ts';
import { checkDestinations } from '../destinations.ts';
import type { ControllerMode } from '../mode.ts';
import { isControlledBy } from '../run/pods.ts';
import { resources } from '../resources.ts';
import { type World } from '../world/world.ts';
import { isUnfinished } from '../world/world-indexes.ts';
import { readBackupTask } from '../backup/job.ts';

/** Undefined: the Backup has ended, or could not have a Job whatever its turn. */
export function readBackupEntry(
  world: World,
  mode: ControllerMode,
  namespace: string,
  name: string,
): Omit<QueueEntry, 'key'> | undefined {
  const found = world.backup(namespace, name);
  if (found === undefined || !isUnfinished(found.object)) return undefined;
  const { object: backup, fault } = found;
  const { uid, creationTimestamp, deletionTimestamp } = backup.metadata;
  const createdAtMs = readStamp(creationTimestamp) ?? 0;
  const base = {
    kind: 'backup',
    namespace,
    createdAtMs,
    byHand: backup.spec?.slot === undefined,
    targets: [],
  } as const;
  const policy = world.policy(namespace, backup.spec?.policy);
  const jobName = backupJobName(name);
  const job = world.job(namespace, jobName);
  if (job !== undefined && isControlledBy(job, uid)) {
    const task = readBackupTask(job);
    const server = task === undefined ? '' : serverOf(namespace, task.source);
    return {
      ...base,
      server: server || (policy && policy.fault === undefined && serverOfPolicy(policy.object)) || '',
      state: 'going',
      idleAtMs: findIdleAt(world, backup, jobName),
    };
  }
  const isReadable = policy !== undefined && policy.fault === undefined && fault === undefined;
  if (!isReadable || deletionTimestamp !== undefined || backup.status?.job !== undefined) return undefined;
  const { destinations } = policy.object.spec;
  const locations = new Map(
    destinations.flatMap(({ location }) => {
      const read = world.location(namespace, location);
      return read === undefined ? [] : [[location, read] as const];
    }),
  );
  if (checkDestinations(policy.object.spec, locations, mode.claimRequired).blocking !== undefined) return undefined;
  const isRefused = world.refusal(resources.job, namespace, jobName) !== undefined;
  return { ...base, server: serverOfPolicy(policy.object), state: isRefused ? 'refused' : 'waiting' };
}
