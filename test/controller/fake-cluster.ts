import { kinds, labels } from '../../src/api/kinds.ts';
import { validateObject } from '../../src/api/validate.ts';
import { createController, type Controller, type ControllerOptions } from '../../src/controller/controller.ts';
import { clusterMode, type ControllerMode } from '../../src/controller/mode.ts';
import { resources } from '../../src/controller/resources.ts';
import type { KubeClient, KubeObject, ResourceType } from '../../src/kube/client.ts';
import { leaseType } from '../../src/kube/lease-record.ts';
import { createMemoryClient, type MemoryClient } from '../../src/apiserver/memory-client.ts';
import { silentLog } from '../../src/support/log.ts';
import { ManualClock, seededRandom, settle } from '../kube/manual-clock.ts';

export const testMode: ControllerMode = { ...clusterMode, runner: { image: 'pgbackup:test' } };
const forever = new AbortController().signal;

/** An API server in memory, and a test that plays Job controller and kubelet by hand. */
export class FakeCluster {
  readonly clock: ManualClock;
  readonly random = seededRandom(7);
  readonly client: MemoryClient;
  readonly logs = new Map<string, string>();
  logsRead = 0;
  /** As if the schemas of another version were installed. */
  admitsAll = false;
  /** What happens while a log is read. */
  whileReadingLog: ((pod: string) => Promise<void>) | undefined;

  constructor(now: string) {
    this.clock = new ManualClock(Date.parse(now));
    const { location, policy, backup, restoreRequest, restorePolicy } = resources;
    const ours = [location, policy, backup, restoreRequest, restorePolicy].map((type) => {
      const kind = kinds.find((each) => each.kind === type.kind);
      if (kind === undefined) throw new Error(type.kind);
      const validate = (object: KubeObject, old: KubeObject | undefined) =>
        this.admitsAll ? { object } : validateObject(kind, object, old);
      return { type, statusSubresource: true, validate: validate as never };
    });
    this.client = createMemoryClient({
      clock: this.clock,
      random: this.random,
      types: [
        ...ours,
        { type: resources.job, statusSubresource: true },
        { type: resources.pod, statusSubresource: true },
        { type: resources.event },
        { type: leaseType },
      ],
      readLog: async (_namespace, pod) => {
        this.logsRead += 1;
        await this.whileReadingLog?.(pod);
        return this.logs.get(pod) ?? '';
      },
    });
  }

  create(object: KubeObject): Promise<KubeObject> {
    return this.client.create(typeOf(object), object, forever);
  }

  async list(type: ResourceType): Promise<readonly KubeObject[]> {
    return (await this.client.list(type, {}, forever)).items;
  }

  /** Statuses are read by tests as they are printed: `any` member may be looked at. */
  async get<T>(type: ResourceType, name: string): Promise<T> {
    const found = await this.client.get(type, 'shop', name, forever);
    if (found === undefined) throw new Error(`there is no ${type.kind} ${name}`);
    return found as unknown as T;
  }

  async names(type: ResourceType): Promise<readonly string[]> {
    return (await this.list(type)).map(({ metadata }) => metadata.name ?? '').sort();
  }

  /** Reasons of events about an object, in the order of their names. */
  async told(name: string): Promise<readonly string[]> {
    const events = await this.list(resources.event);
    return events
      .filter((event) => (event['involvedObject'] as { name?: string }).name === name)
      .map((event) => String(event['reason']))
      .sort();
  }

  async update(type: ResourceType, name: string, change: (object: KubeObject) => KubeObject): Promise<void> {
    const object = await this.get<KubeObject>(type, name);
    await this.client.put(type, change(object), forever);
  }

