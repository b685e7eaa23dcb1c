/** A time as it stands in objects: RFC 3339 in UTC, whole seconds. */
export function stamp(timeMs: number): string {
  return `${new Date(timeMs).toISOString().slice(0, 19)}Z`;
}

/** Milliseconds of an RFC 3339 time; undefined when there is none or it cannot be read. */
export function readStamp(text: string | undefined): number | undefined {
  const timeMs = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(timeMs) ? undefined : timeMs;
}
