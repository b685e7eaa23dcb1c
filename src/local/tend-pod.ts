import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { KubeClient } from '../kube/client.ts';
import type { Clock } from '../support/clock.ts';
import type { Log } from '../support/log.ts';
import { emptyPodFolder, findUnsupported, podFiles, preparePodFolder } from './pod-folder.ts';
import { startPodProcess, type PodProcess, type ProcessEnd } from './pod-process.ts';
import { endedStatus, runningStatus, waitingStatus, writePodStatus } from './pod-status.ts';
import { readPodLog } from './read-pod-log.ts';
import { killStrays } from './stray-processes.ts';
import { kubeTime, secretType, type Container, type ContainerTerminated, type Pod } from './workload-types.ts';

const messageMaxBytes = 4096;
const fallbackLines = 80;
const fallbackBytes = 2048;
const graceDefaultSeconds = 30;

export interface TendPodOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Log;
  /** What an image's entrypoint would be; the container's args follow. A container's own command replaces it. */
  readonly command: readonly string[];
  /** Environment of every process besides its own folders. No secrets. */
  readonly env: Readonly<Record<string, string>>;
  /** Time between SIGTERM and SIGKILL; the pod's own terminationGracePeriodSeconds if absent. */
  readonly graceMs?: number | undefined;
}

/**
 * One pod's life as a process: folder, Secrets, start, end, each told in its status. `end` asks it to stop; `quit` ends the writing of
 * statuses too (nobody listens any more).
 */
export class TendedPod {
  readonly pod: Pod;
  readonly folder: string;
  readonly #options: TendPodOptions;
  readonly #container: Container;
  readonly #end = new AbortController();
  #process: PodProcess | undefined;
  #gone = false;
  #secretsChanged: (() => void) | undefined;
  #syncing: Promise<unknown> = Promise.resolve();

  constructor(pod: Pod, folder: string, options: TendPodOptions) {
    this.pod = pod;
    this.folder = folder;
    this.#options = options;
    this.#container = pod.spec.containers[0] ?? { name: 'none' };
  }

  /** Resolves with the exit code when the process is gone and its end is written. Never rejects for what a pod or a process does. */
  async run(quit: AbortSignal): Promise<number> {
    const { clock } = this.#options;
    const startedAt = clock.nowMs();
    const started = await this.#start(quit);
    const end = started === undefined ? undefined : await started.ended;
    const nowMs = clock.nowMs();
    const terminated = await this.#describeEnd(end, startedAt, nowMs);
    this.#gone = true;
    // Secrets go with the process; only the log stays as long as the pod.
    await this.#syncing;
    await emptyPodFolder(this.folder);
    this.#options.log.debug('process ended', { pod: this.pod.metadata.name, exitCode: terminated.exitCode });
    await this.#write((pod) => endedStatus(pod, this.#container, terminated, nowMs), quit);
    return terminated.exitCode;
  }

