import { isCopy, type DestinationStatus } from '../../api/backup.ts';
import type { Backup, BackupLocation } from '../../api/kinds.ts';
import { decideRetention } from '../../domain/retention.ts';
import { findCondition } from '../conditions.ts';
import { readHolding, type Holding } from '../retention/decide.ts';
import { retentionRules } from '../retention/rules.ts';
import type { RepairPlace, RepairSeen } from './observe.ts';

/** A backup that a location lacks, and where it can be had. */
export interface Missing extends Holding {
  readonly source: DestinationStatus;
  readonly from: BackupLocation;
}

/** Under its name lies something else: to try again changes nothing. */
const takenReasons: ReadonlySet<string> = new Set(['AlreadyStored', 'OtherBackupThere', 'ManifestInvalid']);

/**
 * What a destination lacks of the policy's own backups, another one can give, and its retention would keep: copies that failed or went
 * missing there, and of those from before it was a destination as many of the newest as `backfill` says. Newest first.
 */
export function findMissing(
  { policy, locations, inUse, nowMs }: RepairSeen,
  { location, rule: { backfill } }: RepairPlace,
  runs: readonly Backup[],
): readonly Missing[] {
  const newest = runs
    .flatMap((backup) => {
      const source = findSource(backup, location, locations);
      if (source === undefined) return [];
      return readHolding(backup, source.copy, inUse, nowMs).map((each) => {
        return { ...each, source: source.copy, from: source.from };
      });
    })
    .toSorted((a, b) => b.timeMs - a.timeMs || (a.id < b.id ? 1 : -1));
  const wanted = newest.filter(({ backup }, index) => {
    const there = backup.status?.destinations?.find((each) => each.location === location);
    if (there === undefined) return index < backfill;
    return (there.outcome === 'Failed' || there.outcome === 'Missing') && !takenReasons.has(there.reason ?? '');
  });
  const rule = retentionRules(policy.spec).get(location);
  if (rule === undefined || wanted.length === 0) return wanted;
  const held = runs.flatMap((backup) => {
    const copy = backup.status?.destinations?.find((each) => each.location === location);
    return copy !== undefined && isCopy(copy) ? readHolding(backup, copy, inUse, nowMs) : [];
  });
  const decision = decideRetention([...held, ...wanted], rule, policy.spec.timeZone);
  if (decision === undefined) return wanted;
  const kept = new Set(decision.backups.filter(({ keptFor }) => keptFor.length > 0).map(({ id }) => id));
  return wanted.filter(({ id }) => kept.has(id));
}

function findSource(
  { status }: Backup,
  location: string,
  locations: RepairSeen['locations'],
): { readonly copy: DestinationStatus; readonly from: BackupLocation } | undefined {
  for (const copy of status?.destinations ?? []) {
    const isGood = copy.location !== location && isCopy(copy) && copy.reason === undefined;
    const found = isGood && copy.manifestKey !== undefined ? locations.get(copy.location) : undefined;
    if (found === undefined || found.fault !== undefined) continue;
    const { metadata, status: seen } = found.object;
    const isAway = findCondition(seen?.conditions, 'Available')?.status === 'False';
    if (metadata.deletionTimestamp === undefined && !isAway) return { copy, from: found.object };
  }
  return undefined;
}
