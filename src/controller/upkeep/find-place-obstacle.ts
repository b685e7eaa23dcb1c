import type { accessModes } from '../../api/probe.ts';
import { findCondition } from '../conditions.ts';
import { findLocationProblem } from '../destinations.ts';
import type { ControllerMode } from '../mode.ts';
import type { PlaceSeen } from './observe-places.ts';

export interface Obstacle {
  readonly reason: string;
  readonly message: string;
}

/** Why nothing may be done at a place now: it is not there, lets nobody do it, is away, or nobody knows yet what it holds. */
export function findPlaceObstacle(
  { claimRequired }: Pick<ControllerMode, 'claimRequired'>,
  { location, found }: Pick<PlaceSeen<unknown, unknown>, 'location' | 'found'>,
  allowed: { readonly modes: readonly (typeof accessModes)[number][]; readonly else: string; readonly waits: string },
): Obstacle | undefined {
  const problem = findLocationProblem(location, found, claimRequired);
  if (problem !== undefined || found === undefined) {
    return problem ?? { reason: 'LocationMissing', message: `there is no BackupLocation ${location}` };
  }
  const { spec, status } = found.object;
  if (!allowed.modes.includes(spec.accessMode)) {
    return { reason: allowed.else, message: `BackupLocation ${location} has accessMode ${spec.accessMode}` };
  }
  const available = findCondition(status?.conditions, 'Available');
  if (available?.status === 'False') {
    return { reason: available.reason, message: `${location} is not available: ${available.message}`.slice(0, 1024) };
  }
  if (status?.backups !== undefined) return undefined;
  return { reason: allowed.waits, message: `waits until ${location} has been inspected to its end` };
}
