import type { BackupPolicySpec } from '../../api/backup-policy.ts';
import type { RetentionSpec } from '../../api/retention.ts';

/** Destinations of a policy that have a rule, with it. */
export function retentionRules({
  destinations,
  retention,
}: Pick<BackupPolicySpec, 'destinations' | 'retention'>): ReadonlyMap<string, RetentionSpec> {
  return new Map(
    destinations.flatMap((destination) => {
      const rule = destination.retention ?? retention;
      return rule === undefined ? [] : [[destination.location, rule] as const];
    }),
  );
}
