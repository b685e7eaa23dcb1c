import type { z } from 'zod';
import { maxDatabases } from '../api/backup-policy.ts';
import { formatBytes } from '../domain/format.ts';
import { backupStatus, isCopy, type BackupStatus } from '../api/backup.ts';

/**
 * A status that the API server accepts, whatever a runner or a manifest said: a member that does not fit the schema is absent.
 * Refused as a whole, the status would be tried for ever and the run would never end.
 */
export function fitStatus(status: BackupStatus): BackupStatus {
  const { databases, ...rest } = status;
  const fitted = databases && {
    stored: databases.stored.filter(fitsName).slice(0, maxDatabases),
    failed: databases.failed.filter(({ name }) => fitsName(name)).slice(0, maxDatabases),
  };
  const copies = describeCopies(rest.destinations);
  return fitMembers(backupStatus.shape, {
    ...rest,
    databases: fitted,
    copies,
    plainSize: describeSize(rest.plainBytes),
    storedSize: describeSize(rest.storedBytes),
  });
}

/** The members that fit their schema. */
export function fitMembers<T extends object>(shape: { readonly [Member in keyof T]-?: z.ZodType }, status: T): T {
  const members = Object.entries(status).filter(([member, value]) => {
    return value !== undefined && shape[member as keyof T].safeParse(value).success;
  });
  return Object.fromEntries(members) as T;
}

function describeCopies(destinations: BackupStatus['destinations']): string | undefined {
  if (destinations === undefined) return undefined;
  const wanted = destinations.filter(({ outcome }) => outcome !== 'Removed');
  return `${destinations.filter(isCopy).length}/${wanted.length}`;
}

/** For a column; undefined for what is not known. */
export const describeSize = (size: number | undefined): string | undefined =>
  size === undefined ? undefined : formatBytes(size);

const fitsName = (name: string): boolean => name.length > 0 && name.length <= 63;
