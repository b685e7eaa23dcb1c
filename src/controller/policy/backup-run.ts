import type { Backup } from '../../api/kinds.ts';
import { backupName } from '../../domain/names.ts';
import { readStamp } from '../../domain/stamp.ts';
import { endOf, resultOf, startOf, type RunResult } from '../outcome.ts';
import type { Run } from './run.ts';

export type BackupRun = Run<Backup, RunResult>;

const known = new WeakMap<Backup, BackupRun>();

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
