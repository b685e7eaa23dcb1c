import { annotations, labels, type Backup, type BackupPolicy } from '../../api/kinds.ts';
import { backupJobName } from '../../domain/names.ts';
import { parseTask } from '../../domain/parse-task.ts';
import type { BackupTask } from '../../domain/task.ts';
import { stamp } from '../../domain/stamp.ts';
import type { CreateAction } from '../action.ts';
import type { UsableDestination } from '../destinations.ts';
import type { ControllerMode } from '../mode.ts';
import type { JobSeen } from '../run/pods.ts';
import { describeOrigin, type Origin } from '../run/rebuild.ts';
import { resources } from '../resources.ts';
import { buildRunnerJob } from '../run/runner-job.ts';
import { buildBackupTask, nameClaims } from './task.ts';

/** The Job of a Backup. @throws Failure SpecInvalid when its task is too large */
export function createBackupJob(
  backup: Backup,
  policy: BackupPolicy,
  destinations: readonly UsableDestination[],
  mode: ControllerMode,
  nowMs: number,
): CreateAction {
  const claims = nameClaims(
    destinations.map(({ location }) => location),
    mode.claimRequired,
  );
  return {
    type: 'create',
    resource: resources.job,
    object: buildRunnerJob({
      name: backupJobName(backup.metadata.name),
      owner: backup,
      labels: {
        [labels.policy]: policy.metadata.name,
        [labels.backup]: backup.metadata.name,
        [labels.task]: 'backup',
      },
      annotations: originOfBackup(backup, policy, destinations, mode),
      task: {
        ...buildBackupTask(backup, policy, destinations, claims, mode.runner.volumeBytes),
        deadline: stamp(nowMs + policy.spec.runner.deadlineSeconds * 1000),
      },
      claims,
      options: policy.spec.runner,
      deadlineSeconds: policy.spec.runner.deadlineSeconds,
      retries: policy.spec.runner.retries,
      template: mode.runner,
    }),
    ours: { controllerUid: backup.metadata.uid },
  };
}

/** What the Job of a Backup is made from. */
export function originOfBackup(
  backup: Backup,
  policy: BackupPolicy,
  destinations: readonly UsableDestination[],
  mode: ControllerMode,
): Origin {
  return describeOrigin(backup, [policy, ...destinations.map(({ location }) => location)], mode.runner);
}

const tasksRead = new WeakMap<JobSeen, { readonly task: BackupTask | undefined }>();

/** What the runner of a Job was told; undefined when that cannot be read (any more). Reads each version of a Job once. */
export function readBackupTask(job: JobSeen): BackupTask | undefined {
  const known = tasksRead.get(job) ?? { task: parseBackupTask(job) };
  tasksRead.set(job, known);
  return known.task;
}

function parseBackupTask(job: JobSeen): BackupTask | undefined {
  const text = job.spec?.template?.metadata?.annotations?.[annotations.task];
  if (text === undefined) return undefined;
  try {
    const task = parseTask(text);
    return task.kind === 'backup' ? task : undefined;
  } catch {
    // A Job of another version: its verdict says what counts.
    return undefined;
  }
}
