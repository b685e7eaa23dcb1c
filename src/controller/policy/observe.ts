import type { Backup, BackupLocation, BackupPolicy } from '../../api/kinds.ts';
import { hasRemains } from '../backup/nothing-left.ts';
import { findStuckAt } from '../run/stuck.ts';
import type { ControllerMode } from '../mode.ts';
import type { Read } from '../world/read-object.ts';
import type { World } from '../world/world.ts';

/** All that the plan of a policy looks at. */
export interface PolicySeen {
  readonly nowMs: number;
  readonly policy: Read<BackupPolicy>;
  /** Those of its namespace, by name. */
  readonly locations: ReadonlyMap<string, Read<BackupLocation>>;
  /** All that name it, found ones included. */
  readonly backups: readonly Backup[];
  /** Whatever Backup has that name in the namespace. */
  readonly backupNamed: (name: string) => Backup | undefined;
  /** When a run counts as stuck (backup/stuck.ts), if something keeps it from starting; may lie ahead. */
  readonly stuckAt: (backup: Backup) => number | undefined;
  /** Whether the object of a Backup that ended is needed: it has a Job, or volumes that are to be cleared up. */
  readonly isNeeded: (backup: Backup) => boolean;
  readonly mode: ControllerMode;
}

/** Undefined when there is no such policy (any more). */
export function observePolicy(
  world: World,
  mode: ControllerMode,
  nowMs: number,
  namespace: string,
  name: string,
): PolicySeen | undefined {
  const policy = world.policy(namespace, name);
  if (policy === undefined) return undefined;
  const locations = world.locationsIn(namespace);
  return {
    nowMs,
    policy,
    locations,
    backups: world.backupsOfPolicy(namespace, name).map(({ object }) => object),
    backupNamed: (backup) => world.backup(namespace, backup)?.object,
    stuckAt: (backup) => findStuckAt(world, backup),
    isNeeded: (backup) => world.jobsOwnedBy(backup.metadata.uid).length > 0 || hasRemains(backup, locations),
    mode,
  };
}
