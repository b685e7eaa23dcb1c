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
