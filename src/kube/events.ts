import { createHash } from 'node:crypto';
import type { Clock, Random } from '../support/clock.ts';
import { cutToBytes } from '../support/cut-to-bytes.ts';
import { backOffMs } from './back-off.ts';
import { isKubeError, type KubeClient, type KubeError, type KubeObject, type ResourceType } from './client.ts';

export const eventType: ResourceType = { group: '', version: 'v1', kind: 'Event', plural: 'events', namespaced: true };

export interface EventRecorderOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly random: Random;
  /** Who says it, e.g. `pgbackup-operator`. */
  readonly component: string;
  /** Which instance of it, e.g. the name of the pod. */
  readonly instance: string;
  /** Events of one object at once. Default 25. */
  readonly burst?: number;
  /** After that, one more each so many milliseconds. Default 5 min. */
  readonly refillMs?: number;
  /** An event that was given up: the server refused it, did not answer several times, or there were too many. */
  readonly onDrop?: (event: RecordedEvent, error: unknown) => void;
}

export interface RecordedEvent {
  /** What it is about: an object as it was read. */
  readonly object: KubeObject;
  readonly type: 'Normal' | 'Warning';
  /** CamelCase word. */
  readonly reason: string;
  /** A sentence without secrets; what is over 1024 bytes is cut. */
  readonly message: string;
}

export interface EventRecorder {
  /** Sends soon, in order. Never throws and never waits. The same again only counts up what is there. */
  record(event: RecordedEvent): void;
  /** Resolves when nothing is left to send; rejects with the signal's reason. Record nothing afterwards. */
  drain(signal: AbortSignal): Promise<void>;
}

interface Pending {
  readonly event: RecordedEvent;
  /** How often it happened since it was last sent. */
  count: number;
  readonly firstMs: number;
  lastMs: number;
}

interface Bucket {
  tokens: number;
  filledMs: number;
}

/** A thousand runs that begin at once tell two each. */
const mostPending = 4000;
const mostBuckets = 4000;
const attempts = 4;
const maxMessageBytes = 1024;

