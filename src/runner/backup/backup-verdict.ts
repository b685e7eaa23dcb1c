import type { Failure } from '../../api/failure.ts';
import type { FailureReason } from '../../api/reasons.ts';
import { remedyFor } from '../../api/remedies.ts';
import { sumUpNotes, type NoteOf } from '../../domain/note.ts';
import { reportVersion, type BackupVerdict } from '../../domain/report.ts';
import type { Destination } from './destination.ts';

export interface BackupTotals {
  readonly attempt: string;
  readonly startedAt: string;
  readonly completedAt: string;
  readonly plainBytes: number;
  readonly storedBytes: number;
  readonly resultLines: number;
  /** Of what is stored. */
  readonly notes: readonly NoteOf[];
}

/** A part (a database, or the globals) that is not in the backup. */
export interface FailedPart {
  readonly name: string;
  readonly reason: FailureReason;
  readonly message: string;
}

/** The verdict on a run that is committed at one destination at least. */
export function judgeCommitted(
  totals: BackupTotals,
  destinations: readonly Destination[],
  failedParts: readonly FailedPart[],
): BackupVerdict {
  const { notes, ...rest } = totals;
  const failedDestinations = destinations.filter(({ required, copy }) => required && copy === undefined);
  const envelope = {
    v: reportVersion,
    kind: 'backup',
    ...rest,
    destinations: destinations.map(describeDestination),
    ...(notes.length === 0 ? {} : { notes: [...sumUpNotes(notes)] }),
  } as const;
  if (failedParts.length === 0 && failedDestinations.length === 0) return { ...envelope, verdict: 'Succeeded' };
  const messages = [
    ...(failedParts.length === 0 ? [] : [`not in the backup: ${listParts(failedParts)}`]),
    ...(failedDestinations.length === 0
      ? []
      : [`not stored at: ${failedDestinations.map(({ location }) => location).join(', ')}`]),
  ];
  return {
    ...envelope,
    verdict: 'PartlyFailed',
    // A database that no place has is the graver loss.
    reason: failedParts.length > 0 ? 'DatabaseFailed' : 'DestinationFailed',
    message: messages.join('; '),
  };
}

/** The verdict on a run of which nothing is committed. */
export function judgeFailed(
  totals: Omit<BackupTotals, 'plainBytes' | 'storedBytes' | 'notes'>,
  destinations: readonly Destination[],
  failure: Failure,
): BackupVerdict {
  return {
    v: reportVersion,
    kind: 'backup',
    verdict: 'Failed',
    reason: failure.reason,
    message: failure.message,
    hint: failure.hint ?? remedyFor(failure.reason, 'backup'),
    ...totals,
    plainBytes: 0,
    storedBytes: 0,
    destinations: destinations.map((destination) =>
      destination.failure === undefined && destination.copy === undefined
        ? { location: destination.location, outcome: 'Failed', reason: failure.reason }
        : describeDestination(destination),
    ),
  };
}

function describeDestination(destination: Destination): BackupVerdict['destinations'][number] {
  const { location, copy, failure, readBackBytes } = destination;
  const read = readBackBytes === 0 ? {} : { readBackBytes };
  if (copy !== undefined) return { location, outcome: 'Stored', ...copy, ...read };
  if (failure === undefined) return { location, outcome: 'Failed', reason: 'Internal', message: 'it was forgotten' };
  return { location, outcome: 'Failed', reason: failure.reason, message: failure.message };
}

/** The first few with their messages, then only how many: the result lines have them all. */
function listParts(parts: readonly FailedPart[]): string {
  const shown = parts.slice(0, 3).map(({ name, reason, message }) => `${name} (${reason}: ${message})`);
  const more = parts.length > shown.length ? [`and ${parts.length - shown.length} more`] : [];
  return [...shown, ...more].join(', ');
}
