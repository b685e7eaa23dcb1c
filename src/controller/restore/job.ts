import { labels, type BackupLocation, type RestoreRequest } from '../../api/kinds.ts';
import { cleanupJobName, restoreJobName } from '../../domain/names.ts';
import type { CreateAction } from '../action.ts';
import { nameClaims } from '../backup/task.ts';
import type { ControllerMode } from '../mode.ts';
import { describeOrigin, type Origin } from '../run/rebuild.ts';
import { resources } from '../resources.ts';
import { buildRunnerJob } from '../run/runner-job.ts';
import type { ResolvedSource } from './resolve-source.ts';
import { buildCleanupTask, buildRestoreTask } from './task.ts';

/** How long a cleanup may take, all its tries together, and how many they may be. */
export const cleanupMaxSeconds = 30 * 60;
const cleanupRetries = 8;

/** The Job of a RestoreRequest. @throws Failure SpecInvalid when its task is too large */
export function createRestoreJob(request: RestoreRequest, source: FoundSource, mode: ControllerMode): CreateAction {
  const claims = nameClaims(locationsOf(source), mode.claimRequired);
  const { runner, scratch } = request.spec;
  return {
    type: 'create',
    resource: resources.job,
    object: buildRunnerJob({
      name: restoreJobName(request.metadata.name),
      owner: request,
      labels: labelsOf(request, 'restore'),
      annotations: originOfRestore(request, source, mode),
      task: buildRestoreTask(request, source, claims, mode.settleSeconds),
      claims,
      options: runner,
      deadlineSeconds: runner.deadlineSeconds,
      retries: runner.retries,
      // Without Kubernetes there are no volumes but folders.
      scratch: mode.claimRequired ? scratch : undefined,
      template: mode.runner,
    }),
    ours: { controllerUid: request.metadata.uid },
  };
}

type FoundSource = Extract<ResolvedSource, { readonly state: 'found' }>;

/** What the Job of a RestoreRequest is made from. */
export function originOfRestore(request: RestoreRequest, source: FoundSource, mode: ControllerMode): Origin {
  return describeOrigin(request, locationsOf(source), mode.runner);
}

function locationsOf(source: FoundSource): readonly BackupLocation[] {
  return 'file' in source ? [source.file] : source.copies.map(({ location }) => location);
}

/** The Job that clears up after it. @throws Failure SpecInvalid when its task is too large */
export function createCleanupJob(request: RestoreRequest, mode: ControllerMode): CreateAction {
  return {
    type: 'create',
    resource: resources.job,
    object: buildRunnerJob({
      name: cleanupJobName(request.metadata.name),
      owner: request,
      labels: labelsOf(request, 'cleanup'),
      task: buildCleanupTask(request),
      claims: new Map(),
      options: request.spec.runner,
      deadlineSeconds: cleanupMaxSeconds,
      retries: cleanupRetries,
      template: mode.runner,
    }),
    ours: { controllerUid: request.metadata.uid },
  };
}

function labelsOf({ metadata }: RestoreRequest, task: 'restore' | 'cleanup'): Readonly<Record<string, string>> {
  const policy = metadata.labels?.[labels.restorePolicy];
  return {
    [labels.restore]: metadata.name,
    ...(policy === undefined ? {} : { [labels.restorePolicy]: policy }),
    [labels.task]: task,
  };
}
