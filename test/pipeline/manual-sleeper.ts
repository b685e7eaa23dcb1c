import { setImmediate } from 'node:timers/promises';
import type { Sleeper } from '../../src/pipeline/sleeper.ts';

/** Sleeps end only when `wake` is called, or on abort. */
export interface ManualSleeper extends Sleeper {
  /** Lets everything else go as far as it can, and wakes all that sleep then. */
  wake(): Promise<void>;
  /** What was asked for, in milliseconds. */
  readonly asked: readonly number[];
}

export function manualSleeper(): ManualSleeper {
  const asked: number[] = [];
  let sleeping: (() => void)[] = [];
  return {
    asked,
    sleep(ms, signal) {
      asked.push(ms);
      return new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
        sleeping.push(resolve);
      });
    },
    async wake() {
      await setImmediate();
      const woken = sleeping;
      sleeping = [];
      for (const resolve of woken) resolve();
    },
  };
}
