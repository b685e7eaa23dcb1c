import { toFailure } from '../../../api/failure.ts';
import { aborted } from '../../../pipeline/aborted.ts';
import { idleProgress } from '../../progress.ts';
import type { Workshop } from '../../workshop.ts';

/** One budget of patience with a store. */
export interface StoreWait {
  /** Does `work`, again while the store cannot be reached and time is left. */
  try<T>(work: () => Promise<T>): Promise<T>;
  isOver(): boolean;
}

const pauseMs = 5_000;

/** Waits for a store that is not there yet: a server that starts later, a network that is not up. Tells so every five seconds. */
export function waitForStore(budgetMs: number, workshop: Workshop): StoreWait {
  const { clock, signal } = workshop;
  const endMs = clock.monotonicMs() + budgetMs;
  const isOver = (): boolean => clock.monotonicMs() >= endMs;
  return {
    isOver,
    async try(work) {
      for (;;) {
        try {
          return await work();
        } catch (error) {
          if (signal.aborted) throw aborted(signal);
          const failure = toFailure(error);
          const isTransient = failure.reason.startsWith('Storage') && failure.consequence === 'retry';
          if (!isTransient || isOver()) throw failure;
          tellWaiting(workshop, failure.message);
        }
        try {
          await clock.sleep(Math.min(pauseMs, Math.max(0, endMs - clock.monotonicMs())), signal);
        } catch (error) {
          throw signal.aborted ? aborted(signal) : error;
        }
      }
    },
  };
}

export function tellWaiting({ lines }: Workshop, detail: string): void {
  lines.progress({ ...idleProgress, waiting: 'WaitingForStorage', detail });
}
