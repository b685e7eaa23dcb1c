import type { Clock, Random } from '../support/clock.ts';
import type { KubeClient } from './client.ts';
import { createLeaseClaims, type Validity } from './lease-claims.ts';

export interface LeaseOptions {
  readonly client: Pick<KubeClient, 'get' | 'create' | 'put'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly namespace: string;
  readonly name: string;
  /** Who we are, for people; a random part follows, so that two processes of the same name are still two. */
  readonly identity: string;
  /** Others take the lease when they have seen it unchanged for this long; whole seconds. Default 15 s. */
  readonly durationMs?: number;
  /** Who could not renew for this long leads no more. Default 10 s; what is left until durationMs is for writes under way. */
  readonly renewDeadlineMs?: number;
  /** Between two requests, a fifth more or less. Default 2 s. */
  readonly retryMs?: number;
  /** Told whenever we begin or cease to lead, and whenever the lease is seen in other hands. */
  readonly onChange?: (state: LeaseState) => void;
  /** Every failure; all are tried again. `failures`: requests in a row. */
  readonly onError?: (error: unknown, failures: number) => void;
}

export interface LeaseState {
  readonly leads: boolean;
  /** Whom the lease named when it was last seen; undefined: nobody. */
  readonly holder: string | undefined;
  /** Why we lead no more. */
  readonly lost?: string;
}

/** One candidate for a lease: of all processes that contend for it, at most one leads. */
export interface Lease {
  /** As it stands in the lease. */
  readonly identity: string;
  /**
   * True only while nobody else can lead. It goes by time alone: a process that was frozen hears the truth with its first question,
   * before any timer fires, and whatever it was doing as the leader is aborted then.
   */
  isLeader(): boolean;
  /**
   * Contends until the signal aborts, and does the work whenever it leads: with a signal that aborts when leadership is lost (then it
   * contends again, once the work has ended) or when `signal` does. Waits for the work, then hands the lease back, so that
   * another need not wait for it to expire. Ends also when the work ends by itself, and rejects only with an error of work
   * that was not told to stop. Call it once.
   */
  whenLeading(work: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void>;
}

interface Term {
  readonly lost: AbortController;
  until: Validity;
}

/**
 * Leader election over a coordination.k8s.io/v1 Lease, as client-go does it and understands it. Why at most one leads: a claim counts
 * from before it was sent, others count from after they saw it, and every write names the version that was seen. So whoever
 * takes the lease has waited durationMs since the last claim reached the server, and its holder stopped renewDeadlineMs after
 * having sent it. Clocks may show any time, as long as they run about as fast. It does not hold when somebody deletes the Lease of a
 * living leader: a process that has never seen it takes the new one at once.
 * @throws RangeError when the times do not fit each other
 */
export function createLease(options: LeaseOptions): Lease {
  const { clock, random, onChange, onError } = options;
  const { durationMs = 15_000, renewDeadlineMs = 10_000, retryMs = 2000 } = options;
  if (!(durationMs > renewDeadlineMs && renewDeadlineMs > 2 * retryMs && retryMs > 0)) {
    throw new RangeError('a lease must last longer than its renew deadline, and that longer than two retries');
  }
  const identity = `${options.identity}_${Buffer.from(random.bytes(8)).toString('hex')}`;
  const claims = createLeaseClaims({ ...options, identity, durationMs, renewDeadlineMs });
  let term: Term | undefined;
  let failures = 0;
  let told = '';

  const guard = (call: () => void): void => {
    try {
      call();
    } catch {
      // A reporter that throws has nobody left to tell, and must not decide who leads.
    }
  };

  const tell = (lost?: string): void => {
    const holder = claims.holder();
    const leads = term !== undefined && !term.lost.signal.aborted;
    if (told === `${leads} ${holder}`) return;
    told = `${leads} ${holder}`;
    guard(() => onChange?.({ leads, holder, ...(lost === undefined ? {} : { lost }) }));
  };

  const fail = (error: unknown): void => {
    failures += 1;
    guard(() => onError?.(error, failures));
  };

  // The monotonic clock of a machine that sleeps stands still; then the wall clock shows how long it was.
  const leftMs = ({ monotonicMs, wallMs }: Validity): number =>
    Math.min(monotonicMs - clock.monotonicMs(), wallMs - clock.nowMs());

  const lose = (why: string): void => {
    if (term === undefined || term.lost.signal.aborted) return;
    term.lost.abort(new Error(why));
    tell(why);
  };

  const isLeader = (): boolean => {
    if (term === undefined || term.lost.signal.aborted) return false;
    if (leftMs(term.until) > 0) return true;
    lose(`the lease was not renewed for ${renewDeadlineMs / 1000} s`);
    return false;
  };

  const retryWaitMs = (): number => retryMs * (0.8 + 0.4 * random.fraction());

  /** Rejects only with the signal's reason. */
  const acquire = async (signal: AbortSignal): Promise<Term> => {
    for (;;) {
      let waitMs = retryWaitMs();
      try {
        const until = await claims.attempt(isLeader, signal);
        failures = 0;
        if (until !== undefined && leftMs(until) > 0) return { lost: new AbortController(), until };
        tell();
        const heldMs = claims.heldForMs();
        if (heldMs > 0) waitMs = Math.min(waitMs, Math.max(heldMs, 10));
      } catch (error) {
        signal.throwIfAborted();
        fail(error);
      }
      await clock.sleep(waitMs, signal);
    }
  };

  /** Renews until the signal aborts or the lease is lost. Never rejects. */
  const keep = async (current: Term, signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      try {
        await clock.sleep(retryWaitMs(), signal);
        const until = await claims.attempt(isLeader, signal);
        failures = 0;
        // Asked before it is extended: what has ended in between does not begin again.
        if (!isLeader()) return;
        if (until === undefined) return lose(`${claims.holder() ?? 'nobody'} holds the lease`);
        current.until = until;
      } catch (error) {
        if (!signal.aborted) fail(error);
      }
    }
  };

  /** Ends the term in time, whatever requests may hang. Never rejects. */
  const watchTime = async (current: Term, signal: AbortSignal): Promise<void> => {
    try {
      while (isLeader()) await clock.sleep(Math.max(1, leftMs(current.until)), signal);
    } catch {
      // The signal: the term has ended otherwise.
    }
  };

  /** Does the work for one term; true when it ended without having been told to. */
  const serve = async (
    current: Term,
    work: (signal: AbortSignal) => Promise<void>,
    outer: AbortSignal,
  ): Promise<boolean> => {
    const ended = new AbortController();
    const termSignal = AbortSignal.any([ended.signal, current.lost.signal]);
    // Renewed also while work that was told to stop winds up: it may still have to write.
    const keeping = [keep(current, termSignal), watchTime(current, termSignal)];
    const signal = AbortSignal.any([outer, current.lost.signal]);
    try {
      await work(signal);
      return !signal.aborted;
    } catch (error) {
      if (!signal.aborted) throw error;
      if (error !== signal.reason) guard(() => onError?.(error, failures));
      return false;
    } finally {
      ended.abort();
      await Promise.all(keeping);
    }
  };

  return {
    identity,
    isLeader,
    whenLeading: async (work, signal) => {
      try {
        let isDone = false;
        while (!isDone && !signal.aborted) {
          const current = await acquire(signal).catch((error: unknown) => {
            if (signal.aborted) return undefined;
            throw error;
          });
          if (current === undefined) break;
          term = current;
          tell();
          isDone = await serve(current, work, signal);
          term = undefined;
        }
      } finally {
        term = undefined;
        await claims.release(fail);
        tell();
      }
    },
  };
}
