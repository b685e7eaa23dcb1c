import { backupSpec, isCopy, type BackupStatus, type DestinationStatus } from '../../api/backup.ts';
import { annotations, apiVersion, labels, type Backup, type BackupLocation } from '../../api/kinds.ts';
import { backupNameMaxLength, labelPattern } from '../../api/parts.ts';
import { parseManifestKey } from '../../domain/layout.ts';
import type { FoundBackup, ResultLine } from '../../domain/report.ts';
import { sameValue } from '../../domain/same-value.ts';
import { readStamp } from '../../domain/stamp.ts';
import type { Action } from '../action.ts';
import { cutText, setCondition } from '../conditions.ts';
import { fitStatus } from '../fit-status.ts';
import { resultOf } from '../run/outcome.ts';
import { managedBy, resources } from '../resources.ts';

/** What a page of a catalogue makes of the Backup objects. */
export interface Catalogued {
  readonly actions: readonly Action[];
  /** Of those that only look different from when they were last read. Definitions of an earlier version drop them, so nothing may wait for them. */
  readonly marks: readonly Action[];
  /** Ids whose object is another backup's. */
  readonly taken: readonly string[];
}

/**
 * Found backups become Backup objects, one for each id however many locations have it. What exists is never overwritten: a destination
 * is added where it is missing, and an object of another backup (uid) is left alone and named.
 */
export function catalogue(
  location: BackupLocation,
  results: readonly ResultLine[],
  backupNamed: (name: string) => Backup | undefined,
  nowMs: number,
  startedAt: string,
): Catalogued {
  const actions: Action[] = [];
  const marks: Action[] = [];
  const taken: string[] = [];
  for (const line of results) {
    if (line.kind !== 'backup' || !belongsTo(location, line)) continue;
    const existing = backupNamed(line.id);
    if (existing === undefined) {
      actions.push(createFound(location, line, nowMs));
    } else if (!isSameBackup(location, existing, line)) {
      taken.push(line.id);
    } else {
      if (isRemovedSince(location, existing, startedAt)) continue;
      const status = mergeFound(location, existing, line, nowMs);
      if (status !== undefined && !sameValue(status, existing.status)) {
        const isMark = sameValue(withoutMarks(status), withoutMarks(existing.status));
        const write = { type: 'set-status', resource: resources.backup, object: existing, status } as const;
        (isMark ? marks : actions).push(write);
      }
    }
  }
  return { actions, marks, taken };
}

function withoutMarks(status: BackupStatus | undefined): BackupStatus | undefined {
  const destinations = status?.destinations?.map((each) => ({ ...each, listed: undefined }));
  return status && { ...status, destinations };
}

/** Its data went while the inspection was on its way: it may have been listed before. */
function isRemovedSince({ metadata }: BackupLocation, { status }: Backup, startedAt: string): boolean {
  const known = status?.destinations?.find(({ location }) => location === metadata.name);
  const removedAt = known?.outcome === 'Removed' ? readStamp(known.removedAt) : undefined;
  return removedAt !== undefined && removedAt >= (readStamp(startedAt) ?? 0);
}

/** Only what lies under the location's own namespace is ever shown, under the name that its key says. */
function belongsTo(location: BackupLocation, found: FoundBackup): boolean {
  const key = parseManifestKey(found.key);
  return (
    key?.namespace === location.metadata.namespace &&
    key.backup === found.id &&
    key.policy === found.policy &&
    found.id.length <= backupNameMaxLength &&
    labelPattern.test(found.id) &&
    labelPattern.test(found.policy)
  );
}

/** A run of ours is known by its object's uid; a found one by the uid that was noted with it. */
function isSameBackup(location: BackupLocation, existing: Backup, found: FoundBackup): boolean {
  if (existing.metadata.uid === found.uid) return true;
  const { import: imported } = existing.spec;
  if (imported === undefined) return false;
  const noted = existing.metadata.annotations?.[annotations.foundUid];
  if (noted !== undefined) return noted === found.uid;
  // Made by hand: it stands for whatever lies where it says.
  return imported.location === location.metadata.name && imported.key === found.key;
}

