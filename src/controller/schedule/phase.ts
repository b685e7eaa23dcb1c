import type { BackupPolicyStatus } from '../../api/backup-policy.ts';
import type { ConditionChange } from '../conditions.ts';
import type { Scheduler } from './run.ts';

/** For people; the same words for both kinds of policies. */
export function phaseOf(
  { spec }: Pick<Scheduler, 'spec'>,
  ready: ConditionChange,
  healthy: ConditionChange,
): BackupPolicyStatus['phase'] {
  if (ready.status === 'False') return 'NotReady';
  if (spec.suspend) return 'Suspended';
  return healthy.status === 'False' ? 'Unhealthy' : 'Ready';
}
