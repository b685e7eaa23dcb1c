import { annotations, labels, type BackupLocation, type BackupPolicy } from '../../api/kinds.ts';
import type { RetentionStatus } from '../../api/retention.ts';
import { shortHash } from '../../domain/attempt.ts';
import { pruneJobName } from '../../domain/names.ts';
import { pruneMax } from '../../domain/prune-task.ts';
import { stamp } from '../../domain/stamp.ts';
import { taskVersion, type PruneTask } from '../../domain/task.ts';
import type { CreateAction } from '../action.ts';
import { nameClaims, taskLocation, waitForSecretSeconds } from '../backup/task.ts';
import type { ControllerMode } from '../mode.ts';
import { resources } from '../resources.ts';
import { describeOrigin, type Origin } from '../run/rebuild.ts';
import { buildRunnerJob } from '../run/runner-job.ts';
import type { Holding, PlaceDecision } from './decide.ts';

/** One that takes longer has hung; what it did is done, and the next one goes on. */
const pruneMaxSeconds = 3600;
/** Bytes of the backups that a task names; the rest of its 200 KiB is for all else. */
const namedMostBytes = 120 * 1024;

/**
 * The name of the next prune's Job at a place. It changes when an answer is taken and not before (as with inspections): a place has one
 * prune at a time, and a crash between creating and noting finds it again.
 */
export function pruneName(policy: BackupPolicy, location: string, before: RetentionStatus | undefined): string {
  return pruneJobName(policy.metadata.name, location, shortHash(before?.countedJob ?? policy.metadata.uid));
}

/** What the Job of a prune is made from. */
export function originOfPrune(policy: BackupPolicy, location: BackupLocation, mode: ControllerMode): Origin {
  return describeOrigin(policy, [location], mode.runner);
}

/** As many as one Job removes, oldest first. */
export function firstBatch(removable: readonly Holding[]): readonly Holding[] {
  let bytes = 0;
  return removable.slice(0, pruneMax).filter((holding) => {
    bytes += JSON.stringify(describe(holding)).length + 1;
    return bytes <= namedMostBytes;
  });
}

const describe = ({ id, uid, copy, backup }: Holding): PruneTask['remove'][number] => {
  const attempt = backup.status?.attempt;
  return {
    id,
    uid,
    ...(copy.manifestSha256 === undefined ? {} : { manifestSha256: copy.manifestSha256 }),
    ...(attempt === undefined || !/^[0-9a-f]{8}$/.test(attempt) ? {} : { attempt }),
  };
};

/** The Job that removes a batch. @throws Failure SpecInvalid when its task is too large */
export function createPruneJob(
  policy: BackupPolicy,
  location: BackupLocation,
  { newest, floor }: PlaceDecision,
  batch: readonly Holding[],
  before: RetentionStatus | undefined,
  mode: ControllerMode,
): CreateAction {
  const claims = nameClaims([location], mode.claimRequired);
  const task: PruneTask = {
    version: taskVersion,
    kind: 'prune',
    namespace: policy.metadata.namespace,
    policy: { name: policy.metadata.name, uid: policy.metadata.uid },
    location: taskLocation(location, claims),
    accessMode: location.spec.accessMode,
    why: 'retention',
    remove: batch.map(describe),
    ...(newest === undefined ? {} : { newest: { id: newest.id, uid: newest.uid, startedAt: stamp(newest.startedAt) } }),
    globals: policy.spec.dump.globals,
    floor: floor.map(({ id, uid }) => ({ id, uid })),
    waitForSecretSeconds,
  };
  return {
    type: 'create',
    resource: resources.job,
    object: buildRunnerJob({
      name: pruneName(policy, location.metadata.name, before),
      owner: policy,
      labels: {
        [labels.policy]: policy.metadata.name,
        [labels.location]: location.metadata.name,
        [labels.task]: 'prune',
      },
      annotations: {
        ...originOfPrune(policy, location, mode),
        [annotations.generation]: String(policy.metadata.generation),
      },
      task,
      claims,
      options: location.spec.runner,
      deadlineSeconds: Math.min(location.spec.runner.deadlineSeconds, pruneMaxSeconds),
      // A failed prune is tried again by us, with a back-off that is shown.
      retries: 0,
      template: mode.runner,
    }),
    ours: { controllerUid: policy.metadata.uid },
  };
}
