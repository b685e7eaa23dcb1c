import type { BackupLocation } from '../../api/kinds.ts';
import { findCondition } from '../conditions.ts';

/** Whether what lies there is still being found out: no catalogue has been read to its end yet, and none has failed. */
export function awaitsInspection({ status }: BackupLocation): boolean {
  if (findCondition(status?.conditions, 'Available')?.status === 'False') return false;
  return status?.lastProbeTime === undefined || status.catalogue !== undefined;
}
