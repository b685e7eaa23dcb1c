import type { Clock } from './clock.ts';

interface Remembered<T> {
  readonly value: T;
  /** Monotonic. */
  readonly atMs: number;
}

/**
 * Values by key that are each forgotten some time after they were set, also those that nobody asks for again: every call forgets all
 * that is due. It holds what was set within `forMs` before the last call, and no more.
 */
export class ShortMemory<T> {
  /** The longest known first. */
  readonly #entries = new Map<string, Remembered<T>>();
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #forMs: number;

  constructor(clock: Pick<Clock, 'monotonicMs'>, forMs: number) {
    this.#clock = clock;
    this.#forMs = forMs;
  }

  get size(): number {
    this.#forgetDue();
    return this.#entries.size;
  }

  get(key: string): T | undefined {
    this.#forgetDue();
    return this.#entries.get(key)?.value;
  }

  set(key: string, value: T): void {
    this.#forgetDue();
    this.#entries.delete(key);
    this.#entries.set(key, { value, atMs: this.#clock.monotonicMs() });
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  /** The longest known first. */
  values(): readonly T[] {
    this.#forgetDue();
    return [...this.#entries.values()].map(({ value }) => value);
  }

  #forgetDue(): void {
    const now = this.#clock.monotonicMs();
    for (const [key, { atMs }] of this.#entries) {
      if (now - atMs < this.#forMs) return;
      this.#entries.delete(key);
    }
  }
}
