import type { Clock } from '../support/clock.ts';
import { KubeError, isKubeError, type KubeClient, type KubeObject } from './client.ts';
import { startDeadline } from './deadline.ts';
import { leaseType, microTime, readLeaseRecord, writeLeaseRecord, type LeaseRecord } from './lease-record.ts';

export interface LeaseClaimsOptions {
  readonly client: Pick<KubeClient, 'get' | 'create' | 'put'>;
  readonly clock: Clock;
  readonly namespace: string;
  readonly name: string;
  /** No other process may have the same. */
  readonly identity: string;
  readonly durationMs: number;
  readonly renewDeadlineMs: number;
}

/** Until when somebody who asked at some moment leads, by both of our clocks. */
export interface Validity {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

/** What one candidate sees of a lease and writes there; who leads is not decided here. */
export interface LeaseClaims {
  /**
   * Takes or renews the lease; undefined when others may hold it. `isLeader`: whether our last claim is still good at this moment.
   * Rejects with KubeError, or with the signal's reason.
   */
  attempt(isLeader: () => boolean, signal: AbortSignal): Promise<Validity | undefined>;
  /** Hands the lease back if we hold it, or may. Never rejects: without this it expires. */
  release(onError: (error: unknown) => void): Promise<void>;
  /** Whom the lease named when it was last seen; undefined: nobody. */
  holder(): string | undefined;
  /** How long others must be waited for, by what was last seen; 0 or less: no longer. */
  heldForMs(): number;
}

interface Observed {
  /** Undefined: there is none. */
  readonly object: KubeObject | undefined;
  readonly record: LeaseRecord | undefined;
  readonly print: string;
  /** When we first saw it like this (monotonic). */
  readonly sinceMs: number;
  /** The very first thing we saw. */
  readonly isFirst: boolean;
}

const raceTries = 3;

export function createLeaseClaims(options: LeaseClaimsOptions): LeaseClaims {
  const { client, clock, namespace, name, identity, durationMs, renewDeadlineMs } = options;
  let observed: Observed | undefined;
  /** A request that names us may have reached the server. */
  let hasClaimed = false;
  let writes = 0;

  /** Called after an answer: time starts when the change was certainly there. */
  const observe = (object: KubeObject | undefined): Observed => {
    const record = object && readLeaseRecord(object);
    const print = JSON.stringify([object?.metadata.uid, record]);
    const known = observed?.print === print ? observed : undefined;
    const { sinceMs, isFirst } = known ?? { sinceMs: clock.monotonicMs(), isFirst: observed === undefined };
    const now = { object, record, print, sinceMs, isFirst };
    observed = now;
    return now;
  };

  const look = async (signal: AbortSignal): Promise<Observed> =>
    observe(await client.get(leaseType, namespace, name, signal));

  const heldForMs = ({ record, sinceMs, isFirst }: Observed): number => {
    // A Lease that vanished may have a holder that has not noticed.
    const isFree = record === undefined ? isFirst : record.holder === '' || record.holder === identity;
    return isFree ? 0 : sinceMs + (record?.durationMs ?? durationMs) - clock.monotonicMs();
  };

  const stamp = (): string => microTime(clock.nowMs(), (writes += 1));

  /** Writes our name over what was seen. It counts from before the request: nobody sees it earlier. */
  const claim = async ({ object, record }: Observed, signal: AbortSignal): Promise<Validity> => {
    const until = { monotonicMs: clock.monotonicMs() + renewDeadlineMs, wallMs: clock.nowMs() + renewDeadlineMs };
    const now = stamp();
    const isOurs = record?.holder === identity;
    const next = writeLeaseRecord(object ?? { namespace, name }, {
      holder: identity,
      durationMs,
      acquireTime: isOurs ? record.acquireTime : now,
      renewTime: now,
      transitions: (record?.transitions ?? 0) + (record === undefined || isOurs ? 0 : 1),
    });
    hasClaimed = true;
    observe(
      await (object === undefined ? client.create(leaseType, next, signal) : client.put(leaseType, next, signal)),
    );
    return until;
  };

  /** A request that hangs must leave time for another before the deadline. */
  const limited = async <T>(outer: AbortSignal, ask: (signal: AbortSignal) => Promise<T>): Promise<T> => {
    const limitMs = renewDeadlineMs / 2;
    const deadline = startDeadline(clock, limitMs, outer, () => {
      return new KubeError('Unreachable', `the API server did not answer within ${limitMs / 1000} s`);
    });
    try {
      return await ask(deadline.signal);
    } finally {
      deadline.clear();
    }
  };

  /** When somebody wrote in between, or an answer to us was lost: who it was is seen at once, not at the next retry. */
  const repeated = async <T>(ask: (isFirst: boolean) => Promise<T>): Promise<T> => {
    for (let tries = 1; ; tries += 1) {
      try {
        return await ask(tries === 1);
      } catch (error) {
        if (!isRace(error) || tries === raceTries) throw error;
      }
    }
  };

  /** What is ours by all we know need not be asked for. */
  const ours = (): Observed | undefined => (observed?.record?.holder === identity ? observed : undefined);

  return {
    attempt: (isLeader, outer) =>
      limited(outer, (signal) =>
        repeated(async (isFirst) => {
          const seen = (isFirst && isLeader() ? ours() : undefined) ?? (await look(signal));
          const isLostByAccident = seen.object === undefined && isLeader();
          return isLostByAccident || heldForMs(seen) <= 0 ? claim(seen, signal) : undefined;
        }),
      ),
    release: async (onError) => {
      if (!hasClaimed) return;
      try {
        await limited(new AbortController().signal, (signal) =>
          repeated(async (isFirst) => {
            const seen = (isFirst ? ours() : undefined) ?? (await look(signal));
            if (seen.object === undefined || seen.record?.holder !== identity) return;
            const now = stamp();
            const free = { ...seen.record, holder: '', durationMs: 1000, acquireTime: now, renewTime: now };
            observe(await client.put(leaseType, writeLeaseRecord(seen.object, free), signal));
          }),
        );
      } catch (error) {
        onError(error);
      }
    },
    holder: () => observed?.record?.holder || undefined,
    heldForMs: () => (observed ? heldForMs(observed) : 0),
  };
}

function isRace(error: unknown): boolean {
  return isKubeError(error, 'Conflict') || isKubeError(error, 'AlreadyExists') || isKubeError(error, 'NotFound');
}
