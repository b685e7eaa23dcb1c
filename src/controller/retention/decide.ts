import { isCopy, type DestinationStatus } from '../../api/backup.ts';
import type { RetentionSpec } from '../../api/retention.ts';
import { annotations, type Backup } from '../../api/kinds.ts';
import { backupTime } from '../../domain/backup-time.ts';
import { isAhead } from '../../domain/clocks.ts';
import { decideRetention, type HoldReason, type RetainedBackup, type Retained } from '../../domain/retention.ts';
import { readStamp } from '../../domain/stamp.ts';
import { resultOf } from '../run/outcome.ts';

/** A backup of a policy at one of its places. */
export interface Holding extends RetainedBackup {
  readonly backup: Backup;
  readonly copy: DestinationStatus;
  /** As its manifest has it. */
  readonly uid: string;
  readonly startedAt: number;
}

export interface PlaceDecision {
  readonly judged: readonly Retained[];
  readonly kept: number;
  /** Oldest first. */
  readonly removable: readonly Holding[];
  /** The newest that stays; the prune expects none after it that nobody told it of. */
  readonly newest: Holding | undefined;
  /** With the newest copies of all databases, none of which may go; and what lies ahead of the clock, so that nobody is surprised by it. */
  readonly floor: readonly Holding[];
}

/** More of them are no clock that jumped, but a clock that is wrong. */
const aheadMost = 100;

/**
 * What stays and what goes of the backups that a location holds. `runs` are those of the policy itself: another policy's are never pruned.
 * @returns undefined when there is too much to judge
 */
export function decideAt(
  location: string,
  runs: readonly Backup[],
  rule: RetentionSpec,
  timeZone: string,
  inUse: ReadonlySet<string>,
  nowMs: number,
): PlaceDecision | undefined {
  const holdings = runs.flatMap((backup) => {
    const copy = backup.status?.destinations?.find((each) => each.location === location);
    return copy !== undefined && isCopy(copy) ? readHolding(backup, copy, inUse, nowMs) : [];
  });
  const decision = decideRetention(holdings, rule, timeZone);
  if (decision === undefined) return undefined;
  const byId = new Map(holdings.map((holding) => [holding.id, holding]));
  const pick = (ids: readonly string[]): readonly Holding[] => ids.flatMap((id) => byId.get(id) ?? []);
  const goes = decision.backups.filter(({ keptFor }) => keptFor.length === 0).map(({ id }) => id);
  const stays = pick(decision.backups.filter(({ keptFor }) => keptFor.length > 0).map(({ id }) => id));
  const ahead = stays.filter(({ held }) => held === 'Ahead');
  return {
    judged: decision.backups,
    kept: stays.length,
    removable: pick(goes).toReversed(),
    newest: stays
      .filter(({ held }) => held !== 'Ahead')
      .reduce<Holding | undefined>((a, b) => (a !== undefined && a.startedAt >= b.startedAt ? a : b), undefined),
    floor: [...pick(decision.floor), ...ahead.slice(0, aheadMost)],
  };
}

/** A backup as one that a place holds; none where nobody may judge it. */
export function readHolding(
  backup: Backup,
  copy: DestinationStatus,
  inUse: ReadonlySet<string>,
  nowMs: number,
): readonly Holding[] {
  const { metadata, spec, status } = backup;
  const uid = spec.import === undefined ? metadata.uid : metadata.annotations?.[annotations.foundUid];
  const startedAt = readStamp(status?.startedAt);
  // What goes on, or is being deleted, is nobody's to judge, and neither is what somebody imported by hand.
  if (metadata.deletionTimestamp !== undefined) return [];
  if (uid === undefined || resultOf(backup) === undefined) return [];
  const timeMs = backupTime(readStamp(spec.slot), startedAt) ?? 0;
  const held = holdOf(backup, Math.max(timeMs, startedAt ?? 0), inUse, nowMs);
  return [
    {
      id: metadata.name,
      backup,
      copy,
      uid,
      timeMs,
      startedAt: startedAt ?? timeMs,
      // Without a beginning it is not known of when it is; what is damaged is for people to look at.
      stored: startedAt === undefined || copy.reason === 'BackupDamaged' ? undefined : status?.databases?.stored,
      failed: status?.databases?.failed.map(({ name }) => name) ?? [],
      ...(held === undefined ? {} : { held }),
    },
  ];
}

function holdOf(
  { metadata }: Backup,
  timeMs: number,
  inUse: ReadonlySet<string>,
  nowMs: number,
): HoldReason | undefined {
  if (isAhead(timeMs, nowMs)) return 'Ahead';
  if (metadata.annotations?.[annotations.pin] !== undefined) return 'Pinned';
  return inUse.has(metadata.name) ? 'InUse' : undefined;
}