  /** Makes the next pod of a Job; `status` as a kubelet would report it. */
  async makePod(jobName: string, name: string, status: object): Promise<void> {
    const job = await this.get<KubeObject>(resources.job, jobName);
    const { uid = '' } = job.metadata;
    const pod = await this.client.create(
      resources.pod,
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: {
          name,
          namespace: 'shop',
          ...(job.metadata.labels && { labels: job.metadata.labels }),
          ownerReferences: [{ apiVersion: 'batch/v1', kind: 'Job', name: jobName, uid, controller: true }],
        },
      },
      forever,
    );
    await this.client.putStatus(resources.pod, { ...pod, status }, forever);
  }

  async setPodStatus(name: string, status: object): Promise<void> {
    const pod = await this.get<KubeObject>(resources.pod, name);
    await this.client.putStatus(resources.pod, { ...pod, status }, forever);
  }

  async setJobCondition(name: string, type: string, reason?: string): Promise<void> {
    const job = await this.get<KubeObject>(resources.job, name);
    const at = new Date(this.clock.nowMs()).toISOString();
    const condition = { type, status: 'True', lastTransitionTime: at, ...(reason && { reason }) };
    await this.client.putStatus(resources.job, { ...job, status: { conditions: [condition] } }, forever);
  }

  /** Runs a Job to its end: its pod says the verdict, and the Job is Complete or Failed. */
  async finishJob(jobName: string, verdict: { readonly verdict: string }, log: readonly object[] = []): Promise<void> {
    const pod = `${jobName}-pod`;
    this.logs.set(pod, log.map((line) => JSON.stringify(line)).join('\n'));
    await this.makePod(
      jobName,
      pod,
      terminated(verdict.verdict === 'Failed' ? 64 : 0, JSON.stringify(verdict), this.now()),
    );
    const good = verdict.verdict === 'Succeeded';
    await this.setJobCondition(jobName, good ? 'Complete' : 'Failed', good ? undefined : 'PodFailurePolicy');
  }

  /** Names of Jobs of a kind of task that have not finished, oldest first. */
  async openJobs(task: 'backup' | 'inspect' | 'restore' | 'cleanup' | 'prune' | 'copy'): Promise<readonly string[]> {
    return (await this.list(resources.job))
      .filter(({ metadata, status }) => {
        return (
          metadata.labels?.[labels.task] === task && (status as { conditions?: unknown })?.conditions === undefined
        );
      })
      .map(({ metadata }) => metadata.name ?? '');
  }

  now(): string {
    return new Date(this.clock.nowMs()).toISOString();
  }

  /** Lets everything go on until nothing does any more without time. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 8; turn += 1) await settle();
  }

  async advance(ms: number): Promise<void> {
    await this.clock.advance(ms);
    await this.settle();
  }
}

export function terminated(exitCode: number, message: string | undefined, finishedAt: string, reason?: string): object {
  const state = { terminated: { exitCode, finishedAt, ...(message && { message }), ...(reason && { reason }) } };
  return { phase: exitCode === 0 ? 'Succeeded' : 'Failed', containerStatuses: [{ name: 'runner', state }] };
}

export const running = { phase: 'Running', containerStatuses: [{ name: 'runner', state: { running: {} } }] };

function typeOf(object: KubeObject): ResourceType {
  const found = Object.values(resources).find(({ kind }) => kind === object.kind);
  if (found === undefined) throw new Error(`no kind ${object.kind}`);
  return found;
}

export interface Running {
  readonly controller: Controller;
  stop(): Promise<void>;
}

/** Starts a controller on a cluster, as a process would. */
export function startController(
  cluster: FakeCluster,
  options: Partial<Omit<ControllerOptions, 'client'>> & { readonly client?: KubeClient } = {},
): Running {
  const stopping = { work: new AbortController(), watch: new AbortController() };
  const controller = createController({
    client: cluster.client,
    clock: cluster.clock,
    random: cluster.random,
    log: silentLog,
    mode: testMode,
    instance: 'test',
    ...options,
  });
  const watching = controller.watch(stopping.watch.signal);
  const working = controller.work(stopping.work.signal);
  return {
    controller,
    stop: async () => {
      stopping.work.abort();
      await working;
      stopping.watch.abort();
      await watching;
    },
  };
}
