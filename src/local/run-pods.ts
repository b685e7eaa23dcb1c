import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isKubeError, KubeError, type KubeObject, type LogOptions } from '../kube/client.ts';
import { createInformer } from '../kube/informer.ts';
import type { Random } from '../support/clock.ts';
import { keepFailedLog } from './keep-failed-log.ts';
import { mountsSecret, podFiles, podFolderName } from './pod-folder.ts';
import { endedStatus, writePodStatus } from './pod-status.ts';
import { readPodLog } from './read-pod-log.ts';
import { endStrays } from './stray-processes.ts';
import { TendedPod, type TendPodOptions } from './tend-pod.ts';
import { isTerminalPod, kubeTime, podType, secretType, type Pod } from './workload-types.ts';

export interface RunPodsOptions extends TendPodOptions {
  readonly random: Random;
  /** One folder per pod is made below it. Only one executor at a time may use it. */
  readonly folder: string;
  /** The logs of processes that failed are kept below it, the latest of them. */
  readonly failedLogs?: string;
  /** Only pods that are bound to this node; without it all. */
  readonly nodeName?: string | undefined;
  /**
   * Takes a pod that was deleted and has ended out of the API (a kubelet deletes it with a grace of 0). Without it the object goes by
   * itself when its last finalizer does, as on the embedded client.
   */
  readonly removePod?: (pod: Pod, signal: AbortSignal) => Promise<void>;
}

const strayGraceMs = 10_000;

/** Runs pods as child processes: what a kubelet does, with processes for containers. */
export class PodRunner {
  readonly #options: RunPodsOptions;
  readonly #tended = new Map<string, TendedPod>();
  readonly #work = new Set<Promise<void>>();
  #fault: Error | undefined;

  constructor(options: RunPodsOptions) {
    this.#options = options;
  }

