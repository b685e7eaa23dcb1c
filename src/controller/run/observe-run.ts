import { labels } from '../../api/kinds.ts';
import { parseVerdict, type ProgressLine, type ResultLine, type Verdict } from '../../domain/report.ts';
import { readStamp } from '../../domain/stamp.ts';
import type { KubeClient } from '../../kube/client.ts';
import { listPages } from '../../kube/list-pages.ts';
import type { Clock } from '../../support/clock.ts';
import type { RunnerLogs } from './runner-logs.ts';
import { hasEnded, isControlledBy, isFinished, newestFirst, runnerState, type JobSeen, type PodSeen } from './pods.ts';
import { resources } from '../resources.ts';
import type { RunSeen } from './run-state.ts';
import type { Troubles } from '../troubles.ts';
import type { World } from '../world/world.ts';

export interface RunSources {
  readonly world: World;
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly logs: RunnerLogs;
  readonly troubles: Troubles;
}

export interface RunObserved {
  /** Whoever's Job has the name. When a Job was made before, undefined means that the server has none. */
  readonly job: JobSeen | undefined;
  readonly pods: readonly PodSeen[];
  readonly progress: ProgressLine | undefined;
  readonly trouble: RunSeen['trouble'];
  /** Details from the log, once the run has ended; undefined when they cannot be read (yet). */
  readonly results: readonly ResultLine[] | undefined;
  /** Why the server did not let us create the Job. */
  readonly refused: string | undefined;
}

const nothing: RunObserved = {
  job: undefined,
  pods: [],
  progress: undefined,
  trouble: undefined,
  results: undefined,
  refused: undefined,
};
/** Events are asked for only when a pod is late. */
const podIsLateMs = 10_000;

/**
 * Looks at a Job of ours and its pods. Caches may be behind: before a Job counts as gone, or a finished one as silent, the server itself
 * is asked, because both are final.
 */
export async function observeRun(
  sources: RunSources,
  about: {
    readonly namespace: string;
    readonly jobName: string;
    readonly ownerUid: string;
    readonly kind: Verdict['kind'];
    /** The owner needs no answer any more. */
    readonly decided: boolean;
    /** The owner's status says that there was a Job. */
    readonly jobWasMade: boolean;
    readonly signal: AbortSignal;
  },
): Promise<RunObserved> {
  const { world, clock, logs, troubles } = sources;
  const { namespace, jobName, kind, signal } = about;
  let job = world.job(namespace, jobName);
  if (about.decided) return { ...nothing, job };
  if (job === undefined && about.jobWasMade) job = await askForJob(sources, namespace, jobName, signal);
  const refused = world.refusal(resources.job, namespace, jobName);
  if (job === undefined || !isControlledBy(job, about.ownerUid)) return { ...nothing, job, refused };

  let pods = world.podsOfJob(job.metadata.uid);
  if (isFinished(job) && !pods.some((pod) => heardFrom(pod, kind))) pods = await askForPods(sources, job, signal);
  const [latest] = newestFirst(pods);
  const heard = newestFirst(pods).find((pod) => heardFrom(pod, kind));
  const verdict = heard && parseVerdict(runnerState(heard)?.terminated?.message);
  if (heard !== undefined && verdict !== undefined && (verdict.verdict !== 'Failed' || isFinished(job))) {
    return { ...nothing, job, pods, results: await logs.results(heard, verdict.resultLines, signal) };
  }
  const progress = latest !== undefined && isRunning(latest) ? await logs.progress(latest, signal) : undefined;
  const nowMs = clock.nowMs();
  const since = readStamp((latest ?? job).metadata.creationTimestamp) ?? nowMs;
  const isLate = !isFinished(job) && nowMs - since >= podIsLateMs && (latest === undefined || !isRunning(latest));
  // After one that has ended, it is the next try's pod that is missing.
  const starting = latest === undefined || hasEnded(latest) ? undefined : latest.metadata.uid;
  const trouble = isLate ? await troubles.find(namespace, job.metadata.uid, starting, signal) : undefined;
  return { ...nothing, job, pods, progress, trouble };
}

/**
 * Whether the Job has ended since its pods were looked at. They were running then: judged by them, a run that has just succeeded would
 * be one that ended without a word. Looked at again, its pods are those of a finished Job. To be asked without waiting in between.
 */
export function hasEndedMeanwhile(run: RunObserved, now: JobSeen | undefined): boolean {
  if (now === undefined || !isFinished(now)) return false;
  return run.job === undefined || run.job.metadata.uid !== now.metadata.uid || !isFinished(run.job);
}

function heardFrom(pod: PodSeen, kind: Verdict['kind']): boolean {
  return parseVerdict(runnerState(pod)?.terminated?.message)?.kind === kind;
}

function isRunning(pod: PodSeen): boolean {
  return runnerState(pod)?.running !== undefined;
}

async function askForJob(
  { client, world }: RunSources,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<JobSeen | undefined> {
  const found = await client.get(resources.job, namespace, name, signal);
  if (found !== undefined) world.note(resources.job, found);
  return found as JobSeen | undefined;
}

async function askForPods({ client }: RunSources, job: JobSeen, signal: AbortSignal): Promise<readonly PodSeen[]> {
  const { namespace, uid, labels: all } = job.metadata;
  const key = [labels.backup, labels.restore].find((label) => all?.[label] !== undefined) ?? labels.location;
  const pods: PodSeen[] = [];
  const selection = { namespace, limit: 500, labelSelector: `${key}=${all?.[key] ?? ''}` };
  for await (const page of listPages(client, resources.pod, selection, signal)) {
    pods.push(...(page.items as readonly unknown[] as readonly PodSeen[]));
  }
  return pods.filter((pod) => isControlledBy(pod, uid));
}
