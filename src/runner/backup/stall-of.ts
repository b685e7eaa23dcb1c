import type { Workshop } from '../workshop.ts';
import type { Destination } from './destination.ts';

const bestEffortMilliseconds = 60_000;

/** The slowest sets the pace: a place that is best-effort does not stop the others for as long as one that is required. */
export function stallOf(
  { required }: Pick<Destination, 'required'>,
  { stallMilliseconds }: Pick<Workshop, 'stallMilliseconds'>,
): number {
  return required ? stallMilliseconds : Math.min(stallMilliseconds, bestEffortMilliseconds);
}
