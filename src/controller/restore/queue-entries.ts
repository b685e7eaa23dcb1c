import type { Backup, BackupLocation, RestoreRequest } from '../../api/kinds.ts';
import { restoreJobName } from '../../domain/names.ts';
import { readStamp } from '../../domain/stamp.ts';
import { serverOf, type QueueEntry } from '../backup/admission.ts';
import { findStuckAt } from '../backup/stuck.ts';
import type { ControllerMode } from '../mode.ts';
import { isControlledBy } from '../pods.ts';
import type { Read } from '../read-object.ts';
import { resources } from '../resources.ts';
import type { World } from '../world.ts';
import { targetNames } from './finish.ts';
import { resolveSource, type SourceSeen } from './resolve-source.ts';

export interface RestoreQueue {
  readonly entries: readonly QueueEntry[];
  /** Who has to end before it, by the key of who waits: both restore to the same database. */
  readonly busy: ReadonlyMap<string, string>;
}

/** Backups and requests have names of their own. */
export function restoreKey({ metadata }: RestoreRequest): string {
  return `restore ${metadata.namespace}/${metadata.name}`;
}

/**
 * Requests that have a Job, or could have one but for the limits. Of several that restore to the same database only one at a time takes
 * part: whoever works, else the oldest that could.
 */
export function observeRestores(world: World, mode: ControllerMode, nowMs: number): RestoreQueue {
  const unfinished = world.unfinishedRestores();
  if (unfinished.length === 0) return { entries: [], busy: new Map() };
  const holders = new Map<string, string>();
  const entries: QueueEntry[] = [];
  const waiting: RestoreRequest[] = [];
  for (const { object: request, fault } of unfinished) {
    const { namespace, name, uid } = request.metadata;
    const job = world.job(namespace, restoreJobName(name));
    const works = request.status?.job !== undefined || (job !== undefined && isControlledBy(job, uid));
    if (!works) {
      if (fault === undefined && request.metadata.deletionTimestamp === undefined) waiting.push(request);
      continue;
    }
    const server = fault === undefined ? serverOfRequest(request) : '';
    const isStuck = nowMs >= (findStuckAt(world, request, restoreJobName) ?? Infinity);
    entries.push({ ...entryOf(request), server, state: isStuck ? 'stuck' : 'working' });
    if (fault === undefined) for (const target of targetsOf(request)) holders.set(target, name);
  }
  const busy = new Map<string, string>();
  for (const request of waiting.toSorted(byAge)) {
    if (!canStart(world, mode, nowMs, request)) continue;
    const targets = targetsOf(request);
    const holder = targets.flatMap((target) => holders.get(target) ?? [])[0];
    if (holder !== undefined) busy.set(restoreKey(request), holder);
    // Who waits for a database keeps the others of its own for itself: it would never have all of them at once.
    for (const target of targets) if (!holders.has(target)) holders.set(target, request.metadata.name);
    if (holder !== undefined) continue;
    const { namespace, name } = request.metadata;
    const refused = world.refusal(resources.job, namespace, restoreJobName(name)) !== undefined;
    const state = refused ? 'refused' : 'waiting';
    entries.push({ ...entryOf(request), server: serverOfRequest(request), state });
  }
  return { entries, busy };
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

function canStart(world: World, mode: ControllerMode, nowMs: number, request: RestoreRequest): boolean {
  return resolveSource(observeSource(world, mode, nowMs, request)).state === 'found';
}

function entryOf(request: RestoreRequest): Pick<QueueEntry, 'key' | 'createdAtMs'> {
  return { key: restoreKey(request), createdAtMs: readStamp(request.metadata.creationTimestamp) ?? 0 };
}

function byAge(a: RestoreRequest, b: RestoreRequest): number {
  const [one, other] = [entryOf(a), entryOf(b)];
  return one.createdAtMs - other.createdAtMs || Number(one.key > other.key) - Number(one.key < other.key);
}

function serverOfRequest({ metadata, spec }: RestoreRequest): string {
  return serverOf(metadata.namespace, spec.target.postgres);
}

function targetsOf(request: RestoreRequest): readonly string[] {
  return targetNames(request).map((name) => `${serverOfRequest(request)}/${name}`);
}
