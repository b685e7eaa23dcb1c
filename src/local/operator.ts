import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Backup, BackupLocation, BackupPolicy, RestorePolicy, RestoreRequest } from '../api/kinds.ts';
import { clusterMode, type ControllerMode } from '../controller/mode.ts';
import { createController, type Controller, type ControllerOptions } from '../controller/controller.ts';
import { resources } from '../controller/resources.ts';
import { runLeading } from '../controller/run-leading.ts';
import type { KubeClient, KubeObject, ResourceType } from '../kube/client.ts';
import { createInformer, type Informer } from '../kube/informer.ts';
import type { ObjectChange } from '../kube/object-cache.ts';
import { nextTurn, type Clock, type Random } from '../support/clock.ts';
import type { Log } from '../support/log.ts';
import { startExecutor, type Executor } from './executor.ts';
import type { LoadedObject } from './loaded-object.ts';
import { lockState, type LockOptions } from './lock-state.ts';
import { openLocalClient } from './open-client.ts';
import { recoverRestores, type Recovery } from './recover-restores.ts';
import { openRestoreRecords } from './restore-records.ts';
import { secretType } from './workload-types.ts';

export interface LocalOperatorOptions {
  /** Folder for pods; only one operator at a time uses it. */
  readonly stateDir: string;
  readonly platform: string;
  /** Starts this program; the container's arguments follow. */
  readonly command: readonly string[];
  /** Environment of the runners. No secrets. */
  readonly env: Readonly<Record<string, string>>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** For events: where this runs. */
  readonly hostName: string;
  /** How long runs wait for what they name; absent = a while, as it may still be found in a location. */
  readonly referenceBudgetMs?: number;
  /** Told of each look and request, for metrics. */
  readonly hooks?: Pick<ControllerOptions, 'onLook' | 'onRequest'>;
  readonly onWait?: LockOptions['onWait'];
}

/** The operator without Kubernetes, running. */
export interface LocalOperator {
  readonly client: KubeClient;
  readonly controller: Controller;
  backups(): readonly Backup[];
  locations(): readonly BackupLocation[];
  policies(): readonly BackupPolicy[];
  restoreRequests(): readonly RestoreRequest[];
  restorePolicies(): readonly RestorePolicy[];
  /** Restores of an operator that was killed, which are cleared up first. */
  readonly recovery: Recovery;
  /** After its end was told otherwise than by the controller, a restore is not cleared up after at the next start. */
  forgetRestore(uid: string): void;
  /** Aborts, with the error, when a part of it broke or its folder was taken over; then it stops working, and `stop` is still to be called. */
  readonly broken: AbortSignal;
  /** Ends the controller, then all runners (they get their grace), and waits for them. */
  stop(): Promise<void>;
  /** Kills all runners now. */
  kill(): void;
}

const firstInspectionGateMs = 5 * 60_000;
/** Logs of ended runners stay as long. */
const jobTtlMs = 3_600_000;
const retryBaseMs = 10_000;

const localMode: ControllerMode = {
  ...clusterMode,
  claimRequired: false,
  policiesOutliveObjects: true,
  firstInspectionGateMs,
  jobTtlMs,
  // Nothing is pulled and nothing is scheduled: a process starts at once or never.
  startBudgetMs: 60_000,
  referenceBudgetMs: 10_000,
  runner: { image: 'local' },
};

/**
 * Starts embedded client, executor and controller on these objects. @throws Failure NameTaken when another operator uses the folder, in whatever container.
 */
