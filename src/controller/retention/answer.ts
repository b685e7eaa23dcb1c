import type { BackupStatus } from '../../api/backup.ts';
import { annotations, type Backup } from '../../api/kinds.ts';
import type { RetentionStatus } from '../../api/retention.ts';
import { formatBytes } from '../../domain/format.ts';
import { parseTask } from '../../domain/parse-task.ts';
import type { PrunedBackup } from '../../domain/prune-report.ts';
import type { PruneVerdict, ResultLine } from '../../domain/report.ts';
import { sameValue } from '../../domain/same-value.ts';
import { stamp } from '../../domain/stamp.ts';
import type { PruneTask } from '../../domain/task.ts';
import type { Action } from '../action.ts';
import { cutText } from '../conditions.ts';
import { fitStatus } from '../fit-status.ts';
import { resources } from '../resources.ts';
import type { JobSeen } from '../run/pods.ts';
import { addFailure } from '../upkeep/add-failure.ts';

/** What a Job was told; undefined when that cannot be read (any more). */
export function readPruneTask(job: JobSeen): PruneTask | undefined {
  const text = job.spec?.template?.metadata?.annotations?.[annotations.task];
  if (text === undefined) return undefined;
  try {
    const task = parseTask(text);
    return task.kind === 'prune' ? task : undefined;
  } catch {
    // A Job of another version: the next inspection says what is there.
    return undefined;
  }
}

/**
 * The Backups whose copies are gone from a location say so. Without the result lines nothing is known of a single one, unless all are gone;
 * the next inspection finds out.
 */
export function noteRemoved(
  location: string,
  job: JobSeen,
  verdict: PruneVerdict,
  results: readonly ResultLine[] | undefined,
  backupNamed: (name: string) => Backup | undefined,
  nowMs: number,
): readonly Action[] {
  const actions: Action[] = [];
  for (const { id, uid } of findRemoved(job, verdict, results)) {
    const backup = backupNamed(id);
    const { destinations = [] } = backup?.status ?? {};
    const known = destinations.find((each) => each.location === location);
    const isSame = backup?.metadata.uid === uid || backup?.metadata.annotations?.[annotations.foundUid] === uid;
    if (backup === undefined || known === undefined || !isSame || known.outcome === 'Removed') continue;
    const { listed: _listed, missingSince: _missing, ...rest } = known;
    const removed = { ...rest, outcome: 'Removed', removedAt: stamp(nowMs) } as const;
    const status: BackupStatus = fitStatus({
      ...backup.status,
      destinations: destinations.map((each) => (each === known ? removed : each)),
    });
    if (sameValue(status, backup.status)) continue;
    actions.push({ type: 'set-status', resource: resources.backup, object: backup, status });
  }
  return actions;
}

function findRemoved(
  job: JobSeen,
  verdict: PruneVerdict,
  results: readonly ResultLine[] | undefined,
): readonly { readonly id: string; readonly uid: string }[] {
  const told = readPruneTask(job)?.remove ?? [];
  if (results === undefined) return verdict.removed === told.length ? told : [];
  // Nothing that it was not told to remove.
  const asked = new Set(told.map(({ id }) => id));
  return linesOf(results).filter(({ id, outcome }) => asked.has(id) && (outcome === 'Removed' || outcome === 'Gone'));
}

const linesOf = (results: readonly ResultLine[]): readonly PrunedBackup[] =>
  results.flatMap((line) => (line.kind === 'pruned' ? line.backups : []));

/** What a location's entry says after a prune that spoke. */
export function addPruned(
  before: RetentionStatus,
  job: JobSeen,
  verdict: PruneVerdict,
  results: readonly ResultLine[] | undefined,
  nowMs: number,
): RetentionStatus {
  const { reason: _reason, message: _message, ...rest } = before;
  // One that changed nothing would change nothing if it were done again.
  const isStill = verdict.removed + verdict.deferred === 0;
  const entry = {
    ...rest,
    removed: (before.removed ?? 0) + verdict.removed,
    freedBytes: (before.freedBytes ?? 0) + verdict.freedBytes,
    removable: isStill ? 0 : Math.max(0, (before.removable ?? 0) - verdict.removed - verdict.deferred),
    deferred: verdict.deferred,
    countedJob: job.metadata.uid,
  };
  if (verdict.verdict === 'Succeeded') {
    const deferred = verdict.deferred === 0 ? {} : { reason: 'DeletionHeld', message: describeDeferred(results) };
    return { ...entry, ...deferred, lastTime: stamp(nowMs), failuresInRow: 0 };
  }
  const text = [verdict.message ?? describeFailed(verdict, results), verdict.hint].filter((part) => part !== undefined);
  return addFailure(entry, job, verdict.reason ?? 'Internal', text.join('; '));
}

function describeDeferred(results: readonly ResultLine[] | undefined): string {
  const held = linesOf(results ?? []).filter(({ outcome }) => outcome === 'Deferred');
  const until = held.flatMap(({ until: time }) => time ?? []).toSorted();
  const [first] = held;
  const when = until.length === 0 ? '' : `, the first until ${until[0] ?? ''}`;
  return cutText(
    `the place keeps ${held.length || 'some'} backups for now${when}${first === undefined ? '' : `, such as ${first.id}`}`,
    1024,
  );
}

function describeFailed(verdict: PruneVerdict, results: readonly ResultLine[] | undefined): string {
  const bad = linesOf(results ?? []).find(({ outcome }) => outcome === 'Refused' || outcome === 'Failed');
  const sum = `${verdict.refused + verdict.failed} backups were not removed`;
  return bad === undefined ? sum : `${sum}, such as ${bad.id}: ${bad.detail ?? bad.reason ?? bad.outcome}`;
}

/** For the event. */
export function describeRemoved(location: string, { removed, freedBytes }: PruneVerdict): string {
  return `removed ${removed} ${removed === 1 ? 'backup' : 'backups'} (${formatBytes(freedBytes)}) from ${location}`;
}
