import type { BackupStatus } from '../../api/backup.ts';
import type { Backup } from '../../api/kinds.ts';
import type { FailureReason, Reason } from '../../api/reasons.ts';
import { sameValue } from '../../domain/same-value.ts';
import { readStamp } from '../../domain/stamp.ts';
import type { Action, Plan } from '../action.ts';
import { findCondition, setCondition } from '../conditions.ts';
import { resources } from '../resources.ts';
import { finishSilently } from './finish.ts';
import type { BackupSeen } from './observe.ts';

/** The end of a run: its status, and an event. */
export function endBackup(
  { nowMs, mode }: BackupSeen,
  backup: Backup,
  status: BackupStatus,
  good: boolean,
  { reason, message }: { readonly reason: string; readonly message: string },
): Plan {
  const level = good && reason === 'Succeeded' ? 'Normal' : 'Warning';
  const actions: readonly Action[] = [
    ...setStatus(backup, status),
    { type: 'tell', about: backup, level, reason, message },
  ];
  return { actions, wakeAt: nowMs + mode.jobTtlMs };
}

/** The end of a run whose runner has said nothing. */
export function fail(seen: BackupSeen, backup: Backup, reason: FailureReason, message: string): Plan {
  return endBackup(seen, backup, finishSilently(backup, reason, message, seen.nowMs), false, { reason, message });
}

/** Waits for something that somebody else must bring in order, and fails when its budget ends. */
export function waitForReference(seen: BackupSeen, backup: Backup, reason: FailureReason, message: string): Plan {
  if (isOverdue(seen, backup)) return fail(seen, backup, reason, message);
  return wait(seen, backup, reason, message, seen.nowMs + 60_000);
}

export function isOverdue({ nowMs, mode }: BackupSeen, backup: Backup): boolean {
  return nowMs >= (readStamp(backup.metadata.creationTimestamp) ?? nowMs) + mode.referenceBudgetMs;
}

/** Not decided yet: Unknown, with the reason for it. */
export function wait(
  seen: BackupSeen,
  backup: Backup,
  reason: Reason,
  message: string,
  wakeAt: number | undefined,
): Plan {
  const phase = reason === 'Queued' ? 'Queued' : 'Pending';
  const actions = setStatus(backup, waitingStatus(seen, backup, reason, message, phase));
  const before = findCondition(backup.status?.conditions, 'Succeeded');
  const isNews = reason !== 'Queued' && reason !== 'Imported' && before?.reason !== reason;
  const tell: readonly Action[] = isNews ? [{ type: 'tell', about: backup, level: 'Warning', reason, message }] : [];
  return { actions: [...actions, ...tell], wakeAt };
}

export function waitingStatus(
  { nowMs }: BackupSeen,
  { metadata, status }: Backup,
  reason: Reason,
  message: string,
  phase: NonNullable<BackupStatus['phase']>,
): BackupStatus {
  const { generation } = metadata;
  const condition = { type: 'Succeeded', status: 'Unknown', reason, message, observedGeneration: generation } as const;
  return {
    ...status,
    conditions: setCondition(status?.conditions, condition, nowMs),
    observedGeneration: generation,
    phase,
  };
}

export function setStatus(backup: Backup, status: BackupStatus): readonly Action[] {
  if (sameValue(status, backup.status)) return [];
  return [{ type: 'set-status', resource: resources.backup, object: backup, status }];
}
