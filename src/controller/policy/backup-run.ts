import { annotations, type Backup, type BackupPolicy } from '../../api/kinds.ts';
import { backupName } from '../../domain/names.ts';
import { readStamp } from '../../domain/stamp.ts';
import { endOf, resultOf, startOf, type RunResult } from '../run/outcome.ts';
import type { Run } from '../schedule/run.ts';

export type BackupRun = Run<Backup, RunResult>;

const known = new WeakMap<Backup, BackupRun>();

/**
 * The runs of a policy, among the Backups that bear its name: its own, and found ones that it has made itself, in a place of its own.
 * Another policy of the same name (that of production, whose bucket is read here) says nothing of how this one fares.
 */
export function runsOf({ metadata, spec }: BackupPolicy, backups: readonly Backup[]): readonly BackupRun[] {
  const places = new Set(spec.destinations.map(({ location }) => location));
  const isOwn = (backup: Backup): boolean => {
    if (backup.spec.import === undefined) return true;
    if (backup.metadata.annotations?.[annotations.foundPolicyUid] !== metadata.uid) return false;
    const found = backup.status?.destinations?.map(({ location }) => location) ?? [];
    return [backup.spec.import.location, ...found].some((location) => places.has(location));
  };
  return backups.filter(isOwn).map(backupRun);
}

/** A Backup as a run of its policy. Reads each version of a Backup once. */
export function backupRun(backup: Backup): BackupRun {
  const run = known.get(backup) ?? readRun(backup);
  known.set(backup, run);
  return run;
}

function readRun(backup: Backup): BackupRun {
  const { metadata, spec, status } = backup;
  const slot = readStamp(spec.slot);
  const result = resultOf(backup);
  return {
    object: backup,
    name: metadata.name,
    uid: metadata.uid,
    createdAt: readStamp(metadata.creationTimestamp) ?? 0,
    slot,
    isNamedBySlot: slot !== undefined && metadata.name === backupName(spec.policy, slot),
    start: startOf(backup),
    keptFor: slot ?? readStamp(status?.startedAt) ?? 0,
    end: endOf(backup),
    result,
    isGood: result === 'Succeeded',
    isOwn: spec.import === undefined,
  };
}
