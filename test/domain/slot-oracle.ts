/**
 * The slow, obvious definition of slots, written without the code under test: walk over every minute of real time,
 * look at the clock on the wall, and apply the three rules of clock changes as they stand in the documentation.
 */
const minuteMs = 60_000;

export interface Fields {
  readonly minutes: ReadonlySet<number>;
  readonly hours: ReadonlySet<number>;
  readonly daysOfMonth?: ReadonlySet<number>;
  readonly daysOfWeek?: ReadonlySet<number>;
}

function matches(fields: Fields, wallMs: number): boolean {
  const wall = new Date(wallMs);
  if (!fields.minutes.has(wall.getUTCMinutes()) || !fields.hours.has(wall.getUTCHours())) return false;
  const { daysOfMonth, daysOfWeek } = fields;
  const byMonth = daysOfMonth?.has(wall.getUTCDate());
  const byWeek = daysOfWeek?.has(wall.getUTCDay());
  // Both restricted: either suffices, as in cron since Version 7.
  if (byMonth !== undefined && byWeek !== undefined) return byMonth || byWeek;
  return byMonth ?? byWeek ?? true;
}

/** Every change of clocks in the zone, with the offsets (ms) before and after. */
function findClockChanges(zone: string, fromMs: number, toMs: number) {
  const format = new Intl.DateTimeFormat('en-GB', { timeZone: zone, timeZoneName: 'longOffset' });
  const offset = (ms: number): number => {
    const name = format.formatToParts(ms).find((part) => part.type === 'timeZoneName')?.value ?? '';
    const match = /GMT(?:([+-])(\d\d):(\d\d))?/.exec(name);
    const [, sign, hours, minutes] = match ?? [];
    return sign === undefined ? 0 : (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * minuteMs;
  };
  const changes: { atMs: number; before: number; after: number }[] = [];
  let current = offset(fromMs);
  for (let at = fromMs; at < toMs; at += 15 * minuteMs) {
    const now = offset(at);
    if (now !== current) changes.push({ atMs: at, before: current, after: now });
    current = now;
  }
  return { initial: offset(fromMs), changes };
}

const knownChanges = new Map<string, ReturnType<typeof findClockChanges>>();

function clockChanges(zone: string, fromMs: number, toMs: number) {
  const key = `${zone} ${fromMs} ${toMs}`;
  const found = knownChanges.get(key) ?? findClockChanges(zone, fromMs, toMs);
  knownChanges.set(key, found);
  return found;
}

/** All slots in [fromMs, toMs); fromMs on a quarter of an hour. */
export function listSlots(fields: Fields, zone: string, fromMs: number, toMs: number): number[] {
  const { initial, changes } = clockChanges(zone, fromMs, toMs);
  const everyHour = fields.hours.size === 24;
  const slots: number[] = [];
  let offset = initial;
  let next = 0;
  let highestWall = -Infinity;
  for (let at = fromMs; at < toMs; at += minuteMs) {
    const change = changes[next];
    if (change?.atMs === at) {
      next += 1;
      offset = change.after;
      let inGap = false;
      for (let wall = at + change.before; wall < at + change.after; wall += minuteMs) inGap ||= matches(fields, wall);
      if (inGap && !matches(fields, at + offset)) slots.push(at);
    }
    const wall = at + offset;
    const firstPass = wall > highestWall;
    if (firstPass) highestWall = wall;
    if (matches(fields, wall) && (firstPass || everyHour)) slots.push(at);
  }
  return slots;
}
