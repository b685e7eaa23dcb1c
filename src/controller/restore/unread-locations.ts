import type { Backup, BackupLocation, BackupPolicy } from '../../api/kinds.ts';
import { isFailureReason, type FailureReason } from '../../api/reasons.ts';
import { readStamp } from '../../domain/stamp.ts';
import { findCondition } from '../conditions.ts';
import { findLocationProblem } from '../destinations.ts';
import { awaitsInspection } from '../location/first-inspection.ts';
import type { ControllerMode } from '../mode.ts';
import type { Read } from '../world/read-object.ts';

export interface CataloguesSeen {
  readonly nowMs: number;
  /** Those of the namespace, by name. */
  readonly locations: ReadonlyMap<string, Read<BackupLocation>>;
  readonly mode: Pick<ControllerMode, 'claimRequired' | 'firstInspectionGateMs' | 'referenceBudgetMs'>;
}

/** Whose backups are asked for, and where; without a policy any backup. */
export interface Asked {
  readonly location: string | undefined;
  readonly policy?: BackupPolicy | undefined;
  readonly backups?: readonly Backup[];
}

/** A place of which it is not known what lies there. */
export type Unread =
  | { readonly patient: true; readonly reason: 'Inspecting'; readonly message: string; readonly wakeAt: number }
  | { readonly patient: false; readonly reason: FailureReason; readonly message: string };

const recheckMs = 60_000;

/**
 * Before it is said which backup is the newest, or that there is none, the catalogue of every place that could hold it must have been
 * read to its end. What a place holds is known as well when it went away later: runs of this cluster are objects. That does not hold
 * where the policy is not (a cluster that restores what another one stores): there the last look must have gone well.
 * @returns what is waited for; places that are still looked at first, since that ends by itself
 */
export function findUnread(seen: CataloguesSeen, asked: Asked): Unread | undefined {
  const wanted = asked.location === undefined ? [...seen.locations.keys()] : [asked.location];
  const own = asked.location === undefined ? (asked.policy?.spec.destinations ?? []) : [];
  const names = new Set([...wanted, ...own.map(({ location }) => location)]);
  if (names.size === 0) {
    return { patient: false, reason: 'LocationMissing', message: 'there is no BackupLocation in this namespace' };
  }
  const unread = [...names].flatMap((name) => judge(seen, asked, name) ?? []);
  return unread.find(({ patient }) => patient) ?? unread[0];
}

function judge(seen: CataloguesSeen, asked: Asked, name: string): Unread | undefined {
  const { nowMs, locations, mode } = seen;
  const found = locations.get(name);
  const isLeaving = found?.object.metadata.deletionTimestamp !== undefined;
  // One that somebody takes away counts only when it is asked for by name.
  if (isLeaving && asked.location === undefined) return undefined;
  const problem = findLocationProblem(name, found, mode.claimRequired);
  if (problem !== undefined || found === undefined) {
    return { patient: false, reason: 'LocationMissing', message: '', ...problem };
  }
  const { object } = found;
  const { status, metadata } = object;
  const available = findCondition(status?.conditions, 'Available');
  // Only the end of a catalogue sets the count.
  if (status?.backups !== undefined) {
    if (available?.status !== 'False' || asked.policy !== undefined || !holdsAny(name, asked)) return undefined;
    return notKnown(name, available);
  }
  if (!awaitsInspection(object)) return notKnown(name, available);
  const message = `waits until ${name} has been looked at for the first time`;
  // Pages that come one after the other end by themselves.
  if (available?.status === 'True') return { patient: true, reason: 'Inspecting', message, wakeAt: nowMs + recheckMs };
  const budgetMs = mode.firstInspectionGateMs ?? mode.referenceBudgetMs;
  const until = (readStamp(metadata.creationTimestamp) ?? nowMs) + budgetMs;
  if (nowMs < until) return { patient: true, reason: 'Inspecting', message, wakeAt: until };
  return notKnown(name, available);
}

function holdsAny(name: string, { backups = [] }: Asked): boolean {
  return backups.some(({ status }) => status?.destinations?.some(({ location }) => location === name) === true);
}

function notKnown(name: string, available: { readonly reason: string; readonly message: string } | undefined): Unread {
  const { reason, message } = available ?? { reason: 'Inspecting', message: 'it has not been looked at' };
  const why = message === '' ? reason : `${reason}: ${message}`;
  return {
    patient: false,
    reason: isFailureReason(reason) ? reason : 'StorageUnreachable',
    message: `what ${name} holds is not known (${why}); name another location in the source, or mend this one`,
  };
}
