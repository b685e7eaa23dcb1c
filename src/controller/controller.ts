import { isKubeError, type KubeClient, type KubeObject } from '../kube/client.ts';
import { createEventRecorder } from '../kube/events.ts';
import { guardWrites } from '../kube/guard-writes.ts';
import { createInformer, type Informer } from '../kube/informer.ts';
import type { ObjectChange } from '../kube/object-cache.ts';
import { createQueue, type Queue, type QueueState } from '../kube/queue.ts';
import type { Clock, Random } from '../support/clock.ts';
import type { Log } from '../support/log.ts';
import type { Admission } from './admission/admission.ts';
import { openAdmission } from './admission/open-admission.ts';
import { applyActions } from './apply.ts';
import { countRequests, type RequestSeen } from './metrics/count-requests.ts';
import {
  admissionKey,
  isRunKey,
  keyKinds,
  keysOf,
  ownKey,
  parseKey,
  printKey,
  type KeyKind,
  isLookedAt,
  watchedAs,
} from './world/keys.ts';
import { logEvents } from './log-events.ts';
import { lookAt } from './look-at.ts';
import type { ControllerMode } from './mode.ts';
import { managedBy, resources } from './resources.ts';
import { readBackup, readLocation, readPolicy, readRestorePolicy, readRestoreRequest } from './world/read-object.ts';
import { openRunnerLogs } from './run/runner-logs.ts';
import { keepJob, keepPod } from './run/pods.ts';
import { openTroubles } from './troubles.ts';
import { followWatches, type Watches } from './world/watches.ts';
import { World } from './world/world.ts';
import { watchedKinds, worldIndexes, type WatchedKind } from './world/world-indexes.ts';

export interface ControllerOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Undefined: all namespaces. */
  readonly namespace?: string | undefined;
  readonly mode: ControllerMode;
  /** Which controller it is, for events: the name of its pod. */
  readonly instance: string;
  /** Keys that are looked at at the same time. Default 8. */
  readonly workers?: number;
  /** Told of each look and of each request to the API server, for metrics. */
  readonly onLook?: (look: {
    readonly kind: KeyKind | typeof admissionKey;
    readonly seconds: number;
    /** Of them until it was known what is to be done. */
    readonly decidingSeconds: number;
    readonly error: boolean;
  }) => void;
  readonly onRequest?: (request: RequestSeen) => void;
  /** Asked right before each write: false once another controller may lead. Default: always true, there is no other. */
  readonly mayWrite?: () => boolean;
}

export interface Controller {
  /** Keeps the caches warm until the signal aborts. Call it once; standbys do only this. */
  watch(signal: AbortSignal): Promise<void>;
  /**
   * Decides and writes until the signal aborts, then ends what it does and sends the last events. Only whoever leads calls it; who
   * leads again calls it again, after it has resolved.
   */
  work(signal: AbortSignal): Promise<void>;
  /** How the caches fare. */
  readonly watches: Omit<Watches, 'run'>;
  /** It works, and may write: it leads, or is alone. */
  leads(): boolean;
  readonly world: World;
  queue(): QueueState;
  /** How much it remembers beside its caches: of each object a little, and nothing of those that are gone. */
  remembers(): Readonly<Record<'keys' | 'runs' | 'world' | 'logs' | 'troubles', number>>;
}

/** Runners' pods and Jobs are large, and of ours there may be a hundred thousand. */
const kept: Readonly<Record<WatchedKind, (object: KubeObject) => KubeObject>> = {
  policy: readPolicy.keep,
  backup: readBackup.keep,
  location: readLocation.keep,
  restoreRequest: readRestoreRequest.keep,
  restorePolicy: readRestorePolicy.keep,
  job: keepJob,
  pod: keepPod,
};
const idle: QueueState = { depth: 0, oldestMs: 0, running: 0, longestRunMs: 0, delayed: 0, retries: 0 };
/** How long the last events may take to be sent. */
const drainMs = 5000;

