import type { Workshop } from '../workshop.ts';
import type { Destination } from './destination.ts';

const bestEffortMilliseconds = 60_000;
/**
 * Longer than what works pauses for. Only of places that take bytes in small requests: S3 takes parts of 8 MiB, several at once, and on a
 * slow line nothing more until one of them is there.
 */
const holdMilliseconds = 20_000;

/** How long a place may take nothing. */
export interface StallLimits {
  readonly stallMs: number;
  /** While required places wait for one that is best-effort. */
  readonly holdMs?: number;
}

/** The slowest sets the pace: a place that is best-effort does not stop the others for as long as one that is required. */
export function stallOf(
  { required, kind }: Pick<Destination, 'required' | 'kind'>,
  { stallMilliseconds }: Pick<Workshop, 'stallMilliseconds'>,
): StallLimits {
  if (required) return { stallMs: stallMilliseconds };
  const stallMs = Math.min(stallMilliseconds, bestEffortMilliseconds);
  return { stallMs, holdMs: kind === 's3' ? stallMs : Math.min(stallMs, holdMilliseconds) };
}
