import { nextTurn } from '../support/clock.ts';

/** Some milliseconds of work at most. */
const sliceOf = 50;

/** Does it for each of many, and lets others in between: timers, answers, probes. */
export async function inSlices<T>(items: readonly T[], work: (item: T) => void): Promise<void> {
  for (const [index, item] of items.entries()) {
    if (index > 0 && index % sliceOf === 0) await nextTurn();
    work(item);
  }
}
