import { labels, type BackupLocation, type BackupPolicy } from '../../api/kinds.ts';
import type { DestinationStatus } from '../../api/backup.ts';
import type { RepairStatus } from '../../api/repair.ts';
import { shortHash } from '../../domain/attempt.ts';
import { copyMax } from '../../domain/copy-task.ts';
import { copyJobName } from '../../domain/names.ts';
import { taskVersion, type CopyTask } from '../../domain/task.ts';
import type { CreateAction } from '../action.ts';
import { nameClaims, taskLocation, waitForSecretSeconds } from '../backup/task.ts';
import type { ControllerMode } from '../mode.ts';
import { resources } from '../resources.ts';
import { describeOrigin, type Origin } from '../run/rebuild.ts';
import { buildRunnerJob } from '../run/runner-job.ts';

/** A backup that is to be copied, and which of its copies is read. */
export interface Copied {
  readonly id: string;
  readonly uid: string;
  readonly source: DestinationStatus;
}

/** The name of the next copy's Job at a place. It changes when an answer is taken and not before. */
export function copyName(policy: BackupPolicy, location: string, before: RepairStatus | undefined): string {
  return copyJobName(policy.metadata.name, location, shortHash(before?.countedJob ?? policy.metadata.uid));
}

/** What the Job of a copy is made from. */
export function originOfCopy(policy: BackupPolicy, locations: readonly BackupLocation[], mode: ControllerMode): Origin {
  return describeOrigin(policy, locations, mode.runner);
}

/** The Job that copies the first of these backups, all from one place. @throws Failure SpecInvalid when its task is too large */
export function createCopyJob(
  policy: BackupPolicy,
  from: BackupLocation,
  to: BackupLocation,
  backups: readonly Copied[],
  before: RepairStatus | undefined,
  mode: ControllerMode,
): CreateAction {
  const claims = nameClaims([from, to], mode.claimRequired);
  const { bytesPerSecond } = policy.spec.repair ?? {};
  const task: CopyTask = {
    version: taskVersion,
    kind: 'copy',
    namespace: policy.metadata.namespace,
    policy: { name: policy.metadata.name, uid: policy.metadata.uid },
    from: taskLocation(from, claims),
    to: {
      ...taskLocation(to, claims),
      ...(to.spec.accessMode === 'AppendOnly' ? { appendOnly: true } : {}),
    },
    backups: backups.slice(0, copyMax).map(({ id, uid, source: { manifestSha256 } }) => {
      return { id, uid, ...(manifestSha256 === undefined ? {} : { manifestSha256 }) };
    }),
    ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
    waitForSecretSeconds,
  };
  return {
    type: 'create',
    resource: resources.job,
    object: buildRunnerJob({
      name: copyName(policy, to.metadata.name, before),
      owner: policy,
      labels: {
        [labels.policy]: policy.metadata.name,
        [labels.location]: to.metadata.name,
        [labels.task]: 'copy',
      },
      annotations: originOfCopy(policy, [from, to], mode),
      task,
      claims,
      options: policy.spec.runner,
      deadlineSeconds: policy.spec.runner.deadlineSeconds,
      // A failed copy is tried again by us, with a back-off that is shown.
      retries: 0,
      template: mode.runner,
    }),
    ours: { controllerUid: policy.metadata.uid },
  };
}