  /**
   * Until the signal aborts; then ends all processes it started, waits for them, and removes their folders. First it ends what an
   * operator that was killed left behind.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { folder, clock } = this.#options;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    for (const left of await readdir(folder)) {
      const stuck = await endStrays(join(folder, left), strayGraceMs, clock);
      if (stuck.length > 0) this.#options.log.warn('processes hang in the kernel', { processes: stuck.join(', ') });
      await rm(join(folder, left), { recursive: true, force: true });
    }

    const broken = new AbortController();
    const either = AbortSignal.any([signal, broken.signal]);
    const track = (work: Promise<void>): void => {
      const tracked = work
        .catch((error: unknown) => {
          if (isKubeError(error)) {
            if (!either.aborted) this.#options.log.warn('pod could not be settled', { error: error.message });
            return;
          }
          this.#fault ??= error instanceof Error ? error : new Error(String(error));
          broken.abort();
        })
        .finally(() => this.#work.delete(tracked));
      this.#work.add(tracked);
    };
    const { client, random, log } = this.#options;
    const onError = (error: unknown): void => {
      if (!either.aborted) log.warn('pods could not be read', { error: String(error) });
    };
    const common = { client, clock, random, onError };
    const pods = createInformer({
      ...common,
      type: podType,
      onChange: ({ object, previous }) => {
        if (previous !== undefined && previous.metadata.uid !== object?.metadata.uid)
          track(this.#onGone(previous as Pod));
        if (object !== undefined) track(this.#onPod(object as Pod));
      },
    });
    const secrets = createInformer({
      ...common,
      type: secretType,
      onChange: ({ object, previous }) => track(this.#onSecret(object ?? previous, either)),
    });
    try {
      await Promise.all([pods.run(either), secrets.run(either)]);
    } finally {
      await Promise.all([...this.#tended.values()].map(async (tended) => tended.end()));
      while (this.#work.size > 0) await Promise.all(this.#work);
      for (const left of await readdir(folder)) await rm(join(folder, left), { recursive: true, force: true });
    }
    if (this.#fault !== undefined) throw this.#fault;
  }

  /** Kills everything at once, without waiting: for somebody who cannot wait. */
  kill(): void {
    for (const tended of this.#tended.values()) tended.kill();
  }

  /** The log of a pod, as KubeClient.readLog gives it: empty before it starts, NotFound when the pod is not known here. */
  async readLog(namespace: string, name: string, options: LogOptions, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted();
    const pod = (await this.#options.client.get(podType, namespace, name, signal)) as Pod | undefined;
    if (pod === undefined) throw new KubeError('NotFound', `pods "${name}" not found`, { status: 404 });
    if (!pod.spec.containers.some((container) => container.name === options.container)) {
      const message = `container ${options.container} is not valid for pod ${name}`;
      throw new KubeError('BadRequest', message, { status: 400 });
    }
    return (await readPodLog(join(this.#folderOf(pod), podFiles.log), options)) ?? '';
  }

  async #onGone(pod: Pod): Promise<void> {
    const tended = this.#tended.get(pod.metadata.uid ?? '');
    await tended?.end();
    if (tended === undefined || isTerminalPod(pod)) await this.#removeFolder(pod);
  }

  async #onPod(pod: Pod): Promise<void> {
    const { nodeName } = this.#options;
    const tended = this.#tended.get(pod.metadata.uid ?? '');
    if (nodeName !== undefined && pod.spec.nodeName !== nodeName) return;
    if (tended === undefined && !isTerminalPod(pod)) {
      if (pod.status?.phase === 'Running') await this.#markLost(pod);
      else await this.#tend(pod);
      return;
    }
    if (pod.metadata.deletionTimestamp === undefined) return;
    if (isTerminalPod(pod)) await this.#options.removePod?.(pod, neverAborted);
    else await tended?.end();
  }

  async #tend(pod: Pod): Promise<void> {
    const tended = new TendedPod(pod, this.#folderOf(pod), this.#options);
    const uid = pod.metadata.uid ?? '';
    this.#tended.set(uid, tended);
    const life = tended.run(neverAborted);
    if (pod.metadata.deletionTimestamp !== undefined) await tended.end();
    const exitCode = await life;
    const { failedLogs } = this.#options;
    if (exitCode !== 0 && failedLogs !== undefined) {
      await keepFailedLog(join(tended.folder, podFiles.log), failedLogs, pod.metadata.name ?? uid);
    }
    this.#tended.delete(uid);
    // The object went before its process did.
    const now = await this.#find(pod);
    if (now === undefined) await this.#removeFolder(pod);
  }

  /** A pod that runs, but not here: this executor was killed and started again. */
  async #markLost(pod: Pod): Promise<void> {
    const [container] = pod.spec.containers;
    if (container === undefined) return;
    const nowMs = this.#options.clock.nowMs();
    const message = 'the process was lost with the program that ran it';
    const terminated = { exitCode: 137, reason: 'ContainerStatusUnknown', message, finishedAt: kubeTime(nowMs) };
    await writePodStatus(this.#options, pod, (now) => endedStatus(now, container, terminated, nowMs), neverAborted);
  }

  async #onSecret(secret: KubeObject | undefined, signal: AbortSignal): Promise<void> {
    const { namespace, name = '' } = secret?.metadata ?? {};
    const mounting = [...this.#tended.values()].filter(
      ({ pod }) => pod.metadata.namespace === namespace && mountsSecret(pod, name),
    );
    await Promise.all(mounting.map(async (tended) => tended.syncSecrets(signal)));
  }

  async #find(pod: Pod): Promise<Pod | undefined> {
    try {
      const now = await this.#options.client.get(
        podType,
        pod.metadata.namespace,
        pod.metadata.name ?? '',
        neverAborted,
      );
      return now?.metadata.uid === pod.metadata.uid ? (now as Pod | undefined) : undefined;
    } catch (error) {
      // Not known now; the folder goes with the pod's own event, or at the end.
      if (isKubeError(error)) return pod;
      throw error;
    }
  }

  async #removeFolder(pod: Pod): Promise<void> {
    await rm(this.#folderOf(pod), { recursive: true, force: true });
  }

  #folderOf({ metadata: { namespace = '', name = '', uid = '' } }: Pod): string {
    return join(this.#options.folder, podFolderName(namespace, name, uid));
  }
}

const neverAborted = new AbortController().signal;
