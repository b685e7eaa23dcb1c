import type { BackupStatus, DestinationStatus } from '../../api/backup.ts';
import { annotations, type Backup } from '../../api/kinds.ts';
import type { RepairStatus } from '../../api/repair.ts';
import { formatBytes } from '../../domain/format.ts';
import { parseTask } from '../../domain/parse-task.ts';
import type { CopyVerdict, ResultLine } from '../../domain/report.ts';
import { sameValue } from '../../domain/same-value.ts';
import { stamp } from '../../domain/stamp.ts';
import type { CopyTask } from '../../domain/task.ts';
import type { Action } from '../action.ts';
import { cutText } from '../conditions.ts';
import { fitStatus } from '../fit-status.ts';
import { resources } from '../resources.ts';
import type { JobSeen } from '../run/pods.ts';
import { addFailure } from '../upkeep/add-failure.ts';

interface Heard {
  readonly id: string;
  readonly uid: string;
  readonly outcome: 'Copied' | 'Present' | 'SourceDamaged' | 'Failed';
  readonly detail?: string | undefined;
}

/**
 * The Backups that were copied to a location say so, and those whose source is damaged say that of the source. Without the result lines
 * nothing is known of a single one, unless all of them are there.
 */
export function noteCopied(
  location: string,
  required: boolean,
  job: JobSeen,
  verdict: CopyVerdict,
  results: readonly ResultLine[] | undefined,
  backupNamed: (name: string) => Backup | undefined,
): readonly Action[] {
  const task = readCopyTask(job);
  if (task === undefined) return [];
  const actions: Action[] = [];
  for (const heard of listHeard(task, verdict, results)) {
    const backup = backupNamed(heard.id);
    const isSame =
      backup?.metadata.uid === heard.uid || backup?.metadata.annotations?.[annotations.foundUid] === heard.uid;
    const { destinations = [] } = backup?.status ?? {};
    const source = destinations.find((each) => each.location === task.from.name);
    if (backup === undefined || !isSame || source === undefined) continue;
    const changed = changeDestination(destinations, source, location, required, heard);
    const status: BackupStatus = fitStatus({ ...backup.status, destinations: changed });
    if (sameValue(status, backup.status)) continue;
    actions.push({ type: 'set-status', resource: resources.backup, object: backup, status });
  }
  return actions;
}

function changeDestination(
  destinations: readonly DestinationStatus[],
  source: DestinationStatus,
  location: string,
  required: boolean,
  { outcome, detail }: Heard,
): DestinationStatus[] {
  if (outcome === 'SourceDamaged') {
    const message = cutText(detail ?? 'it is not whole', 1024);
    return destinations.map((each) => (each === source ? { ...each, reason: 'BackupDamaged', message } : each));
  }
  if (outcome === 'Failed') return [...destinations];
  const { bytes, manifestKey, manifestSha256 } = source;
  const copy: DestinationStatus = { location, required, outcome: 'Stored', bytes, manifestKey, manifestSha256 };
  const isKnown = destinations.some((each) => each.location === location);
  return isKnown
    ? destinations.map((each) => (each.location === location ? copy : each))
    : [...destinations, copy].slice(0, 8);
}

function listHeard(task: CopyTask, verdict: CopyVerdict, results: readonly ResultLine[] | undefined): readonly Heard[] {
  if (results === undefined) {
    if (verdict.copied + verdict.present < task.backups.length) return [];
    return task.backups.map(({ id, uid }) => ({ id, uid, outcome: 'Present' }));
  }
  // Nothing that it was not told to copy.
  const asked = new Map(task.backups.map(({ id, uid }) => [id, uid]));
  return results
    .flatMap((line) => (line.kind === 'copied' ? line.backups : []))
    .filter(({ id, uid }) => asked.get(id) === uid);
}

function readCopyTask(job: JobSeen): CopyTask | undefined {
  const text = job.spec?.template?.metadata?.annotations?.[annotations.task];
  if (text === undefined) return undefined;
  try {
    const task = parseTask(text);
    return task.kind === 'copy' ? task : undefined;
  } catch {
    // A Job of another version: the next inspection says what is there.
    return undefined;
  }
}

/** What a location's entry says after a copy that spoke. */
export function addCopied(before: RepairStatus, job: JobSeen, verdict: CopyVerdict, nowMs: number): RepairStatus {
  const { reason: _reason, message: _message, ...rest } = before;
  const done = verdict.copied + verdict.present;
  const entry = {
    ...rest,
    copied: (before.copied ?? 0) + verdict.copied,
    copiedBytes: (before.copiedBytes ?? 0) + verdict.bytes,
    // One that changed nothing would change nothing if it were done again.
    missing: done === 0 ? 0 : Math.max(0, (before.missing ?? 0) - done),
    countedJob: job.metadata.uid,
  };
  if (verdict.verdict === 'Succeeded') return { ...entry, lastTime: stamp(nowMs), failuresInRow: 0 };
  const text = [verdict.message ?? `${verdict.failed + verdict.sourceDamaged} backups were not copied`, verdict.hint];
  const message = text.filter((part) => part !== undefined).join('; ');
  return addFailure(entry, job, verdict.reason ?? 'Internal', message);
}

/** For the event. */
export function describeCopied(location: string, { copied, bytes }: CopyVerdict): string {
  return `copied ${copied} ${copied === 1 ? 'backup' : 'backups'} (${formatBytes(bytes)}) to ${location}`;
}
