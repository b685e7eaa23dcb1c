import type { Backup } from '../../api/kinds.ts';
import { readStamp } from '../../domain/stamp.ts';
import { resultOf } from '../run/outcome.ts';
import type { BackupSeen } from './observe.ts';

/** concurrencyPolicy Replace: the newer scheduled run for which this one is ended. Manual Backups are nobody's to end. */
export function findReplacement(seen: BackupSeen, backup: Backup): string | undefined {
  const slot = readStamp(backup.spec.slot);
  if (!replaces(seen) || slot === undefined) return undefined;
  const newer = seen.siblings.filter(({ metadata, spec }) => {
    return (readStamp(spec.slot) ?? 0) > slot && metadata.deletionTimestamp === undefined;
  });
  return newer.toSorted((a, b) => (readStamp(b.spec.slot) ?? 0) - (readStamp(a.spec.slot) ?? 0))[0]?.metadata.name;
}

/** concurrencyPolicy Replace: an older scheduled run that has not been ended yet. */
export function findReplaced(seen: BackupSeen, backup: Backup): string | undefined {
  const slot = readStamp(backup.spec.slot);
  if (!replaces(seen) || slot === undefined) return undefined;
  const older = seen.siblings.filter(({ spec }) => (readStamp(spec.slot) ?? slot) < slot);
  return older.find((sibling) => resultOf(sibling) === undefined)?.metadata.name;
}

const replaces = ({ policy }: BackupSeen): boolean =>
  policy?.fault === undefined && policy?.object.spec.concurrencyPolicy === 'Replace';
