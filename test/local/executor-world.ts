import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { KubeClient, KubeObject } from '../../src/kube/client.ts';
import { createMemoryClient } from '../../src/apiserver/memory-client.ts';
import { startExecutor, type Executor } from '../../src/local/executor.ts';
import { jobType, podType, secretType, type Job, type JobSpec, type Pod } from '../../src/local/workload-types.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import { silentLog } from '../../src/support/log.ts';

export const never = new AbortController().signal;

/** An embedded client with an executor whose "image" is /bin/sh -c. */
export interface ExecutorWorld {
  readonly client: KubeClient;
  readonly folder: string;
  readonly executor: Executor;
  runJob(script: string, spec?: Partial<JobSpec>, pod?: Readonly<Record<string, unknown>>): Promise<Job>;
  job(name?: string): Promise<Job | undefined>;
  pods(): Promise<readonly Pod[]>;
  log(pod: Pod | undefined, options?: { tailLines?: number; limitBytes?: number }): Promise<string>;
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function openExecutorWorld(
  options: { backoffBaseMs?: number; graceMs?: number } = {},
): Promise<ExecutorWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'pgbackup-executor-'));
  const ending = new AbortController();
  const client: KubeClient = createMemoryClient({
    clock: systemClock,
    random: systemRandom,
    types: [
      { type: jobType, statusSubresource: true },
      { type: podType, statusSubresource: true },
      { type: secretType },
    ],
    readLog: async (...args) => executor.readLog(...args),
  });
  const executor = startExecutor(
    {
      client,
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      folder: join(folder, 'pods'),
      command: ['/bin/sh', '-c'],
      env: { PATH: '/usr/bin:/bin', LANG: 'C.UTF-8' },
      graceMs: options.graceMs ?? 5_000,
      jobs: { backoffBaseMs: options.backoffBaseMs ?? 1 },
    },
    ending.signal,
  );
  const stop = async (): Promise<void> => {
    ending.abort();
    await executor.done;
  };
  return {
    client,
    folder: join(folder, 'pods'),
    executor,
    runJob: async (script, spec = {}, pod = {}) => {
      const job = {
        apiVersion: 'batch/v1',
        kind: 'Job',
        metadata: { name: 'job', namespace: 'default' },
        spec: {
          backoffLimit: 2,
          ...spec,
          template: {
            metadata: { annotations: { 'pgbackup.dev/task': '{"task":1}' }, labels: { app: 'x' } },
            spec: {
              restartPolicy: 'Never',
              containers: [{ name: 'runner', args: [script], ...container(pod) }],
              ...pod,
            },
          },
        },
      } satisfies KubeObject;
      return (await client.create(jobType, job, never)) as Job;
    },
    job: async (name = 'job') => (await client.get(jobType, 'default', name, never)) as Job | undefined,
    pods: async () => (await client.list(podType, {}, never)).items as readonly Pod[],
    log: async (pod, reading = {}) =>
      pod === undefined
        ? ''
        : client.readLog('default', pod.metadata.name ?? '', { container: 'runner', ...reading }, never),
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const container = (pod: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> => {
  const { volumeMounts } = pod;
  return volumeMounts === undefined ? {} : { volumeMounts };
};

/** Looks again and again until there is an answer; fails when it takes too long. */
export async function until<T>(what: string, look: () => Promise<T | undefined | false>, seconds = 120): Promise<T> {
  const giveUp = performance.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > giveUp) throw new Error(`never happened: ${what}`);
    await delay(10);
  }
}

export const conditionOf = (job: Job | undefined, type: string) =>
  job?.status?.conditions?.find((condition) => condition.type === type);
