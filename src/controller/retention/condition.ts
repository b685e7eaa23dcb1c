import type { BackupPolicy } from '../../api/kinds.ts';
import type { RetentionStatus } from '../../api/retention.ts';
import type { ConditionChange } from '../conditions.ts';

/** No trouble: it passes by itself. */
const isPatience: ReadonlySet<string> = new Set(['DeletionHeld', 'RetentionWaits']);
const waits = ({ reason }: RetentionStatus): boolean => reason === 'RetentionWaits';

/** Whether what no rule keeps is gone. Undefined: there is no rule. */
export function judgePruned(policy: BackupPolicy, entries: readonly RetentionStatus[]): ConditionChange | undefined {
  const hasRule =
    policy.spec.retention !== undefined || policy.spec.destinations.some(({ retention }) => retention !== undefined);
  if (!hasRule) return undefined;
  const base = { type: 'Pruned', observedGeneration: policy.metadata.generation } as const;
  // What is only held for a time by the place is no trouble.
  const bad = entries.find(({ reason }) => reason !== undefined && !isPatience.has(reason)) ?? entries.find(waits);
  if (bad?.reason !== undefined) {
    const status = bad.reason === 'RetentionWaits' ? 'Unknown' : 'False';
    return { ...base, status, reason: bad.reason, message: `${bad.location}: ${bad.message ?? ''}` };
  }
  if (entries.length === 0 || entries.some(({ decidedTime }) => decidedTime === undefined)) {
    return { ...base, status: 'Unknown', reason: 'RetentionWaits', message: 'decided after the first success' };
  }
  const sum = (member: 'kept' | 'removable' | 'deferred'): number =>
    entries.reduce((total, entry) => total + (entry[member] ?? 0), 0);
  const isDry = entries.some(({ removes }) => removes !== undefined);
  if (isDry) {
    const message = `${sum('kept')} copies would stay, ${sum('removable')} would go (dryRun)`;
    return { ...base, status: 'True', reason: 'DryRun', message };
  }
  if (sum('removable') > 0) {
    const message = `${sum('removable')} copies are being removed`;
    return { ...base, status: 'Unknown', reason: 'Removing', message };
  }
  const held = sum('deferred') === 0 ? '' : `; ${sum('deferred')} more are kept by their place for now`;
  return { ...base, status: 'True', reason: 'RetentionDone', message: `${sum('kept')} copies stay${held}` };
}
