import { annotations, labels, type Backup, type BackupLocation } from '../../api/kinds.ts';
import type { DestinationStatus } from '../../api/backup.ts';
import { parseManifestKey } from '../../domain/layout.ts';
import { deletionJobName } from '../../domain/names.ts';
import { taskVersion, type PruneTask } from '../../domain/task.ts';
import type { CreateAction } from '../action.ts';
import { nameClaims, taskLocation, waitForSecretSeconds } from '../backup/task.ts';
import type { ControllerMode } from '../mode.ts';
import { resources } from '../resources.ts';
import { buildRunnerJob } from '../run/runner-job.ts';

const deletionMaxSeconds = 3600;

/** The Job that removes a Backup's data from the place at that index of its destinations. */
export function deletionName(backup: Backup, index: number): string {
  return deletionJobName(backup.metadata.name, index);
}

/** As its manifest has it; undefined of an import that was made by hand before it was read. */
export function recordedUid({ metadata, spec }: Backup): string | undefined {
  return spec.import === undefined ? metadata.uid : metadata.annotations?.[annotations.foundUid];
}

/**
 * Owned by the location, not by the Backup: `kubectl delete --cascade=foreground` has all that a Backup owns deleted first.
 * @throws Failure SpecInvalid when its task is too large
 */
export function createDeletionJob(
  backup: Backup,
  uid: string,
  index: number,
  copy: DestinationStatus,
  location: BackupLocation,
  mode: ControllerMode,
): CreateAction {
  const { metadata, spec, status } = backup;
  const claims = nameClaims([location], mode.claimRequired);
  // A found backup may lie under the name of a policy that is not here.
  const policy = parseManifestKey(copy.manifestKey ?? '')?.policy ?? spec.policy;
  const attempt = status?.attempt;
  const task: PruneTask = {
    version: taskVersion,
    kind: 'prune',
    namespace: metadata.namespace,
    policy: { name: policy, uid: metadata.annotations?.[annotations.foundPolicyUid] ?? 'unknown' },
    location: taskLocation(location, claims),
    accessMode: location.spec.accessMode,
    why: 'deletion',
    remove: [
      {
        id: metadata.name,
        uid,
        ...(copy.manifestSha256 === undefined ? {} : { manifestSha256: copy.manifestSha256 }),
        ...(attempt === undefined || !/^[0-9a-f]{8}$/.test(attempt) ? {} : { attempt }),
      },
    ],
    waitForSecretSeconds,
  };
  return {
    type: 'create',
    resource: resources.job,
    object: buildRunnerJob({
      name: deletionName(backup, index),
      owner: location,
      labels: {
        [labels.backup]: metadata.name,
        [labels.location]: location.metadata.name,
        [labels.task]: 'deletion',
      },
      task,
      claims,
      options: location.spec.runner,
      deadlineSeconds: Math.min(location.spec.runner.deadlineSeconds, deletionMaxSeconds),
      retries: 0,
      template: mode.runner,
    }),
    ours: { controllerUid: location.metadata.uid },
  };
}
