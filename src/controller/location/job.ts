import { annotations, labels, type BackupLocation } from '../../api/kinds.ts';
import { inspectorOf } from '../../domain/layout.ts';
import { inspectJobName } from '../../domain/names.ts';
import { taskVersion } from '../../domain/task.ts';
import type { CreateAction } from '../action.ts';
import { nameClaims, taskLocation, waitForSecretSeconds } from '../backup/task.ts';
import type { ControllerMode } from '../mode.ts';
import { resources } from '../resources.ts';
import { buildRunnerJob } from '../run/runner-job.ts';
import { remainsTask, type RemainsKnown } from './remains.ts';

/** Manifests that one inspection reads. */
export const cataloguePageSize = 1000;
/** An inspection that takes longer has hung, whatever a backup there may take. */
const inspectionMaxSeconds = 3600;

/**
 * The name of the next inspection's Job. It changes when an answer is taken and not before, so a location has one inspection
 * at a time, and a crash between creating and noting finds it again.
 */
export function inspectionName(location: BackupLocation): string {
  const { status, metadata } = location;
  const page = (status?.catalogue?.page ?? 0) + 1;
  const answered = (status?.countedJob ?? metadata.uid).replaceAll('-', '');
  return inspectJobName(metadata.name, `${Math.min(page, 999_999)}-${answered.slice(0, 10)}`);
}

/** Once for each new location and each change of it, until it passes, and when somebody asks: it is 8 MiB each time. */
function wantsFullPart({ status, spec, metadata }: BackupLocation): boolean {
  if (spec.accessMode === 'ReadOnly') return false;
  const requested = metadata.annotations?.[annotations.probeRequestedAt]?.slice(0, 1024);
  const isDone = status?.fullPartTime !== undefined && status.observedGeneration === metadata.generation;
  return !isDone || status.probeRequestedAt !== requested;
}

/** The Job that looks at one page of a location. @throws Failure SpecInvalid when its task is too large */
export function createInspectJob(location: BackupLocation, mode: ControllerMode, known: RemainsKnown): CreateAction {
  const { spec, status, metadata } = location;
  const claims = nameClaims([location], mode.claimRequired);
  const requested = metadata.annotations?.[annotations.probeRequestedAt];
  return {
    type: 'create',
    resource: resources.job,
    object: buildRunnerJob({
      name: inspectionName(location),
      owner: location,
      labels: { [labels.location]: metadata.name, [labels.task]: 'inspect' },
      annotations: {
        [annotations.generation]: String(metadata.generation),
        ...(requested === undefined ? {} : { [annotations.probeRequestedAt]: requested }),
      },
      task: {
        version: taskVersion,
        kind: 'inspect',
        namespace: metadata.namespace,
        location: taskLocation(location, claims),
        accessMode: spec.accessMode,
        inspector: inspectorOf(metadata.uid),
        probe: status?.catalogue === undefined || status.probeRequestedAt !== requested?.slice(0, 1024),
        fullPart: wantsFullPart(location),
        after: status?.catalogue?.after,
        pageSize: cataloguePageSize,
        // Once for a catalogue, however many pages it has.
        ...(status?.catalogue === undefined ? { remains: remainsTask(location, known) } : {}),
        waitForSecretSeconds,
      },
      claims,
      options: spec.runner,
      deadlineSeconds: Math.min(spec.runner.deadlineSeconds, inspectionMaxSeconds),
      // A failed inspection is tried again by us, with a back-off that is shown.
      retries: 0,
      template: mode.runner,
    }),
    ours: { controllerUid: metadata.uid },
  };
}
