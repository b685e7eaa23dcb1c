import { annotations, type Backup } from '../../api/kinds.ts';
import { parseManifestKey } from '../../domain/layout.ts';
import { readStamp } from '../../domain/stamp.ts';
import type { Plan } from '../action.ts';
import { findCondition } from '../conditions.ts';
import { fail, wait, waitForReference } from './conclude.ts';
import type { BackupSeen } from './observe.ts';

/** How long a found Backup may stay without the status that comes right after its creation. */
const foundBudgetMs = 2 * 60_000;

/**
 * The inspection that finds the manifest writes the status, and the next one that does not (location/judge-imports.ts). Here is only
 * what no inspection can tell: that there will be none, or that it looks for something else.
 */
export function planImport(seen: BackupSeen, backup: Backup): Plan {
  const { nowMs, mode } = seen;
  const { metadata, status } = backup;
  const { location: name = '', key = '' } = backup.spec.import ?? {};
  const createdAt = readStamp(metadata.creationTimestamp) ?? nowMs;
  const foundBy = createdAt + foundBudgetMs;
  const isFound = metadata.annotations?.[annotations.foundUid] !== undefined;
  if (isFound && status?.conditions === undefined && nowMs < foundBy) return { actions: [], wakeAt: foundBy };

  const wanted = parseManifestKey(key);
  if (wanted?.namespace !== metadata.namespace || wanted.backup !== metadata.name) {
    const right = `${metadata.namespace}/(policy)/${metadata.name}/manifest.json`;
    return fail(seen, backup, 'SpecInvalid', `import.key is ${key}; a Backup of this name stands for ${right} only`);
  }
  const { object: location, fault } = seen.locations.get(name) ?? {};
  if (location === undefined) {
    return waitForReference(seen, backup, 'LocationMissing', `there is no BackupLocation ${name}`);
  }
  if (fault !== undefined) {
    return waitForReference(seen, backup, 'SpecInvalid', `BackupLocation ${name} cannot be read: ${fault}`);
  }
  const endsAt = createdAt + mode.referenceBudgetMs + location.spec.inspectionIntervalSeconds * 1000;
  if (nowMs >= endsAt) {
    const available = findCondition(location.status?.conditions, 'Available');
    const why = available === undefined ? '' : `; Available ${available.status}: ${available.message}`;
    return fail(seen, backup, 'BackupMissing', `no inspection of ${name} has read ${key}${why}`);
  }
  const message = `waits until an inspection of ${name} has read its manifest (${annotations.probeRequestedAt} on ${name} asks for one)`;
  return wait(seen, backup, 'Imported', message, endsAt);
}
