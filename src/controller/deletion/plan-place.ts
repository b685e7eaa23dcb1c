import type { DestinationStatus } from '../../api/backup.ts';
import { readStamp } from '../../domain/stamp.ts';
import { earliest, type Action, type CreateAction } from '../action.ts';
import { describeFailure } from '../describe-failure.ts';
import { findLocationProblem } from '../destinations.ts';
import { mayComeYet } from '../run/await-results.ts';
import { deleteJob } from '../run/delete-job.ts';
import { findTrue, isControlledBy, type JobSeen } from '../run/pods.ts';
import { judgeRun } from '../run/run-state.ts';
import { createDeletionJob, recordedUid } from './job.ts';
import type { DeletionPlace, DeletionSeen } from './observe.ts';

/** done: the data is gone there. left: it stays, for this reason. waits: not yet. */
export interface PlaceEnd {
  readonly copy: DestinationStatus;
  readonly state: 'done' | 'left' | 'waits';
  readonly reason?: string;
  readonly message?: string;
  readonly actions?: readonly Action[];
  readonly wakeAt?: number | undefined;
}

const busyMs = 10_000;
const againMs = 10 * 60_000;
/** What a runner says of a place that lets nothing go: to ask again changes nothing. */
const finalReasons: ReadonlySet<string> = new Set([
  'DeletionNotAllowed',
  'DeletionHeld',
  'OtherBackupThere',
  'ManifestInvalid',
]);

/** What is to be done about a Backup's data at one place. */
export function planPlace(seen: DeletionSeen, place: DeletionPlace): PlaceEnd {
  const { backup, nowMs, mode } = seen;
  const { copy, index, location, run } = place;
  const problem = findLocationProblem(copy.location, location, mode.claimRequired);
  if (problem !== undefined || location === undefined) return { copy, state: 'left', ...problem };
  const { accessMode } = location.object.spec;
  if (accessMode !== 'ReadWrite') return { copy, state: 'left', message: `the location has accessMode ${accessMode}` };
  const uid = recordedUid(backup);
  if (uid === undefined)
    return { copy, state: 'left', message: 'it is not known which backup it is: it was imported by hand' };
  const { job } = run;
  if (job !== undefined && isControlledBy(job, location.object.metadata.uid)) return judgeJob(seen, place, job);
  if (job !== undefined) {
    return {
      copy,
      state: 'waits',
      reason: 'NameTaken',
      message: `the Job ${job.metadata.name} belongs to something else`,
      wakeAt: nowMs + againMs,
    };
  }

  if (run.refused !== undefined && isEnding(run.refused)) {
    return { copy, state: 'left', message: 'the namespace is being deleted' };
  }
  if (seen.otherPlaceJobs >= mode.inspections) return { copy, state: 'waits', wakeAt: nowMs + busyMs };
  let create: CreateAction;
  try {
    create = createDeletionJob(backup, uid, index, copy, location.object, mode);
  } catch (error) {
    return { copy, state: 'left', ...describeFailure(error) };
  }
  const refused =
    run.refused === undefined ? {} : { reason: 'PodRefused', message: `the Job is refused: ${run.refused}` };
  return {
    copy,
    state: 'waits',
    ...refused,
    actions: [create],
    wakeAt: nowMs + (run.refused === undefined ? busyMs : 60_000),
  };
}

/** What the API server says when it takes nothing new: nobody must be kept waiting then. */
const isEnding = (refused: string): boolean => refused.includes('because it is being terminated');

function judgeJob({ nowMs, mode }: DeletionSeen, { copy, run }: DeletionPlace, job: JobSeen): PlaceEnd {
  const { pods, progress, trouble, results } = run;
  const state = judgeRun({ nowMs, kind: 'prune', job, pods, progress, trouble, startBudgetMs: mode.startBudgetMs });
  if (state.phase === 'going') {
    return { copy, state: 'waits', wakeAt: earliest(state.recheckAt, nowMs + 60_000) };
  }
  // The next one has its name.
  const gone = job.metadata.deletionTimestamp === undefined ? [deleteJob(job, 'Background')] : [];
  if (state.phase === 'ended' && state.verdict.kind === 'prune') {
    const { verdict } = state;
    if (verdict.removed > 0) return { copy, state: 'done', actions: gone };
    if (mayComeYet(state.pod, verdict, results, nowMs)) return { copy, state: 'waits', wakeAt: nowMs + 5000 };
    const line = results?.flatMap((each) => (each.kind === 'pruned' ? each.backups : [])).at(0);
    const reason = line?.reason ?? verdict.reason ?? (verdict.deferred > 0 ? 'DeletionHeld' : 'Internal');
    const until = line?.until === undefined ? '' : `, until ${line.until}`;
    const message = `${line?.detail ?? verdict.message ?? reason}${until}`;
    if (finalReasons.has(reason)) return { copy, state: 'left', reason, message, actions: gone };
    return tryAgain(copy, job, reason, message, nowMs);
  }
  const { reason, message } =
    state.phase === 'failed' ? state : { reason: 'Internal', message: 'an answer of another kind' };
  return tryAgain(copy, job, reason, message, nowMs);
}

/** The Job that failed stays for its log until it is time for the next. */
function tryAgain(copy: DestinationStatus, job: JobSeen, reason: string, message: string, nowMs: number): PlaceEnd {
  const ended = findTrue(job.status?.conditions, 'Failed') ?? findTrue(job.status?.conditions, 'Complete');
  const at = (readStamp(ended?.lastTransitionTime) ?? nowMs) + againMs;
  const isGoing = job.metadata.deletionTimestamp !== undefined;
  return {
    copy,
    state: 'waits',
    reason,
    message,
    actions: nowMs >= at && !isGoing ? [deleteJob(job, 'Foreground')] : [],
    wakeAt: nowMs >= at ? nowMs + busyMs : at,
  };
}
