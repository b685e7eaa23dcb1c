/** Wall-clock arithmetic of IANA time zones. A *wall* time is written as if it were UTC milliseconds. */
export interface TimeZone {
  /** Wall minus UTC at an instant, in milliseconds. */
  offsetMs(instantMs: number): number;
  /**
   * The instants at which clocks in the zone show a wall time, in order: one as a rule, two where clocks were set back.
   * Where they were set forward past it: the instant at which the gap ended.
   */
  instants(wallMs: number): readonly number[];
  /** True when clocks are changed within 26 hours of the instant (no offset reaches further than 14 hours). */
  changesNear(instantMs: number): boolean;
}

const hourMs = 3_600_000;
const windowMs = 26 * hourMs;

/** @throws RangeError when there is no such zone. */
export function openTimeZone(name: string): TimeZone {
  // Offsets such as +01:00 are accepted by Intl, but know no clock changes; CronJob refuses them too.
  if (/^[+-]/.test(name)) throw new RangeError(`${name} is not a name of the time zone database`);
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: name,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });

  const offsetMs = (instantMs: number): number => {
    const part: Record<string, number> = {};
    for (const { type, value } of format.formatToParts(instantMs)) part[type] = Number(value);
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part;
    return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(instantMs / 1000) * 1000;
  };

  const instants = (wallMs: number): readonly number[] => {
    const before = offsetMs(wallMs - windowMs);
    const after = offsetMs(wallMs + windowMs);
    if (before === after) return [wallMs - before];
    const shown = [wallMs - before, wallMs - after].filter((instant) => instant + offsetMs(instant) === wallMs);
    if (shown.length > 0) return [...new Set(shown)].sort((a, b) => a - b);
    return [findChange(wallMs - after, wallMs - before, after)];
  };

  /** The first instant in (low, high] that has this offset; clocks change on whole seconds. */
  const findChange = (low: number, high: number, offset: number): number => {
    let [from, to] = [low, high];
    while (to - from > 1000) {
      const middle = Math.floor((from + to) / 2000) * 1000;
      if (offsetMs(middle) === offset) to = middle;
      else from = middle;
    }
    return to;
  };

  const changesNear = (instantMs: number): boolean =>
    offsetMs(instantMs - windowMs) !== offsetMs(instantMs + windowMs) ||
    offsetMs(instantMs - windowMs) !== offsetMs(instantMs);

  return { offsetMs, instants, changesNear };
}
