import { labels, type RestoreRequest } from '../../api/kinds.ts';
import { cleanupJobName, restoreJobName } from '../../domain/names.ts';
import type { Admission, Turn } from '../admission/admission.ts';
import { printKey } from '../world/keys.ts';
import type { ControllerMode } from '../mode.ts';
import { hasEndedMeanwhile, observeRun, type RunObserved, type RunSources } from '../run/observe-run.ts';
import { isControlledBy, type PodSeen } from '../run/pods.ts';
import type { Read } from '../world/read-object.ts';
import { restoreResultOf } from './outcome.ts';
import { observeSource } from '../admission/read-restore-entry.ts';
import type { SourceSeen } from './resolve-source.ts';

/** All that the plan of a RestoreRequest looks at. */
export interface RestoreSeen {
  readonly nowMs: number;
  readonly request: Read<RestoreRequest>;
  /** Its Job. */
  readonly run: RunObserved;
  /** The Job that clears up after it. */
  readonly cleanup: RunObserved;
  /** Pods of its Job, also those that have lost it. */
  readonly pods: readonly PodSeen[];
  readonly source: SourceSeen;
  /** Undefined when it needs none any more. */
  readonly turn: Turn | undefined;
  readonly mode: ControllerMode;
}

/** Undefined when there is no such request (any more). */
export async function observeRestore(
  sources: RunSources & { readonly turns: Pick<Admission, 'turnOf'> },
  mode: ControllerMode,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<RestoreSeen | undefined> {
  const { world, clock } = sources;
  const before = world.restoreRequest(namespace, name)?.object;
  if (before === undefined) return undefined;
  const decided = restoreResultOf(before) !== undefined;
  const common = { namespace, ownerUid: before.metadata.uid, signal } as const;
  const about = {
    restore: {
      ...common,
      jobName: restoreJobName(name),
      kind: 'restore',
      decided,
      jobWasMade: before.status?.job !== undefined,
    },
    cleanup: {
      ...common,
      jobName: cleanupJobName(name),
      kind: 'cleanup',
      decided: decided || before.status?.failure === undefined,
      jobWasMade: before.status?.cleanupJob !== undefined,
    },
  } as const;
  let cleanup = await observeRun(sources, about.cleanup);
  let run = await observeRun(sources, about.restore);
  const hasChanged = (): boolean =>
    hasEndedMeanwhile(run, world.job(namespace, about.restore.jobName)) ||
    (!about.cleanup.decided && hasEndedMeanwhile(cleanup, world.job(namespace, about.cleanup.jobName)));
  while (hasChanged()) {
    cleanup = await observeRun(sources, about.cleanup);
    run = await observeRun(sources, about.restore);
  }
  // From here on nothing waits: what the plan sees is one moment, and its intents are noted before another look begins.
  const request = world.restoreRequest(namespace, name);
  if (request === undefined || request.object.metadata.uid !== common.ownerUid) return undefined;
  const nowMs = clock.nowMs();
  const job = world.job(namespace, about.restore.jobName) ?? run.job;
  const hasJob = job !== undefined && isControlledBy(job, common.ownerUid);
  const needsTurn = !decided && !hasJob && request.fault === undefined;
  const pods = decided ? [] : world.podsOfRestore(namespace, name);
  return {
    nowMs,
    request,
    run: { ...run, job },
    cleanup: { ...cleanup, job: world.job(namespace, about.cleanup.jobName) ?? cleanup.job },
    pods: pods.filter(({ metadata }) => metadata.labels?.[labels.task] === 'restore'),
    source: observeSource(world, mode, nowMs, request.object),
    turn: needsTurn ? sources.turns.turnOf(printKey('restoreRequest', namespace, name)) : undefined,
    mode,
  };
}
