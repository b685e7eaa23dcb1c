/** FNV-1a, as 8 hexadecimal digits. */
export function shortHash(text: string): string {
  let hash = 0x811c9dc5;
  for (const char of text) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, '0');
}

const ownerDigits = 3;

/**
 * A pod's try, as 8 hexadecimal digits: of its own uid, but for the tries of a Backup, which begin alike, so that a retry tells those of its
 * own Backup from those of another one with the same name (two clusters at one place). Undefined when the pod's uid is none.
 */
export function attemptOf(podUid: string, backupUid?: string): string | undefined {
  const digits = podUid.trim().toLowerCase().replaceAll('-', '').slice(0, 8);
  if (!/^[0-9a-f]{8}$/.test(digits)) return undefined;
  if (backupUid === undefined) return digits;
  return ownerOf(backupUid) + digits.slice(0, 8 - ownerDigits);
}

/** Whether a try is one of this Backup; of 4096 others one is taken for it. */
export function isAttemptOf(attempt: string, backupUid: string): boolean {
  return attempt.startsWith(ownerOf(backupUid));
}

function ownerOf(backupUid: string): string {
  return shortHash(backupUid).slice(-ownerDigits);
}