function createFound(location: BackupLocation, found: FoundBackup, nowMs: number): Action {
  const slot = backupSpec.shape.slot.safeParse(found.slot).data;
  return {
    type: 'create',
    resource: resources.backup,
    object: {
      apiVersion,
      kind: 'Backup',
      metadata: {
        name: found.id,
        namespace: location.metadata.namespace,
        labels: { [managedBy.key]: managedBy.value, [labels.policy]: found.policy },
        annotations: {
          [annotations.foundUid]: found.uid,
          ...(found.policyUid === undefined ? {} : { [annotations.foundPolicyUid]: found.policyUid }),
        },
      },
      spec: {
        policy: found.policy,
        ...(slot === undefined ? {} : { slot }),
        import: { location: location.metadata.name, key: found.key },
      },
    },
    // An object of this name that came up in between is looked at again: it may need the status that is given here.
    ours: 'never',
    status: foundStatus(undefined, location, found, nowMs),
  };
}

/** Undefined: leave it as it is. */
function mergeFound(
  location: BackupLocation,
  existing: Backup,
  found: FoundBackup,
  nowMs: number,
): BackupStatus | undefined {
  const before = existing.status;
  const ended = resultOf(existing) !== undefined;
  // One that failed for want of its manifest has it now.
  const isUnread = !ended || (before?.destinations ?? []).length === 0;
  if (existing.spec.import !== undefined && isUnread) return foundStatus(before, location, found, nowMs);
  // A run that goes on: its own runner says what became of it.
  if (!ended) return undefined;
  return fitStatus({
    ...before,
    destinations: mergeDestination(before?.destinations, location, found),
    plainBytes: before?.plainBytes ?? found.plainBytes,
    storedBytes: before?.storedBytes ?? found.storedBytes,
    startedAt: before?.startedAt ?? found.startedAt,
    attempt: before?.attempt ?? cutText(found.attempt, 16),
    databases: before?.databases ?? databasesOf(found),
  });
}

/**
 * The status of a found backup. One whose manifest names failed databases is there, can be listed and restored from, and is no success:
 * Succeeded is False with DatabaseFailed, as it was when it was made; so neither `kubectl wait` nor lastSuccessTime takes it for one.
 */
function foundStatus(
  before: BackupStatus | undefined,
  location: BackupLocation,
  found: FoundBackup,
  nowMs: number,
): BackupStatus {
  const isWhole = found.failed.length === 0 && found.stored.length > 0;
  const where = `found in ${location.metadata.name}`;
  const condition = isWhole
    ? ({ type: 'Succeeded', status: 'True', reason: 'Imported', message: where } as const)
    : ({
        type: 'Succeeded',
        status: 'False',
        reason: 'DatabaseFailed',
        message: `${where}; not stored: ${found.failed.map(({ name }) => name).join(', ') || 'any database'}`,
      } as const);
  return fitStatus({
    ...before,
    conditions: setCondition(before?.conditions, condition, nowMs),
    phase: isWhole ? 'Succeeded' : 'PartlyFailed',
    startedAt: found.startedAt,
    completedAt: found.completedAt,
    attempt: cutText(found.attempt, 16),
    plainBytes: found.plainBytes,
    storedBytes: found.storedBytes,
    destinations: mergeDestination(before?.destinations, location, found),
    databases: databasesOf(found),
  });
}

function databasesOf(found: FoundBackup): NonNullable<BackupStatus['databases']> {
  return { stored: [...found.stored], failed: found.failed.map(({ name, reason }) => ({ name, reason })) };
}

/** Stored stays Stored; what failed, was missing or is not there becomes Found: there is a manifest. */
function mergeDestination(
  destinations: readonly DestinationStatus[] | undefined,
  location: BackupLocation,
  found: FoundBackup,
): DestinationStatus[] {
  const { name } = location.metadata;
  const before = destinations ?? [];
  const known = before.find((destination) => destination.location === name);
  const listed = found.mark?.slice(0, 16);
  if (known !== undefined && isCopy(known)) {
    return before.map((destination) => (destination === known ? { ...known, listed } : destination));
  }
  const added: DestinationStatus = {
    location: name,
    required: known?.required,
    outcome: 'Found',
    bytes: found.storedBytes,
    manifestKey: found.key,
    manifestSha256: /^[0-9a-f]{64}$/.test(found.manifestSha256) ? found.manifestSha256 : undefined,
    listed,
  };
  if (known !== undefined) return before.map((destination) => (destination === known ? added : destination));
  // A status names at most eight places; the manifest is there all the same.
  return [...before, added].slice(0, 8);
}
