import type { Backup } from '../api/kinds.ts';
import { backupEntries } from './backup/queue-entries.ts';
import type { ControllerMode } from './mode.ts';
import type { RunSources } from './observe-run.ts';
import { observeRestores, type RestoreQueue } from './restore/queue-entries.ts';

/**
 * All runs that want a place, of backups and restores: they share the limits. Of the Backups only the one that asks when there is room
 * for all, which is what a thousand at once may ask a thousand times.
 */
export function observeQueue({ world, clock }: RunSources, mode: ControllerMode, asking?: Backup): RestoreQueue {
  const nowMs = clock.nowMs();
  const { entries, busy } = observeRestores(world, mode, nowMs);
  const unfinished = world.unfinishedBackups();
  const hasRoom = unfinished.length + entries.length <= Math.min(mode.limits.runs, mode.limits.perServer);
  const uid = asking?.metadata.uid;
  const backups = hasRoom ? unfinished.filter(({ object }) => object.metadata.uid === uid) : unfinished;
  return { entries: [...backupEntries(world, mode, nowMs, backups), ...entries], busy };
}
