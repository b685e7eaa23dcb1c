import type { BackupStatus } from '../../api/backup.ts';
import { finalizer, type Backup } from '../../api/kinds.ts';
import { backupJobName } from '../../domain/names.ts';
import { readStamp, stamp } from '../../domain/stamp.ts';
import { earliest, type Action, type CreateAction, type Plan } from '../action.ts';
import { mayComeYet } from '../run/await-results.ts';
import { findCondition } from '../conditions.ts';
import { deleteJob } from '../run/delete-job.ts';
import { describeFailure } from '../describe-failure.ts';
import {
  awaitGone,
  giveUpJob,
  isReplaced,
  noteRebuild,
  shouldRebuild,
  tellStays,
  type Origin,
} from '../run/rebuild.ts';
import { countTries, tellRun } from '../run/tell-run.ts';
import { checkDestinations } from '../destinations.ts';
import { resultOf } from '../run/outcome.ts';
import { isControlledBy, isFinished, runnerState, type JobSeen } from '../run/pods.ts';
import { runsOf } from '../policy/backup-run.ts';
import { tellProgress } from '../run/progress.ts';
import { resources } from '../resources.ts';
import { judgeRun } from '../run/run-state.ts';
import { endBackup, fail, isOverdue, setStatus, wait, waitForReference, waitingStatus } from './conclude.ts';
import { finishWithVerdict } from './finish.ts';
import { createBackupJob, originOfBackup, readBackupTask } from './job.ts';
import { findNothingLeft, hasRemains, keptAfterVanishingMs, mayGoAt } from './nothing-left.ts';
import type { BackupSeen } from './observe.ts';
import { planImport } from './plan-import.ts';
import { findReplacement, findReplaced } from './replacement.ts';

/** How long a Job may take to be marked as finished after its runner has spoken. */
const settleMs = 2 * 60_000;
const progressEveryMs = 10_000;
/** Whose turn has come is woken; how many come first is told again this often. */
const queuedMs = 5 * 60_000;

/** Runs a Backup once, and never again after Succeeded is True or False. */
export function planBackup(seen: BackupSeen): Plan {
  const { object: backup, fault } = seen.backup;
  if (backup.metadata.deletionTimestamp !== undefined) return { actions: [] };
  const hold = followDeletionPolicy(backup);
  if (hold !== undefined) return { actions: [hold], wakeAt: seen.nowMs + 1000 };
  if (resultOf(backup) !== undefined) return planEnded(seen, backup);
  if (fault !== undefined) return wait(seen, backup, 'SpecInvalid', fault, undefined);
  if (backup.spec.import !== undefined) return planImport(seen, backup);

  const { job } = seen;
  if (job !== undefined && !isControlledBy(job, backup.metadata.uid)) {
    return waitForReference(seen, backup, 'NameTaken', `the Job ${job.metadata.name} belongs to something else`);
  }
  if (job !== undefined) return planRunning(seen, backup, job);
  const replacement = findReplacement(seen, backup);
  if (replacement !== undefined) return endFor(seen, backup, replacement);
  if (backup.status?.job !== undefined) {
    return fail(seen, backup, 'JobDeleted', `the Job ${backup.status.job} was deleted before its answer was taken`);
  }
  return planStart(seen, backup);
}

/** With deletionPolicy Delete the object is held, so that its data goes first (controller/deletion). */
function followDeletionPolicy(backup: Backup): Action | undefined {
  const isHeld = backup.metadata.finalizers?.includes(finalizer) ?? false;
  if (isHeld === (backup.spec.deletionPolicy === 'Delete')) return undefined;
  return { type: isHeld ? 'release' : 'hold', resource: resources.backup, object: backup };
}

