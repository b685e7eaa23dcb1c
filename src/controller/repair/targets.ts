import type { BackupPolicySpec } from '../../api/backup-policy.ts';

/** What is wanted at a destination. */
export interface RepairTarget {
  readonly backfill: number;
  readonly required: boolean;
}

/** The destinations of a policy that are repaired, by location: all of them, or none. */
export function repairTargets({
  destinations,
  repair,
}: Pick<BackupPolicySpec, 'destinations' | 'repair'>): ReadonlyMap<string, RepairTarget> {
  if (repair === undefined) return new Map();
  return new Map(destinations.map(({ location, backfill = 0, required }) => [location, { backfill, required }]));
}
