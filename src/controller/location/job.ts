import { annotations, labels, type BackupLocation } from '../../api/kinds.ts';
import { inspectorOf } from '../../domain/layout.ts';
import { inspectJobName } from '../../domain/names.ts';
import { taskMaxBytes, taskVersion, type InspectTask } from '../../domain/task.ts';
import type { CreateAction } from '../action.ts';
import { nameClaims, taskLocation, waitForSecretSeconds } from '../backup/task.ts';
import type { ControllerMode } from '../mode.ts';
import { describeOrigin, type Origin } from '../run/rebuild.ts';
import { resources } from '../resources.ts';
import { buildRunnerJob } from '../run/runner-job.ts';
import type { HeldAfter } from '../world/held-manifests.ts';
import { listKnown } from './known.ts';
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

/** What the Job of an inspection is made from; also for whom it was asked. */
export function originOfInspection(location: BackupLocation, mode: ControllerMode): Origin {
  return describeOrigin(location, [location], mode.runner);
}

/** Once for each new location and each change of it, until it passes, and when somebody asks: it is 8 MiB each time. */
function wantsFullPart({ status, spec, metadata }: BackupLocation): boolean {
  if (spec.accessMode === 'ReadOnly') return false;
  const requested = metadata.annotations?.[annotations.probeRequestedAt]?.slice(0, 1024);
  const isDone = status?.fullPartTime !== undefined && status.observedGeneration === metadata.generation;
  return !isDone || status.probeRequestedAt !== requested;
}

/** Whoever asks wants to know what is there now. */
export function readsAll({ status, metadata }: BackupLocation): boolean {
  const requested = metadata.annotations?.[annotations.probeRequestedAt]?.slice(0, 1024);
  return status?.probeRequestedAt !== requested || status?.catalogue?.readsAll === true;
}

export interface InspectKnown extends RemainsKnown {
  /** The manifests that it is said to have. */
  readonly heldAfter: HeldAfter;
}

/** The Job that looks at one page of a location. @throws Failure SpecInvalid when its task is too large */
export function createInspectJob(location: BackupLocation, mode: ControllerMode, known: InspectKnown): CreateAction {
  const { spec, status, metadata } = location;
  const claims = nameClaims([location], mode.claimRequired);
  const requested = metadata.annotations?.[annotations.probeRequestedAt];
  const task: InspectTask = {
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
  };
  // What room a task has left.
  const room = taskMaxBytes - Buffer.byteLength(JSON.stringify(task)) - 2048;
  const manifests = readsAll(location) ? undefined : listKnown(location, known.heldAfter, room);
  return {
    type: 'create',
    resource: resources.job,
    object: buildRunnerJob({
      name: inspectionName(location),
      owner: location,
      labels: { [labels.location]: metadata.name, [labels.task]: 'inspect' },
      annotations: {
        ...originOfInspection(location, mode),
        [annotations.generation]: String(metadata.generation),
        ...(requested === undefined ? {} : { [annotations.probeRequestedAt]: requested }),
      },
      task: { ...task, ...(manifests === undefined ? {} : { known: manifests }) },
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