/** Finished Jobs go when their time has come; one that nobody needs any more goes at once. */
function planEnded(seen: BackupSeen, backup: Backup): Plan {
  const { nowMs, job, mode } = seen;
  if (job === undefined || !isControlledBy(job, backup.metadata.uid)) return planOrphan(seen, backup);
  if (job.metadata.deletionTimestamp !== undefined) return { actions: [] };
  const endedAt = readStamp(findCondition(backup.status?.conditions, 'Succeeded')?.lastTransitionTime) ?? nowMs;
  const deleteAt = endedAt + (isFinished(job) ? mode.jobTtlMs : settleMs);
  return nowMs >= deleteAt ? { actions: [deleteJob(job, 'Background')] } : { actions: [], wakeAt: deleteAt };
}

/** Without a policy that counts it, and would keep so many, an object without data goes after a time. */
function planOrphan({ nowMs, policy, locations }: BackupSeen, backup: Backup): Plan {
  const left = findNothingLeft(backup);
  if (left === undefined) return { actions: [] };
  const { namespace, name, uid } = backup.metadata;
  const deleteAt = left.kind === 'removed' ? mayGoAt(left) : left.since + keptAfterVanishingMs;
  const isCounted = policy !== undefined && (policy.fault !== undefined || runsOf(policy.object, [backup]).length > 0);
  // The policy may go at any time, and nobody tells its Backups that have ended.
  if (nowMs < deleteAt || isCounted || hasRemains(backup, locations)) {
    return { actions: [], wakeAt: Math.max(deleteAt, nowMs + 24 * 3_600_000) };
  }
  return {
    actions: [{ type: 'delete', resource: resources.backup, namespace, name, uid, propagation: 'Background' }],
  };
}

function planRunning(seen: BackupSeen, backup: Backup, job: JobSeen): Plan {
  const { nowMs, pods, progress, trouble, mode } = seen;
  const run = { nowMs, kind: 'backup', job, pods, progress, trouble, startBudgetMs: mode.startBudgetMs } as const;
  const state = judgeRun(run);
  if (state.phase === 'ended' && state.verdict.kind === 'backup') {
    const { verdict } = state;
    if (mayComeYet(state.pod, verdict, seen.results, nowMs)) return { actions: [], wakeAt: nowMs + 5000 };
    const { status, ending } = finishWithVerdict(backup, verdict, readBackupTask(job), seen.results, nowMs);
    return endBackup(seen, backup, { ...status, job: job.metadata.name }, ending.status === 'True', ending);
  }
  const { rebuilt } = backup.status ?? {};
  if (isReplaced(rebuilt, job)) {
    // A runner that began after all may have been done, too.
    return awaitGone(rebuilt, job, nowMs) ?? fail(seen, backup, 'PodNotStarting', tellStays(job));
  }
  if (state.phase === 'failed') {
    const failed = fail(seen, backup, state.reason, state.message);
    return state.stop ? { ...failed, actions: [...failed.actions, deleteJob(job, 'Background')] } : failed;
  }
  const replacement = findReplacement(seen, backup);
  if (replacement !== undefined) {
    // Foreground: the Job stays until its pods are gone, and only then the newer run may start.
    const gone = job.metadata.deletionTimestamp === undefined ? [deleteJob(job, 'Foreground')] : [];
    return { actions: gone, wakeAt: nowMs + progressEveryMs };
  }
  if (state.phase !== 'going') return { actions: [], wakeAt: nowMs + progressEveryMs };
  if (shouldRebuild(state.reason, job, findOrigin(seen, backup), rebuilt)) return planRebuild(seen, backup, job);
  const isRunning = state.reason === 'Running' || state.reason.startsWith('WaitingFor');
  const before = backup.status;
  const status: BackupStatus = {
    ...waitingStatus(seen, backup, state.reason, state.message, isRunning ? 'Running' : 'Pending'),
    job: job.metadata.name,
    startedAt: before?.startedAt ?? (isRunning ? stamp(nowMs) : undefined),
    failedTries: countTries(before, pods),
    progress: state.progress === undefined ? before?.progress : tellProgress(state.progress),
  };
  const podRuns = pods.some((pod) => runnerState(pod)?.running !== undefined);
  const wakeAt = earliest(state.recheckAt, podRuns ? nowMs + progressEveryMs : undefined);
  return { actions: [...setStatus(backup, status), ...tellRun(backup, before, status, state.message)], wakeAt };
}

