import { findProgress, findResults, type ProgressLine, type ResultLine } from '../../domain/report.ts';
import { isKubeError, type KubeClient } from '../../kube/client.ts';
import type { Clock } from '../../support/clock.ts';
import type { Log } from '../../support/log.ts';
import { ShortMemory } from '../../support/short-memory.ts';
import { runnerContainer, type PodSeen } from './pods.ts';

/** Hears runners by their logs. What cannot be read is undefined, never an exception: a log is never needed for a verdict. */
export interface RunnerLogs {
  /** The last progress of a running pod; asked for at most every ten seconds, whatever happens in between. */
  progress(pod: PodSeen, signal: AbortSignal): Promise<ProgressLine | undefined>;
  /** The `result` lines of a pod that has ended, or undefined when they are not as many as were announced. */
  results(pod: PodSeen, announced: number, signal: AbortSignal): Promise<readonly ResultLine[] | undefined>;
  /** The pod is gone. */
  forget(podUid: string): void;
  /** Of how many pods something is remembered. */
  size(): number;
}

const progressEveryMs = 10_000;
/** Details of an ended pod are asked for more often, but not with every event. */
const resultsEveryMs = 4000;
/** A running pod is looked at more often than that; the results of an ended one, which may be large, are used at once. */
const progressForMs = 10 * 60_000;
const resultsForMs = 60_000;
/** Lines after the results: a summary, what the process says when it ends. */
const linesAfterResults = 100;
const resultsMaxBytes = 64 * 1024 * 1024;

interface Heard<T> {
  readonly atMs: number;
  readonly value: T | undefined;
}

export function openRunnerLogs(options: {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Log;
}): RunnerLogs {
  const { client, clock, log } = options;
  const progressOf = new ShortMemory<Heard<ProgressLine>>(clock, progressForMs);
  const resultsOf = new ShortMemory<Heard<readonly ResultLine[]>>(clock, resultsForMs);

  const hear = async <T>(
    heard: ShortMemory<Heard<T>>,
    pod: PodSeen,
    everyMs: number,
    limits: { readonly tailLines: number; readonly limitBytes: number },
    read: (text: string) => T | undefined,
    signal: AbortSignal,
  ): Promise<T | undefined> => {
    const { uid, name, namespace } = pod.metadata;
    const now = clock.monotonicMs();
    const before = heard.get(uid);
    if (before !== undefined && now - before.atMs < everyMs) return before.value;
    // Noted first: a second look in the meantime does not ask again.
    heard.set(uid, { atMs: now, value: before?.value });
    try {
      const text = await client.readLog(namespace, name, { container: runnerContainer, ...limits }, signal);
      const value = read(text) ?? before?.value;
      heard.set(uid, { atMs: now, value });
      return value;
    } catch (error) {
      signal.throwIfAborted();
      if (!isKubeError(error)) throw error;
      log.debug('log of a runner cannot be read', { namespace, pod: name, error: error.message });
      return before?.value;
    }
  };

  return {
    progress: (pod, signal) =>
      hear(progressOf, pod, progressEveryMs, { tailLines: 20, limitBytes: 256 * 1024 }, findProgress, signal),
    results: async (pod, announced, signal) => {
      if (announced === 0) return [];
      const limits = { tailLines: announced + linesAfterResults, limitBytes: resultsMaxBytes };
      return hear(resultsOf, pod, resultsEveryMs, limits, (text) => findResults(text, announced), signal);
    },
    forget: (podUid) => {
      progressOf.delete(podUid);
      resultsOf.delete(podUid);
    },
    size: () => progressOf.size + resultsOf.size,
  };
}
