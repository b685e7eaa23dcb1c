import type { Random } from '../support/clock.ts';

export interface BackOffLimits {
  /** After the first failure, milliseconds. */
  readonly firstMs: number;
  readonly longestMs: number;
}

/** How long to wait after `failures` failures in a row (1 or more): doubling up to the longest, spread by half up and down. */
export function backOffMs({ firstMs, longestMs }: BackOffLimits, failures: number, random: Random): number {
  const plain = Math.min(longestMs, firstMs * 2 ** Math.min(failures - 1, 30));
  return Math.min(longestMs, plain * (0.5 + random.fraction()));
}