function findOrigin({ policy, locations, mode }: BackupSeen, backup: Backup): Origin | undefined {
  if (policy?.fault !== undefined || policy === undefined) return undefined;
  const { blocking, usable } = checkDestinations(policy.object.spec, locations, mode.claimRequired);
  return blocking === undefined ? originOfBackup(backup, policy.object, usable, mode) : undefined;
}

function planRebuild(seen: BackupSeen, backup: Backup, job: JobSeen): Plan {
  const { nowMs } = seen;
  const note = (message: string): readonly Action[] =>
    setStatus(backup, {
      ...waitingStatus(seen, backup, 'Starting', message, 'Pending'),
      job: undefined,
      rebuilt: noteRebuild(backup.status?.rebuilt, job, nowMs),
    });
  return { actions: giveUpJob(backup, job, note), wakeAt: nowMs + progressEveryMs };
}

function planStart(seen: BackupSeen, backup: Backup): Plan {
  const { nowMs, policy, mode, turn } = seen;
  if (policy === undefined || policy.object.metadata.deletionTimestamp !== undefined) {
    return waitForReference(seen, backup, 'PolicyMissing', `there is no BackupPolicy ${backup.spec.policy}`);
  }
  if (policy.fault !== undefined) {
    const message = `BackupPolicy ${backup.spec.policy} cannot be read: ${policy.fault}`;
    return waitForReference(seen, backup, 'SpecInvalid', message);
  }
  const destinations = checkDestinations(policy.object.spec, seen.locations, mode.claimRequired);
  const { blocking } = destinations;
  if (blocking !== undefined) return waitForReference(seen, backup, blocking.reason, blocking.message);

  const replaced = findReplaced(seen, backup);
  if (replaced !== undefined) {
    return wait(seen, backup, 'Queued', `waits until ${replaced} has been ended for it`, nowMs + 60_000);
  }
  if (turn?.admitted !== true) return wait(seen, backup, 'Queued', turn?.waitsFor ?? '', nowMs + queuedMs);

  let create: CreateAction;
  try {
    create = createBackupJob(backup, policy.object, destinations.usable, mode, nowMs);
  } catch (error) {
    const { reason, message } = describeFailure(error);
    return fail(seen, backup, reason, message);
  }
  // What was refused is asked for again, after its reason stands in the status.
  const { refused } = seen;
  if (refused !== undefined) {
    const waiting = waitForReference(seen, backup, 'PodRefused', `the Job is refused: ${refused}`);
    return isOverdue(seen, backup) ? waiting : { ...waiting, actions: [...waiting.actions, create] };
  }
  const jobName = backupJobName(backup.metadata.name);
  const lost = destinations.problems.map(({ location, required, reason, message }) => {
    return { location, required, outcome: 'Failed', reason, message } as const;
  });
  const status: BackupStatus = {
    ...waitingStatus(seen, backup, 'Starting', `the Job ${jobName} is made`, 'Pending'),
    job: jobName,
    ...(lost.length === 0 ? {} : { destinations: lost }),
  };
  return {
    actions: [
      create,
      ...setStatus(backup, status),
      { type: 'tell', about: backup, level: 'Normal', reason: 'JobCreated', message: `created the Job ${jobName}` },
    ],
    wakeAt: nowMs + progressEveryMs,
  };
}

function endFor(seen: BackupSeen, backup: Backup, replacement: string): Plan {
  return fail(seen, backup, 'Aborted', `ended for ${replacement} (concurrencyPolicy Replace)`);
}
