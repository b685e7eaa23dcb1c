import { annotations, type Backup, type BackupLocation } from '../../api/kinds.ts';
import { readMarks } from '../../domain/known-manifests.ts';
import { parseTask } from '../../domain/parse-task.ts';
import type { InspectVerdict, ResultLine } from '../../domain/report.ts';
import { readStamp, stamp } from '../../domain/stamp.ts';
import type { Action } from '../action.ts';
import { fitStatus } from '../fit-status.ts';
import { endOf, resultOf } from '../run/outcome.ts';
import type { JobSeen } from '../run/pods.ts';
import { resources } from '../resources.ts';

/** What was stored so shortly before an inspection began may be later than its listing, by whatever clock. */
const toleranceMs = 10 * 60_000;

/** Nobody misses it there. */
const isNotThere: ReadonlySet<string> = new Set(['Failed', 'Removed']);

interface Vanished {
  readonly actions: readonly Action[];
  /** All that this inspection has missed, those marked by an earlier look at its answer included. */
  readonly names: readonly string[];
}

/**
 * Backups that are said to be at the location, and whose manifest a page of its catalogue does not have although it would be between
 * the page's first and last key: their destination becomes Missing. Nothing is said when the page could not be heard to its end, or
 * was read where the location pointed before.
 */
export function findVanished(
  seen: {
    readonly nowMs: number;
    readonly results: readonly ResultLine[] | undefined;
    readonly allBackups: () => readonly Backup[];
  },
  location: BackupLocation,
  job: JobSeen,
  verdict: InspectVerdict,
): Vanished {
  const { nowMs, results = [] } = seen;
  const startedAt = readStamp(verdict.startedAt);
  const known = readKnown(job);
  const seenLines = results.flatMap((line) => (line.kind === 'known' ? [line] : []));
  const isTold = known.size === 0 || seenLines.length > 0;
  const isWhole = verdict.verdict === 'Succeeded' && results.length === verdict.resultLines && isTold;
  const isOfHere = job.metadata.annotations?.[annotations.generation] === String(location.metadata.generation);
  if (!isWhole || !isOfHere || startedAt === undefined) return { actions: [], names: [] };

  const after = location.status?.catalogue?.after ?? '';
  const last = verdict.after;
  const there = new Set(
    results.flatMap((line) => (line.kind === 'backup' || line.kind === 'damaged' ? [line.key] : [])),
  );
  for (const mark of seenLines.flatMap(({ unseen }) => unseen)) known.delete(mark);
  const isOfPage = (key: string): boolean => key > after && (last === undefined || key <= last) && !there.has(key);

  const actions: Action[] = [];
  const names: string[] = [];
  for (const backup of seen.allBackups()) {
    const { destinations = [] } = backup.status ?? {};
    const held = destinations.find((each) => each.location === location.metadata.name);
    if (held?.manifestKey === undefined || isNotThere.has(held.outcome) || !isOfPage(held.manifestKey)) continue;
    // Not read, since it looked as it did when it was.
    if (held.listed !== undefined && known.has(held.listed)) continue;
    const since = held.outcome === 'Missing' ? readStamp(held.missingSince) : undefined;
    if (since !== undefined) {
      if (since >= startedAt) names.push(backup.metadata.name);
      continue;
    }
    const endedAt = endOf(backup);
    if (resultOf(backup) === undefined || endedAt === undefined || endedAt > startedAt - toleranceMs) continue;
    names.push(backup.metadata.name);
    const missing = { ...held, outcome: 'Missing', missingSince: stamp(nowMs) } as const;
    const status = fitStatus({
      ...backup.status,
      destinations: destinations.map((each) => (each === held ? missing : each)),
    });
    actions.push({ type: 'set-status', resource: resources.backup, object: backup, status });
  }
  return { actions, names };
}

/** The marks that its runner was told. */
function readKnown(job: JobSeen): Set<string> {
  const text = job.spec?.template?.metadata?.annotations?.[annotations.task];
  if (text === undefined) return new Set();
  try {
    const task = parseTask(text);
    return new Set(task.kind === 'inspect' && task.known !== undefined ? readMarks(task.known) : []);
  } catch {
    // A Job of a version that told its runners nothing of the kind.
    return new Set();
  }
}
