import { shortHash } from './attempt.ts';

/** Names of children are made from their parents' names: the same run always gets the same name, and that is the lock. */

/** `20260101t030000z`: a time as it stands in names; sorts as text. */
export function compactTime(timeMs: number): string {
  return new Date(timeMs)
    .toISOString()
    .replace(/\.\d+Z$/, 'z')
    .replaceAll(/[-:]/g, '')
    .toLowerCase();
}

/** The Backup for a slot of a policy: at most 40 + 1 + 16 = 57 characters. */
export function backupName(policy: string, slotMs: number): string {
  return `${policy}-${compactTime(slotMs)}`;
}

/** The Job of a Backup: at most 4 + 57 = 61 characters. */
export function backupJobName(backup: string): string {
  return `pgb-${backup}`;
}

/** The Job that inspects one page of a location's catalogue: at most 5 + 40 + 1 + 17 = 63 characters. */
export function inspectJobName(location: string, inspection: string): string {
  return `pgbl-${location}-${inspection}`;
}

/** The RestoreRequest for a slot of a RestorePolicy; `retry` counts from 1. At most 40 + 1 + 16 = 57 characters. */
export function restoreRequestName(policy: string, slotMs: number, retry = 0): string {
  const time = compactTime(slotMs);
  // Slots are whole minutes: the place of the seconds tells the retry.
  return `${policy}-${retry === 0 ? time : `${time.slice(0, -3)}r${retry}`}`;
}

/** What the name of a RestorePolicy's request says, or undefined when it is none of restoreRequestName. */
export function parseRestoreRequestName(
  policy: string,
  name: string,
): { readonly slotMs: number; readonly retry: number } | undefined {
  if (!name.startsWith(`${policy}-`)) return undefined;
  const parts = /^(\d{4})(\d\d)(\d\d)t(\d\d)(\d\d)(?:00z|r([1-9]\d*))$/.exec(name.slice(policy.length + 1));
  if (parts === null) return undefined;
  const [, year, month, day, hour, minute, retry = '0'] = parts;
  const slotMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:00Z`);
  return Number.isNaN(slotMs) ? undefined : { slotMs, retry: Number(retry) };
}

/** The Job of a RestoreRequest: at most 5 + 57 = 62 characters. */
export function restoreJobName(request: string): string {
  return `pgrr-${request}`;
}

/** The Job that clears up after it: at most 5 + 57 = 62 characters. */
export function cleanupJobName(request: string): string {
  return `pgrc-${request}`;
}

/** The Job that removes what a policy does not keep at a location: at most 5 + 40 + 1 + 8 + 1 + 8 = 63 characters. */
export function pruneJobName(policy: string, location: string, prune: string): string {
  return `pgbr-${policy}-${shortHash(location)}-${prune}`;
}

/** The Job that removes the data of a Backup from its destination at that index (0 to 7): at most 5 + 57 = 62 characters. */
export function deletionJobName(backup: string, index: number): string {
  return `pgd${index}-${backup}`;
}

/** The Job that copies to a location what it lacks of a policy: at most 63 characters, as pruneJobName. */
export function copyJobName(policy: string, location: string, copy: string): string {
  return `pgbc-${policy}-${shortHash(location)}-${copy}`;
}
