import { KubeError, type KubeClient } from '../../src/kube/client.ts';
import type { Clock } from '../../src/support/clock.ts';
import type { ManualClock } from './manual-clock.ts';

/** What happens to one request. Times are on the way there and on the way back. */
export interface Fate {
  readonly thereMs: number;
  readonly backMs: number;
  /** `lost-request`: the server never sees it. `lost-answer`: it was done and nobody hears. */
  readonly fault?: 'lost-request' | 'lost-answer' | KubeError;
  /** An aborted request that was under way reaches the server all the same. */
  readonly arrivesThoughAborted?: boolean;
}

export interface FakeProcessOptions {
  readonly clock: ManualClock;
  readonly client: KubeClient;
  /** Asked for each request. Default: answered at once. */
  readonly fateOf?: (verb: keyof KubeClient, kind: string) => Fate;
  /** How fast its monotonic clock runs. Default 1. */
  readonly rate?: number;
}

const never = new AbortController().signal;
const atOnce: Fate = { thereMs: 0, backMs: 0 };

/**
 * A process with clocks and a network of its own. Frozen (SIGSTOP, a paused machine) nothing in it goes on, while time and the
 * server do: what it waits for arrives when it wakes.
 */
export class FakeProcess {
  readonly clock: Clock;
  readonly client: KubeClient;
  /** What its wall clock is off. */
  wallOffsetMs = 0;
  fateOf: (verb: keyof KubeClient, kind: string) => Fate;
  /** How many writes the server got from it. */
  writes = 0;
  #frozen: PromiseWithResolvers<void> | undefined;

  constructor({ clock, client, fateOf = () => atOnce, rate = 1 }: FakeProcessOptions) {
    this.fateOf = fateOf;
    this.clock = {
      nowMs: () => clock.nowMs() + this.wallOffsetMs,
      monotonicMs: () => clock.monotonicMs() * rate,
      sleep: (ms, signal) => this.#whenAwake(() => clock.sleep(ms / rate, signal)),
    };
    const wait = async (ms: number, signal: AbortSignal): Promise<void> => {
      if (ms > 0) await clock.sleep(ms, signal);
    };
    const send = async <T>(fate: Fate, perform: () => Promise<T>, signal: AbortSignal): Promise<T> => {
      signal.throwIfAborted();
      try {
        await wait(fate.thereMs, signal);
      } catch (error) {
        if (fate.arrivesThoughAborted) await perform().catch(() => undefined);
        throw error;
      }
      if (fate.fault === 'lost-request') throw new KubeError('Unreachable', 'the request was lost');
      if (fate.fault instanceof KubeError) throw fate.fault;
      const answer = await perform();
      await wait(fate.backMs, signal);
      if (fate.fault === 'lost-answer') throw new KubeError('Unreachable', 'the answer was lost');
      signal.throwIfAborted();
      return answer;
    };
    const ask = <T>(verb: keyof KubeClient, kind: string, signal: AbortSignal, perform: () => Promise<T>): Promise<T> =>
      this.#whenAwake(() => send(this.fateOf(verb, kind), perform, signal));
    const write = <T>(verb: keyof KubeClient, kind: string, signal: AbortSignal, perform: () => Promise<T>) =>
      ask(verb, kind, signal, async () => {
        this.writes += 1;
        return perform();
      });
    this.client = {
      ...client,
      get: (type, namespace, name, signal) =>
        ask('get', type.kind, signal, () => client.get(type, namespace, name, never)),
      list: (type, options, signal) => ask('list', type.kind, signal, () => client.list(type, options, never)),
      create: (type, object, signal) => write('create', type.kind, signal, () => client.create(type, object, never)),
      put: (type, object, signal) => write('put', type.kind, signal, () => client.put(type, object, never)),
      putStatus: (type, object, signal) =>
        write('putStatus', type.kind, signal, () => client.putStatus(type, object, never)),
      delete: (type, namespace, name, options, signal) =>
        write('delete', type.kind, signal, () => client.delete(type, namespace, name, options, never)),
    };
  }

  get isFrozen(): boolean {
    return this.#frozen !== undefined;
  }

  freeze(): void {
    this.#frozen ??= Promise.withResolvers<void>();
  }

  wake(): void {
    this.#frozen?.resolve();
    this.#frozen = undefined;
  }

  async #whenAwake<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } finally {
      while (this.#frozen) await this.#frozen.promise;
    }
  }
}