  /** Stops the process, if there is one; it may take as long as the grace. */
  async end(): Promise<void> {
    if (this.#end.signal.aborted) return;
    this.#end.abort();
    const { graceMs = (this.pod.spec.terminationGracePeriodSeconds ?? graceDefaultSeconds) * 1000 } = this.#options;
    await this.#process?.stop(graceMs);
  }

  kill(): void {
    this.#end.abort();
    this.#process?.kill();
    killStrays(this.folder);
  }

  /** A Secret that the pod mounts appeared, changed or vanished. */
  async syncSecrets(signal: AbortSignal): Promise<void> {
    this.#secretsChanged?.();
    if (this.#process !== undefined && !this.#gone) await this.#prepare(signal);
  }

  async #start(quit: AbortSignal): Promise<PodProcess | undefined> {
    const problem = findUnsupported(this.pod);
    if (problem !== undefined) {
      await this.#tellWaiting(problem, quit);
      await this.#wait(undefined);
      return undefined;
    }
    while (!this.#end.signal.aborted) {
      const changed = new Promise<void>((resolve) => (this.#secretsChanged = resolve));
      const { missing } = await this.#prepare(quit);
      if (this.#end.signal.aborted) break;
      if (missing === undefined) return await this.#spawn(quit);
      await this.#tellWaiting(missing, quit);
      await this.#wait(changed);
    }
    return undefined;
  }

  async #spawn(quit: AbortSignal): Promise<PodProcess> {
    const { command, args = [], env = [] } = this.#container;
    const literal = env.map(({ name, value = '' }) => [name, value] as const);
    this.#process = startPodProcess({
      argv: [...(command ?? this.#options.command), ...args],
      env: {
        ...this.#options.env,
        // What an object says itself (runner.proxy) goes before what this process was started with.
        ...Object.fromEntries(literal),
        HOME: this.folder,
        TMPDIR: join(this.folder, podFiles.temporary),
        PGBACKUP_ROOT: join(this.folder, podFiles.root),
        PGBACKUP_TERMINATION_MESSAGE: join(this.folder, podFiles.terminationMessage),
      },
      folder: this.folder,
      logFile: join(this.folder, podFiles.log),
      clock: this.#options.clock,
      onLeft: (processes) =>
        this.#options.log.warn('processes hang in the kernel and are left behind', { processes: processes.join(', ') }),
    });
    const nowMs = this.#options.clock.nowMs();
    await this.#write((pod) => runningStatus(pod, this.#container, nowMs), quit);
    return this.#process;
  }

  /** One at a time: two writers of one folder would undo each other. */
  async #prepare(signal: AbortSignal): Promise<{ readonly missing: string | undefined }> {
    const { client } = this.#options;
    const prepared = this.#syncing.then(async () =>
      preparePodFolder(this.folder, this.pod, this.#container, async (name) =>
        client.get(secretType, this.pod.metadata.namespace, name, signal),
      ),
    );
    this.#syncing = prepared.catch(() => undefined);
    try {
      return await prepared;
    } catch (error) {
      return { missing: `the pod's folder cannot be made: ${error instanceof Error ? error.message : String(error)}` };
    }
  }

  async #describeEnd(end: ProcessEnd | undefined, startedAt: number, nowMs: number): Promise<ContainerTerminated> {
    const finishedAt = kubeTime(nowMs);
    if (end === undefined) {
      return { exitCode: 137, reason: 'ContainerStatusUnknown', message: 'ended before it was started', finishedAt };
    }
    const own = await this.#readMessage(end.exitCode);
    const message = own === '' ? (end.message ?? '') : own;
    return {
      exitCode: end.exitCode,
      ...(end.signal === undefined ? {} : { signal: end.signal }),
      reason: end.reason,
      ...(message === '' ? {} : { message }),
      startedAt: kubeTime(startedAt),
      finishedAt,
    };
  }

  async #readMessage(exitCode: number): Promise<string> {
    const own = await readHead(join(this.folder, podFiles.terminationMessage), messageMaxBytes);
    if (own !== '' || exitCode === 0 || this.#container.terminationMessagePolicy !== 'FallbackToLogsOnError')
      return own;
    const tail = await readPodLog(join(this.folder, podFiles.log), { tailLines: fallbackLines });
    return Buffer.from(tail ?? '')
      .subarray(-fallbackBytes)
      .toString('utf8');
  }

  async #tellWaiting(message: string, quit: AbortSignal): Promise<void> {
    const nowMs = this.#options.clock.nowMs();
    await this.#write((pod) => waitingStatus(pod, this.#container, message, nowMs), quit);
  }

  async #wait(changed: Promise<void> | undefined): Promise<void> {
    const { signal } = this.#end;
    if (signal.aborted) return;
    const ended = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    await (changed === undefined ? ended : Promise.race([ended, changed]));
  }

  async #write(make: Parameters<typeof writePodStatus>[2], quit: AbortSignal): Promise<void> {
    await writePodStatus(this.#options, this.pod, make, quit);
  }
}

async function readHead(path: string, maxBytes: number): Promise<string> {
  const file = await open(path, 'r').catch(() => undefined);
  if (file === undefined) return '';
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(maxBytes), 0, maxBytes, 0);
    return buffer.subarray(0, bytesRead).toString('utf8');
  } finally {
    await file.close();
  }
}
