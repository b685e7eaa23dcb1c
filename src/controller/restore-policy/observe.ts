import type { BackupLocation, RestorePolicy, RestoreRequest } from '../../api/kinds.ts';
import { restoreJobName } from '../../domain/names.ts';
import { findStuckAt } from '../run/stuck.ts';
import type { ControllerMode } from '../mode.ts';
import type { Read } from '../world/read-object.ts';
import type { World } from '../world/world.ts';

/** All that the plan of a RestorePolicy looks at. */
export interface RestorePolicySeen {
  readonly nowMs: number;
  readonly policy: Read<RestorePolicy>;
  /** Those of its namespace, by name. */
  readonly locations: ReadonlyMap<string, Read<BackupLocation>>;
  /** All that bear its label. */
  readonly requests: readonly RestoreRequest[];
  /** Whether the namespace has a RestoreRequest of that name, whoever's. */
  readonly isTaken: (name: string) => boolean;
  /** Whether a BackupPolicy of that name exists, or has left backups. */
  readonly hasBackups: (policy: string) => boolean;
  /** When a request counts as stuck (backup/stuck.ts), if something keeps it from starting; may lie ahead. */
  readonly stuckAt: (request: RestoreRequest) => number | undefined;
  readonly mode: Pick<ControllerMode, 'claimRequired'>;
}

/** Undefined when there is no such policy (any more). */
export function observeRestorePolicy(
  world: World,
  mode: ControllerMode,
  nowMs: number,
  namespace: string,
  name: string,
): RestorePolicySeen | undefined {
  const policy = world.restorePolicy(namespace, name);
  if (policy === undefined) return undefined;
  return {
    nowMs,
    policy,
    locations: world.locationsIn(namespace),
    requests: world.restoresOfPolicy(namespace, name).map(({ object }) => object),
    isTaken: (request) => world.restoreRequest(namespace, request) !== undefined,
    hasBackups: (backupPolicy) =>
      world.policy(namespace, backupPolicy) !== undefined || world.backupsOfPolicy(namespace, backupPolicy).length > 0,
    stuckAt: (request) => findStuckAt(world, request, restoreJobName),
    mode,
  };
}
