import { deleteKeys } from '../delete-keys.ts';
import type { Workshop } from '../workshop.ts';
import type { Destination } from './destination.ts';

/**
 * Deletes keys that were begun at a destination (all of them if none are named). Never throws: a place that failed may refuse
 * this too. What stays has no manifest, so it is no backup, and the log says how much it is.
 */
export async function cleanUp(
  destination: Destination,
  workshop: Pick<Workshop, 'log'>,
  signal: AbortSignal,
  keys: readonly string[] = destination.begun,
): Promise<void> {
  const { storage } = destination;
  if (storage === undefined || keys.length === 0) return;
  const failure = await deleteKeys(storage, keys, (key) => destination.settle(key), signal);
  const left = keys.filter((key) => destination.begun.includes(key));
  if (left.length === 0) {
    workshop.log.info('cleaned up', { location: destination.location, objects: keys.length });
    return;
  }
  workshop.log.warn('could not clean up: objects without a manifest are left', {
    location: destination.location,
    objects: left.length,
    firstKey: left[0],
    error: failure?.message,
  });
}
