/** A slot says of when the data is, unless the run was not near it: then some clock was wrong, and its beginning does. */
const slotNearMs = 8 * 86_400_000;

/** Of when a backup's data is, in milliseconds since the epoch; undefined when neither is known. */
export function backupTime(slotMs: number | undefined, startedMs: number | undefined): number | undefined {
  const isNear = slotMs !== undefined && startedMs !== undefined && Math.abs(startedMs - slotMs) <= slotNearMs;
  return (isNear ? slotMs : startedMs) ?? slotMs;
}