/** Tells the cluster what happened, as core/v1 Events (`kubectl describe` shows them); needs get, create and update of events. */
export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  const { client, clock, random, burst = 25, refillMs = 5 * 60_000 } = options;
  const pending = new Map<string, Pending>();
  const buckets = new Map<string, Bucket>();
  const stopped = new AbortController();
  let sending: Promise<void> | undefined;

  const drop = (event: RecordedEvent, error: unknown): void => {
    try {
      options.onDrop?.(event, error);
    } catch {
      // Recording must never fail its caller; a reporter that throws has nobody left to tell.
    }
  };

  const takeToken = (uid: string): boolean => {
    const now = clock.monotonicMs();
    const bucket = buckets.get(uid) ?? { tokens: burst, filledMs: now };
    const refilled = Math.floor((now - bucket.filledMs) / refillMs);
    bucket.tokens = Math.min(burst, bucket.tokens + refilled);
    bucket.filledMs += refilled * refillMs;
    // Newest last, so that the first is the one to forget.
    buckets.delete(uid);
    buckets.set(uid, bucket);
    const [oldest] = buckets.keys();
    if (buckets.size > mostBuckets && oldest !== undefined) buckets.delete(oldest);
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  };

  const send = async (): Promise<void> => {
    for (;;) {
      const [next] = pending;
      if (!next) return;
      const [name, entry] = next;
      pending.delete(name);
      try {
        await deliver(name, entry);
      } catch (error) {
        drop(entry.event, error);
      }
    }
  };

  const start = (): void => {
    sending ??= send().finally(() => {
      sending = undefined;
      // Recorded after the last look and before this moment.
      if (pending.size > 0) start();
    });
  };

  const deliver = async (name: string, entry: Pending): Promise<void> => {
    for (let failures = 1; ; failures += 1) {
      try {
        return await write(name, entry);
      } catch (error) {
        const transient = isKubeError(error) && transientCodes.has(error.code);
        if (!transient || failures === attempts) throw error;
        const asked = (error.retryAfterSeconds ?? 0) * 1000;
        const waitMs = Math.max(
          Math.min(asked, 30_000),
          backOffMs({ firstMs: 500, longestMs: 10_000 }, failures, random),
        );
        await clock.sleep(waitMs, stopped.signal);
      }
    }
  };

  /** Creates the event of this name, which most are, or counts it up. */
  const write = async (name: string, entry: Pending): Promise<void> => {
    const { signal } = stopped;
    const fresh = buildEvent(name, entry, options);
    const { namespace } = fresh.metadata;
    let taken: KubeError;
    try {
      await client.create(eventType, fresh, signal);
      return;
    } catch (error) {
      if (!isKubeError(error, 'AlreadyExists')) throw error;
      taken = error;
    }
    const known = await client.get(eventType, namespace, name, signal);
    if (!known) throw taken;
    const count = Number(known['count'] ?? 1) + entry.count;
    await client.put(eventType, { ...known, count, lastTimestamp: stamp(entry.lastMs) }, signal);
  };

  return {
    record: (event) => {
      try {
        const name = nameOfEvent(event);
        const now = clock.nowMs();
        const known = pending.get(name);
        if (known) {
          known.count += 1;
          known.lastMs = now;
          return;
        }
        if (!takeToken(event.object.metadata.uid ?? name))
          return drop(event, new Error('too many events of this object'));
        if (pending.size >= mostPending) return drop(event, new Error('too many events are waiting to be sent'));
        pending.set(name, { event, count: 1, firstMs: now, lastMs: now });
        start();
      } catch (error) {
        drop(event, error);
      }
    },
    drain: async (signal) => {
      const aborted = Promise.withResolvers<never>();
      const stop = (): void => {
        stopped.abort(signal.reason);
        aborted.reject(signal.reason as Error);
      };
      if (signal.aborted) stop();
      signal.addEventListener('abort', stop, { once: true });
      try {
        for (;;) {
          if (!sending) return;
          await Promise.race([sending, aborted.promise]);
        }
      } finally {
        signal.removeEventListener('abort', stop);
        aborted.promise.catch(() => undefined);
      }
    },
  };
}

/** A conflict or a create of what exists by now: looked at again, it is counted up. */
const transientCodes: ReadonlySet<string> = new Set([
  'Conflict',
  'AlreadyExists',
  'NotFound',
  'TooManyRequests',
  'ServerError',
  'Unreachable',
]);

const stamp = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

/** The same for the same object, reason and message, also after a restart: repeats find each other without memory. */
function nameOfEvent({ object, type, reason, message }: RecordedEvent): string {
  const { uid, name = '' } = object.metadata;
  const hash = createHash('sha256')
    .update(JSON.stringify([uid, type, reason, message]))
    .digest('hex');
  return `${name.slice(0, 200).replace(/[^a-z0-9]+$/, '')}.${hash.slice(0, 16)}`;
}

function buildEvent(
  name: string,
  { event, count, firstMs, lastMs }: Pending,
  options: EventRecorderOptions,
): KubeObject {
  const { object, type, reason, message } = event;
  const { namespace, uid, resourceVersion } = object.metadata;
  const involved = {
    apiVersion: object.apiVersion,
    kind: object.kind,
    name: object.metadata.name,
    namespace,
    uid,
    resourceVersion,
  };
  return {
    apiVersion: 'v1',
    kind: 'Event',
    // Events of cluster-wide objects are kept in the namespace default.
    metadata: { name, namespace: namespace ?? 'default' },
    involvedObject: involved,
    type,
    reason,
    message: cutToBytes(message, maxMessageBytes),
    source: { component: options.component },
    reportingComponent: options.component,
    reportingInstance: options.instance,
    count,
    firstTimestamp: stamp(firstMs),
    lastTimestamp: stamp(lastMs),
  };
}
