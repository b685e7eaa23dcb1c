import { isCopy } from '../../api/backup.ts';
import type { Backup, RestoreRequest } from '../../api/kinds.ts';
import type { FailureReason } from '../../api/reasons.ts';
import { readStamp } from '../../domain/stamp.ts';
import { findCondition } from '../conditions.ts';

type Destination = NonNullable<NonNullable<Backup['status']>['destinations']>[number];
export type Copy = Destination & { readonly manifestKey: string };
type Source = RestoreRequest['spec']['source'];

const damages: ReadonlySet<string> = new Set<FailureReason>(['BackupDamaged', 'ManifestInvalid', 'ObjectMissing']);

/** Committed copies that are not known to be damaged: required destinations first, and only at `location` if that is given. */
export function findCopies({ status }: Backup, location: string | undefined): readonly Copy[] {
  const succeeded = findCondition(status?.conditions, 'Succeeded');
  if (succeeded === undefined || succeeded.status === 'Unknown' || damages.has(succeeded.reason)) return [];
  const copies = (status?.destinations ?? []).flatMap((destination): readonly Copy[] => {
    const { manifestKey, reason } = destination;
    const isThere = isCopy(destination) && manifestKey !== undefined && !damages.has(reason ?? '');
    const isWanted = location === undefined || destination.location === location;
    return isThere && isWanted ? [{ ...destination, manifestKey }] : [];
  });
  return copies.toSorted((a, b) => Number(b.required === true) - Number(a.required === true));
}

/** Databases that are wanted and not in the backup. None when it is not known what is in it: the manifest tells the runner. */
export function findLacking({ status }: Backup, { source, target }: RestoreRequest['spec']): readonly string[] {
  const { databases } = status ?? {};
  if (databases === undefined) return [];
  const { stored, failed } = databases;
  const has = (name: string): boolean => stored.includes(name);
  if (target.databases !== undefined) {
    return target.databases.map((each) => each.source).filter((name) => !has(name));
  }
  // One that failed counts as well: the other one was not meant.
  const isOnly = source.database === undefined && stored.length === 1 && failed.length === 0;
  const wanted = source.database ?? target.database;
  return isOnly || wanted === undefined || has(wanted) ? [] : [wanted];
}

/** Clocks of two machines may differ by so much. */
const clockToleranceMs = 5 * 60_000;

/**
 * The newest backup that was started at or before the time that is asked for, of those that are committed where they are wanted and hold
 * what is wanted. Nothing else is ever taken instead. A manifest from the future is a wrong clock or a forgery, and never the newest:
 * who wants it asks for it by name.
 */
export function chooseBackup(
  backups: readonly Backup[],
  spec: RestoreRequest['spec'],
  nowMs: number,
): Backup | undefined {
  const before = Math.min(readStamp(spec.source.policy?.at) ?? Infinity, nowMs + clockToleranceMs);
  return committedBackups(backups, spec.source).find((backup) => {
    return startedAt(backup) <= before && findLacking(backup, spec).length === 0;
  });
}

/** Newest first; equal times by name, so that every look agrees. */
function committedBackups(backups: readonly Backup[], { policy }: Source): readonly Backup[] {
  return backups
    .filter((backup) => {
      const { deletionTimestamp } = backup.metadata;
      const isCommitted = findCopies(backup, policy?.location).length > 0;
      return deletionTimestamp === undefined && backup.status?.startedAt !== undefined && isCommitted;
    })
    .toSorted((a, b) => startedAt(b) - startedAt(a) || Number(b.metadata.name > a.metadata.name) * 2 - 1);
}

const startedAt = ({ status }: Backup): number => readStamp(status?.startedAt) ?? Infinity;

const shownBackups = 5;

/** Why there is none: what was asked for, and what there is. */
export function explainMissing(backups: readonly Backup[], spec: RestoreRequest['spec'], nowMs: number): string {
  const { policy, database } = spec.source;
  const { databases, database: target } = spec.target;
  const wanted = databases?.map(({ source }) => source) ?? [database ?? target ?? ''];
  const asked = [
    policy?.at === undefined ? '' : ` that was started at or before ${policy.at}`,
    policy?.location === undefined ? '' : ` at ${policy.location}`,
  ];
  // Wherever they are: one that is elsewhere is worth naming.
  const there = committedBackups(backups, {});
  const shown = there.slice(0, shownBackups).map((backup) => describeBackup(backup, nowMs));
  const more = there.length > shown.length ? `; and ${there.length - shown.length} older ones` : '';
  const what = shown.length === 0 ? 'there are no committed ones at all' : `there are: ${shown.join('; ')}${more}`;
  return `no usable backup of ${policy?.name ?? ''}${asked.join('')} holds ${wanted.join(', ')}; ${what}`;
}

function describeBackup(backup: Backup, nowMs: number): string {
  const { metadata, status } = backup;
  const places = findCopies(backup, undefined).map(({ location }) => location);
  const stored = status?.databases?.stored;
  const fromFuture = startedAt(backup) > nowMs + clockToleranceMs ? ', which is still to come' : '';
  const shown = stored === undefined ? 'databases not known' : listNames(stored);
  return `${metadata.name} (started ${status?.startedAt ?? ''}${fromFuture}, at ${places.join(', ')}: ${shown})`;
}

export function listNames(names: readonly string[], max = 10): string {
  if (names.length === 0) return 'no database';
  const rest = names.length > max ? ` and ${names.length - max} more` : '';
  return `${names.slice(0, max).join(', ')}${rest}`;
}