/** Watch, queue keys, and for each key: observe, plan, apply. It remembers nothing that it could not see again. */
export function createController(options: ControllerOptions): Controller {
  const { clock, random, log, namespace, mode, instance, workers = 8, onLook } = options;
  const { mayWrite = () => true, onRequest } = options;
  const asked = onRequest === undefined ? options.client : countRequests(options.client, onRequest);
  // Whoever is deposed writes nothing more, whatever list of writes it was in the middle of.
  const client = guardWrites(asked, mayWrite);
  /** While it works. */
  let queue: Queue | undefined;
  let admission: Admission | undefined;

  const informers = Object.fromEntries(
    watchedKinds.map((kind) => [kind, openInformer(kind)] as const),
  ) as unknown as Readonly<Record<WatchedKind, Informer>>;
  const world = new World(informers, clock);
  const watches = followWatches(informers, clock);
  const sources = {
    world,
    client,
    clock,
    logs: openRunnerLogs({ client, clock, log }),
    troubles: openTroubles({ client, clock, log }),
  };

  function openInformer(kind: WatchedKind): Informer {
    const isOurs = kind !== 'job' && kind !== 'pod';
    return createInformer({
      client,
      type: resources[kind],
      namespace,
      keep: kept[kind],
      ...(isOurs ? {} : { labelSelector: `${managedBy.key}=${managedBy.value}` }),
      clock,
      random,
      indexes: worldIndexes[kind],
      onChange: (change) => {
        world.caughtUp(kind, change);
        if (change.object === undefined) forget(kind, change);
        tell(keysOf(kind, change, world), ownKey(kind, change));
      },
      onError: (error) => log.warn('a watch failed', { kind, error: textOf(error) }),
    });
  }

  /** What is remembered of an object goes with it. */
  const forget = (kind: WatchedKind, { namespace = '', name, previous }: ObjectChange): void => {
    const { uid = '' } = previous?.metadata ?? {};
    if (kind !== 'pod' && kind !== 'job') return queue?.forget(printKey(kind, namespace, name));
    sources.logs.forget(uid);
    sources.troubles.forget(uid);
  };

  const tell = (keys: readonly string[], changed: string | undefined): void => {
    for (const key of [...keys, changed ?? '']) if (isRunKey(key)) admission?.touch(key);
    for (const key of keys) queue?.add(key);
    settleSoon();
  };

  /** Free places are given away by one look for all. */
  const settleSoon = (): void => {
    if (admission?.isDue() === true) queue?.add(admissionKey);
  };

  const work = async (signal: AbortSignal): Promise<void> => {
    try {
      await watches.whenSynced(signal);
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    const recorder = createEventRecorder({
      client,
      clock,
      random,
      component: managedBy.value,
      instance,
      onDrop: (event, error) => log.warn('an event was not sent', { reason: event.reason, error: textOf(error) }),
    });
    const events = logEvents(recorder, log);
    const writer = { client, events, world };

    const onError = (key: string, error: unknown): void => {
      const fields = { key, error: textOf(error), code: isKubeError(error) ? error.code : undefined };
      if (signal.aborted) return;
      if (isKubeError(error)) log.warn('a look failed and is tried again', fields);
      else log.error('a look failed and is tried again', { ...fields, stack: stackOf(error) });
      const object = objectOf(key);
      // What the server refuses is not only in our log: whoever looks at the object must see it.
      if (object === undefined || !isKubeError(error) || !refusals.has(error.code)) return;
      events.record({
        object,
        type: 'Warning',
        reason: 'PodRefused',
        message: `the API server refuses: ${error.message}`,
      });
    };

    const opened = createQueue({
      clock,
      random,
      workers,
      onError,
      work: async (key, signal, giveWay) => {
        const startedAt = clock.monotonicMs();
        const kind = key === admissionKey ? key : parseKey(key).kind;
        let decidedAt: number | undefined;
        const report = (error: boolean): void => {
          const endedAt = clock.monotonicMs();
          const [seconds, decidingSeconds] = [endedAt, decidedAt ?? endedAt].map((at) => (at - startedAt) / 1000) as [
            number,
            number,
          ];
          onLook?.({ kind, seconds, decidingSeconds, error });
        };
        try {
          const plan = key === admissionKey ? turns.settle() : await lookAt({ ...sources, turns }, mode, key, signal);
          decidedAt = clock.monotonicMs();
          const applied =
            plan === undefined ? 'done' : await applyActions({ ...writer, giveWay }, plan.actions, signal);
          // Gone, perhaps during this very look.
          if (key !== admissionKey && objectOf(key) === undefined) opened.forget(key);
          else if (applied === 'again') opened.addRateLimited(key);
          else if (plan?.wakeAt !== undefined) opened.addAfter(key, plan.wakeAt - clock.nowMs());
        } catch (error) {
          report(true);
          throw error;
        } finally {
          if (isRunKey(key)) turns.release(key);
          settleSoon();
        }
        report(false);
      },
    });
    const turns = openAdmission(sources, mode, (key) => opened.add(key));
    admission = turns;
    queue = opened;
    for (const key of [admissionKey, ...allKeys()]) opened.add(key);
    log.info('controller works', { namespace: namespace ?? 'all' });
    try {
      await opened.run(signal);
    } finally {
      queue = undefined;
      admission = undefined;
      await drain(events);
      log.info('controller has stopped');
    }
  };

  const drain = async (events: { drain(signal: AbortSignal): Promise<void> }): Promise<void> => {
    const limit = new AbortController();
    const done = new AbortController();
    const timer = clock.sleep(drainMs, done.signal).then(
      () => limit.abort(new Error('events took too long')),
      () => undefined,
    );
    try {
      await events.drain(limit.signal);
    } catch (error) {
      log.warn('the last events were not sent', { error: textOf(error) });
    }
    done.abort();
    await timer;
  };

  const objectOf = (key: string): KubeObject | undefined => {
    if (key === admissionKey) return undefined;
    const { kind, namespace, name } = parseKey(key);
    return informers[watchedAs(kind)].get(namespace, name);
  };

  const allKeys = (): readonly string[] =>
    keyKinds.flatMap((kind) =>
      informers[watchedAs(kind)]
        .list()
        .filter((raw) => isLookedAt(kind, raw))
        .map(({ metadata }) => printKey(kind, metadata.namespace ?? '', metadata.name ?? '')),
    );

  return {
    watch: async (signal) => watches.run(signal),
    work,
    watches,
    leads: () => queue !== undefined && mayWrite(),
    world,
    queue: () => queue?.state() ?? idle,
    remembers: () => {
      const { delayed = 0, depth = 0 } = queue?.state() ?? {};
      return {
        keys: delayed + depth,
        runs: admission?.size() ?? 0,
        world: world.size(),
        logs: sources.logs.size(),
        troubles: sources.troubles.size(),
      };
    },
  };
}

const refusals: ReadonlySet<string> = new Set(['Forbidden', 'Invalid', 'BadRequest']);

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? error.stack : undefined;
}
