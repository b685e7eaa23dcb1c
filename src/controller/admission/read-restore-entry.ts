import { labels, type Backup, type BackupLocation, type RestoreRequest } from '../../api/kinds.ts';
import { restoreJobName } from '../../domain/names.ts';
import { readStamp } from '../../domain/stamp.ts';
import { serverOf, type QueueEntry } from './entry.ts';
import { findIdleAt } from './idle.ts';
import type { ControllerMode } from '../mode.ts';
import { isControlledBy } from '../run/pods.ts';
import type { Read } from '../world/read-object.ts';
import { resources } from '../resources.ts';
import { type World } from '../world/world.ts';
import { isUnfinishedRestore } from '../world/world-indexes.ts';
import { targetNames } from '../restore/finish.ts';
import { resolveSource, type SourceSeen } from '../restore/resolve-source.ts';

/** Undefined: the request has ended, or could not have a Job whatever its turn. */
export function readRestoreEntry(
  world: World,
  mode: ControllerMode,
  nowMs: number,
  namespace: string,
  name: string,
): Omit<QueueEntry, 'key'> | undefined {
  const found = world.restoreRequest(namespace, name);
  if (found === undefined || !isUnfinishedRestore(found.object)) return undefined;
  const { object: request, fault } = found;
  const { uid, creationTimestamp, deletionTimestamp } = request.metadata;
  const base = {
    kind: 'restore',
    namespace,
    createdAtMs: readStamp(creationTimestamp) ?? 0,
    byHand: request.metadata.labels?.[labels.restorePolicy] === undefined,
    server: fault === undefined ? serverOf(namespace, request.spec.target.postgres) : '',
  } as const;
  const targets = fault === undefined ? targetNames(request).map((target) => `${base.server}/${target}`) : [];
  const jobName = restoreJobName(name);
  const job = world.job(namespace, jobName);
  if (request.status?.job !== undefined || (job !== undefined && isControlledBy(job, uid))) {
    return { ...base, targets, state: 'going', idleAtMs: findIdleAt(world, request, jobName) };
  }
  if (fault !== undefined || deletionTimestamp !== undefined) return undefined;
  if (resolveSource(observeSource(world, mode, nowMs, request)).state !== 'found') return undefined;
  const isRefused = world.refusal(resources.job, namespace, jobName) !== undefined;
  return { ...base, targets, state: isRefused ? 'refused' : 'waiting' };
}

/** What the source of a request is found by. */
export function observeSource(
  world: World,
  mode: ControllerMode,
  nowMs: number,
  request: RestoreRequest,
): SourceSeen & { readonly locations: ReadonlyMap<string, Read<BackupLocation>> } {
  const { namespace } = request.metadata;
  return {
    nowMs,
    request,
    locations: world.locationsIn(namespace),
    backupNamed: (name): Backup | undefined => world.backup(namespace, name)?.object,
    policyNamed: (name) => world.policy(namespace, name)?.object,
    backupsOfPolicy: (policy) => world.backupsOfPolicy(namespace, policy).map(({ object }) => object),
    mode,
  };
}
