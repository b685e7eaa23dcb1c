import type { Failure } from '../../api/failure.ts';
import type { Workshop } from '../workshop.ts';
import type { Destination } from './destination.ts';

/** A place that fails is given up for the whole run; the others go on. */
export function dropOut(destination: Destination, failure: Failure, workshop: Pick<Workshop, 'log'>): void {
  destination.failed(failure);
  workshop.log.error('destination failed and gets nothing more', {
    location: destination.location,
    required: destination.required,
    reason: failure.reason,
    error: failure.message,
  });
}
