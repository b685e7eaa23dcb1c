import type { Clock } from '../../support/clock.ts';
import { readBackupEntry } from './read-backup-entry.ts';
import { parseKey, printKey } from '../world/keys.ts';
import type { ControllerMode } from '../mode.ts';
import { readRestoreEntry } from './read-restore-entry.ts';
import type { World } from '../world/world.ts';
import { Admission } from './admission.ts';
import type { QueueEntry } from './entry.ts';

/** Of all runs that have not ended. To be told of every change from now on. */
export function openAdmission(
  { world, clock }: { readonly world: World; readonly clock: Clock },
  mode: ControllerMode,
  onTurn: (key: string) => void,
): Admission {
  const read = (key: string): QueueEntry | undefined => {
    const { kind, namespace, name } = parseKey(key);
    const entry =
      kind === 'backup'
        ? readBackupEntry(world, mode, namespace, name)
        : readRestoreEntry(world, mode, clock.nowMs(), namespace, name);
    return entry && { ...entry, key };
  };
  const admission = new Admission({ limits: mode.limits, read, nowMs: () => clock.nowMs(), onTurn });
  for (const { object } of world.unfinishedBackups()) {
    admission.touch(printKey('backup', object.metadata.namespace, object.metadata.name));
  }
  for (const { object } of world.unfinishedRestores()) {
    admission.touch(printKey('restoreRequest', object.metadata.namespace, object.metadata.name));
  }
  return admission;
}