export async function startLocalOperator(
  objects: readonly LoadedObject[],
  options: LocalOperatorOptions,
): Promise<LocalOperator> {
  const { stateDir, clock, random, log, command, env } = options;
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  const breaking = new AbortController();
  const running: { executor?: Executor; isOurs: boolean } = { isOurs: true };
  const lock = await lockState(stateDir, {
    platform: options.platform,
    clock,
    random,
    hostName: options.hostName,
    ...(options.onWait === undefined ? {} : { onWait: options.onWait }),
    onLost: (reason) => {
      // What is in the folder, and what the same policies do, is somebody else's now.
      running.isOurs = false;
      log.error('another one has the state folder', { error: reason.message });
      running.executor?.kill();
      breaking.abort(reason);
    },
  });

  const records = openRestoreRecords(join(stateDir, 'restores'));
  const client = openLocalClient({
    clock,
    random,
    uids: new Map(
      records.left.map(({ kind, metadata }) => [`${kind} ${metadata.namespace}/${metadata.name}`, metadata.uid]),
    ),
    readLog: async (...args) => {
      if (running.executor === undefined) throw new Error('a log was read before there were any');
      return running.executor.readLog(...args);
    },
  });
  const stopping = { controller: new AbortController(), rest: new AbortController() };
  const executor = startExecutor(
    {
      client,
      clock,
      random,
      log,
      command,
      env,
      folder: join(stateDir, 'pods'),
      failedLogs: join(stateDir, 'failed'),
      jobs: { backoffBaseMs: retryBaseMs },
    },
    stopping.rest.signal,
  );
  running.executor = executor;
  const cacheOf = (type: ResourceType, onChange: (change: ObjectChange) => void = () => undefined): Informer =>
    createInformer({ client, type, clock, random, onChange });
  const seen = {
    backups: cacheOf(resources.backup),
    locations: cacheOf(resources.location),
    policies: cacheOf(resources.policy),
    restoreRequests: cacheOf(resources.restoreRequest, (change) => {
      if (running.isOurs) records.note(change);
    }),
    restorePolicies: cacheOf(resources.restorePolicy),
  };
  const caches = Promise.all(Object.values(seen).map(async (cache) => cache.run(stopping.rest.signal)));

  const controller = createController({
    client,
    clock,
    random,
    log,
    mode: { ...localMode, referenceBudgetMs: options.referenceBudgetMs ?? localMode.referenceBudgetMs },
    instance: options.hostName,
    mayWrite: () => lock.isHeld(),
    ...options.hooks,
  });
  let working: Promise<unknown> = Promise.resolve();
  const stop = async (): Promise<void> => {
    stopping.controller.abort();
    const ends = await Promise.allSettled([working]);
    // Runners are ended when nobody is left to start others.
    stopping.rest.abort();
    ends.push(...(await Promise.allSettled([executor.done, caches])));
    await lock.release();
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  };
  let recovery: Recovery;
  try {
    for (const { object } of inOrder(objects)) {
      await client.create(typeOf(object.kind), object, stopping.rest.signal);
    }
    recovery = await recoverRestores(client, records.left, objects, clock.nowMs(), stopping.rest.signal);
    for (const { object } of objects) await whenSeen(Object.values(seen), object, stopping.rest.signal);
  } catch (error) {
    await stop();
    throw error;
  }
  working = runLeading(controller, undefined, stopping.controller.signal);
  for (const part of [executor.done, working]) part.catch((error: unknown) => breaking.abort(error));
  return {
    client,
    controller,
    backups: () => seen.backups.list() as readonly unknown[] as readonly Backup[],
    locations: () => seen.locations.list() as readonly unknown[] as readonly BackupLocation[],
    policies: () => seen.policies.list() as readonly unknown[] as readonly BackupPolicy[],
    restoreRequests: () => seen.restoreRequests.list() as readonly unknown[] as readonly RestoreRequest[],
    restorePolicies: () => seen.restorePolicies.list() as readonly unknown[] as readonly RestorePolicy[],
    recovery,
    forgetRestore: (uid) => {
      if (running.isOurs) records.forget(uid);
    },
    broken: breaking.signal,
    stop,
    kill: () => executor.kill(),
  };
}

/** Whoever asks for objects is to find those that were loaded: an empty list of locations would look as if all were inspected. */
async function whenSeen(
  caches: readonly Informer[],
  { kind, metadata }: KubeObject,
  signal: AbortSignal,
): Promise<void> {
  const cache = caches.find(({ type }) => type.kind === kind);
  if (cache === undefined) return;
  while (cache.get(metadata.namespace, metadata.name ?? '') === undefined) {
    signal.throwIfAborted();
    await nextTurn();
  }
}

/** What is named comes before what names it. */
const loadOrder: readonly ResourceType[] = [
  secretType,
  resources.location,
  resources.policy,
  resources.backup,
  resources.restorePolicy,
  resources.restoreRequest,
];

function typeOf(kind: string): ResourceType {
  const type = loadOrder.find((one) => one.kind === kind);
  if (type === undefined) throw new Error(`there is no type for ${kind}`);
  return type;
}

function inOrder(objects: readonly LoadedObject[]): readonly LoadedObject[] {
  const place = ({ object }: LoadedObject): number => loadOrder.findIndex(({ kind }) => kind === object.kind);
  return objects.toSorted((a, b) => place(a) - place(b));
}
