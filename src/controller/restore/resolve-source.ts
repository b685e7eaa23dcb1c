import type { Backup, BackupLocation, BackupPolicy, RestoreRequest } from '../../api/kinds.ts';
import type { FailureReason, Reason } from '../../api/reasons.ts';
import { readStamp } from '../../domain/stamp.ts';
import { findCondition } from '../conditions.ts';
import { findLocationProblem } from '../destinations.ts';
import { resultOf } from '../run/outcome.ts';
import type { ControllerMode } from '../mode.ts';
import type { Read } from '../world/read-object.ts';
import { chooseBackup, explainMissing, findCopies, findLacking, listNames, type Copy } from './choose-backup.ts';
import { findUnread } from './unread-locations.ts';

export interface SourceSeen {
  readonly nowMs: number;
  readonly request: RestoreRequest;
  /** Those of its namespace, by name. */
  readonly locations: ReadonlyMap<string, Read<BackupLocation>>;
  readonly backupNamed: (name: string) => Backup | undefined;
  /** Undefined when it is not in this cluster (any more). */
  readonly policyNamed: (name: string) => BackupPolicy | undefined;
  /** All that name the policy, found ones included. */
  readonly backupsOfPolicy: (policy: string) => readonly Backup[];
  readonly mode: Pick<ControllerMode, 'claimRequired' | 'firstInspectionGateMs' | 'referenceBudgetMs'>;
}

export interface UsableCopy {
  readonly copy: Copy;
  readonly location: BackupLocation;
}

export type ResolvedSource =
  | { readonly state: 'found'; readonly backup: Backup; readonly copies: readonly UsableCopy[] }
  | { readonly state: 'found'; readonly file: BackupLocation }
  /** What it waits for ends by itself. */
  | {
      readonly state: 'waits';
      readonly patient: true;
      readonly reason: Reason;
      readonly message: string;
      readonly wakeAt?: number | undefined;
    }
  /** Somebody must bring it in order; there is a budget, and then it is why the request fails. */
  | { readonly state: 'waits'; readonly patient: false; readonly reason: FailureReason; readonly message: string }
  | { readonly state: 'failed'; readonly reason: FailureReason; readonly message: string };

/** How long a Backup that is named may take to be there: one `kubectl apply` makes several objects in any order. */
const arrivalMs = 30_000;

/** What a request restores, or why it cannot yet, or never. */
export function resolveSource(seen: SourceSeen): ResolvedSource {
  const { source } = seen.request.spec;
  if (source.file !== undefined) {
    const name = source.file.location;
    const found = seen.locations.get(name);
    const problem = findLocationProblem(name, found, seen.mode.claimRequired);
    if (problem !== undefined || found === undefined) {
      return { state: 'waits', patient: false, reason: 'LocationMissing', message: '', ...problem };
    }
    return { state: 'found', file: found.object };
  }
  return source.policy === undefined ? resolveNamed(seen) : resolvePolicy(seen);
}

function resolvePolicy(seen: SourceSeen): ResolvedSource {
  const { spec } = seen.request;
  const { policy } = spec.source;
  if (policy === undefined) return { state: 'failed', reason: 'SpecInvalid', message: 'the request names no source' };
  // The newest of what is known so far may not be the newest.
  const backups = seen.backupsOfPolicy(policy.name);
  const asked = { location: policy.location, policy: seen.policyNamed(policy.name), backups };
  const unread = findUnread(seen, asked);
  if (unread !== undefined) return { state: 'waits', ...unread };
  const chosen = chooseBackup(backups, spec, seen.nowMs);
  if (chosen === undefined) {
    return { state: 'failed', reason: 'BackupMissing', message: explainMissing(backups, spec, seen.nowMs) };
  }
  return openCopies(seen, chosen, policy.location);
}

function resolveNamed(seen: SourceSeen): ResolvedSource {
  const { nowMs, request, mode } = seen;
  const { name = '', location } = request.spec.source.backup ?? {};
  const backup = seen.backupNamed(name);
  if (backup === undefined || backup.metadata.deletionTimestamp !== undefined) {
    const message = `there is no Backup ${name}`;
    const createdAt = readStamp(request.metadata.creationTimestamp) ?? nowMs;
    const arrivesBy = createdAt + Math.min(arrivalMs, mode.referenceBudgetMs);
    // One that is applied with the request comes first: places may have nothing to do with it.
    const unread = findUnread(seen, { location });
    if (unread?.patient === true) return { state: 'waits', ...unread };
    if (nowMs >= arrivesBy) {
      if (unread !== undefined) return { state: 'waits', ...unread, message: `${message}; ${unread.message}` };
      return { state: 'failed', reason: 'BackupMissing', message };
    }
    return { state: 'waits', reason: 'BackupMissing', message, patient: true, wakeAt: arrivesBy };
  }
  if (resultOf(backup) === undefined) {
    const isImport = backup.spec.import !== undefined;
    const message = `the Backup ${name} ${isImport ? 'has not been read yet' : 'has not ended yet'}`;
    return { state: 'waits', reason: 'BackupNotUsable', message, patient: !isImport };
  }
  const [copy] = findCopies(backup, location);
  if (copy === undefined) return { state: 'failed', reason: 'BackupNotUsable', message: explainUnusable(seen, backup) };
  const lacking = findLacking(backup, request.spec);
  if (lacking.length > 0) {
    const holds = listNames(backup.status?.databases?.stored ?? []);
    const message = `the Backup ${name} does not hold ${listNames(lacking)}; it holds ${holds}`;
    return { state: 'failed', reason: 'BackupNotUsable', message };
  }
  return openCopies(seen, backup, location);
}

function explainUnusable({ request }: SourceSeen, backup: Backup): string {
  const { name } = backup.metadata;
  const { location } = request.spec.source.backup ?? {};
  const elsewhere = findCopies(backup, undefined);
  if (location !== undefined && elsewhere.length > 0) {
    return `the Backup ${name} is not at ${location}; it is at ${elsewhere.map((copy) => copy.location).join(', ')}`;
  }
  const { reason = '', message = '' } = findCondition(backup.status?.conditions, 'Succeeded') ?? {};
  return `the Backup ${name} has no copy that can be used (${reason}: ${message})`;
}

/** Waits only when no copy can be reached: another one is as good. */
function openCopies(seen: SourceSeen, backup: Backup, location: string | undefined): ResolvedSource {
  const { locations, mode } = seen;
  const usable: UsableCopy[] = [];
  const problems: { readonly reason: FailureReason; readonly message: string }[] = [];
  for (const copy of findCopies(backup, location)) {
    const found = locations.get(copy.location);
    const problem = findLocationProblem(copy.location, found, mode.claimRequired);
    if (problem !== undefined) problems.push(problem);
    else if (found !== undefined) usable.push({ copy, location: found.object });
  }
  if (usable.length > 0) return { state: 'found', backup, copies: usable };
  const [problem] = problems;
  const message = problems.map((each) => each.message).join('; ');
  return { state: 'waits', patient: false, reason: problem?.reason ?? 'LocationMissing', message };
}
