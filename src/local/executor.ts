import type { KubeClient } from '../kube/client.ts';
import { runJobs } from './run-jobs.ts';
import { PodRunner, type RunPodsOptions } from './run-pods.ts';

export interface ExecutorOptions extends RunPodsOptions {
  /** Makes Pods of Jobs too (the embedded client); absent where Kubernetes' own Job controller does. */
  readonly jobs?: { readonly backoffBaseMs: number };
}

export interface Executor {
  /** Resolves after the abort, when every process it started is gone; rejects on a bug, when they are gone too. */
  readonly done: Promise<void>;
  /** Kills every process it started, without waiting. */
  kill(): void;
  /** Logs of the pods it runs. */
  readonly readLog: KubeClient['readLog'];
}

/** Runs Jobs and Pods of a client as child processes of this one, until the signal aborts. The only executor there is. */
export function startExecutor(options: ExecutorOptions, signal: AbortSignal): Executor {
  const pods = new PodRunner(options);
  const { jobs, client, clock, random, log } = options;
  // Jobs stop first: while processes are ended no new pod may come.
  const makingPods = jobs === undefined ? Promise.resolve() : runJobs({ client, clock, random, log, ...jobs }, signal);
  return {
    done: Promise.all([makingPods, pods.run(signal)]).then(() => undefined),
    kill: () => pods.kill(),
    readLog: async (namespace, pod, reading, reader) => pods.readLog(namespace, pod, reading, reader),
  };
}
