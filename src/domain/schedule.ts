import { Cron } from 'croner';
import { Failure } from '../api/failure.ts';
import { isCronField, spellOutSteps } from './cron-fields.ts';
import { openTimeZone, type TimeZone } from './time-zone.ts';

/**
 * Slots of a cron schedule in a time zone. Better than CronJob at clock changes: a slot in the gap runs once, when the gap ends;
 * a slot in the overlap runs once, the first time; a schedule of every hour runs every real hour.
 */
export interface Schedule {
  /** Days that match, seen as UTC midnights. */
  readonly days: Cron;
  /** Minutes of a matching day, ascending, 0–1439. */
  readonly minutes: readonly number[];
  /** The hour field holds all 24 hours: in an overlap both passes run. */
  readonly everyHour: boolean;
  readonly zone: TimeZone;
}

const minuteMs = 60_000;
const dayMs = 86_400_000;

/**
 * Schedules have slots between these. Objects and clocks say anything (a stored time of the year 1 would be looked back from for ever),
 * and where the calendar ends they have none.
 */
const firstMs = Date.UTC(2000, 0, 1);
const lastMs = Date.UTC(2900, 0, 1);
/** Where slots are counted: no more than these, on no more days than these, which takes milliseconds. */
export const mostCounted = 1000;
const mostDays = 250;

const macros: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

/** Many policies share a schedule, and each look at one needs it. */
const parsed = new Map<string, Schedule>();
const parsedMax = 500;

/** @throws Failure ScheduleInvalid: not five fields or a macro, no such zone, or no time ever matches. */
export function parseSchedule(schedule: string, timeZone: string): Schedule {
  const key = `${schedule} in ${timeZone}`;
  const known = parsed.get(key) ?? readSchedule(schedule, timeZone);
  // Newest last, so that the first is the one to forget.
  parsed.delete(key);
  parsed.set(key, known);
  const [oldest] = parsed.keys();
  if (parsed.size > parsedMax && oldest !== undefined) parsed.delete(oldest);
  return known;
}

function adviseFields(schedule: string, count: number): string {
  if (schedule.trim().startsWith('@')) {
    return `there are ${Object.keys(macros).join(', ')}; instead of @every 15m write */15 * * * *`;
  }
  if (count === 6) return 'leave out the field of seconds, which is the first one';
  return 'minute, hour, day of the month, month, day of the week; such as 0 3 * * * for each day at three';
}

function readSchedule(schedule: string, timeZone: string): Schedule {
  const fields = (macros[schedule] ?? schedule).trim().split(/\s+/).map(spellOutSteps);
  const [minute, hour, dayOfMonth, month, dayOfWeek] = fields;
  if (fields.length !== 5 || minute === undefined || hour === undefined) {
    throw new Failure('ScheduleInvalid', `schedule ${JSON.stringify(schedule)} does not have five fields`, {
      hint: adviseFields(schedule, fields.length),
    });
  }
  const foreign = fields.find((field, index) => !isCronField(field, index));
  if (foreign !== undefined) {
    throw new Failure('ScheduleInvalid', `schedule ${JSON.stringify(schedule)}: ${foreign} is not a cron field`, {
      hint: 'a field has numbers, names such as JAN or MON, *, lists (1,2), ranges (1-5) and steps (*/15); there is no L, W, # or H',
    });
  }
  let days: Cron;
  let minutes: readonly number[];
  let hours: readonly number[];
  try {
    days = cron(`0 0 ${dayOfMonth} ${month} ${dayOfWeek}`);
    hours = firstDay(`0 ${hour} 1 1 *`).map((ms) => ms / (60 * minuteMs));
    minutes = firstDay(`${minute} 0 1 1 *`).map((ms) => ms / minuteMs);
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/^Cron\w*: /, '') : String(error);
    throw new Failure('ScheduleInvalid', `schedule ${JSON.stringify(schedule)}: ${why}`, { cause: error });
  }
  if (days.nextRun(new Date(Date.UTC(2000, 0, 1))) === null) {
    throw new Failure('ScheduleInvalid', `schedule ${JSON.stringify(schedule)} never comes: no such day`);
  }
  return {
    days,
    minutes: hours.flatMap((each) => minutes.map((one) => each * 60 + one)),
    everyHour: hours.length === 24,
    zone: zoneOf(timeZone),
  };
}

function cron(pattern: string): Cron {
  return new Cron(pattern, { timezone: 'UTC', mode: '5-part', paused: true });
}

/** Milliseconds into 1 January of what a pattern matches there. */
function firstDay(pattern: string): readonly number[] {
  const start = Date.UTC(2024, 0, 1);
  const found: number[] = [];
  const times = cron(pattern);
  for (let at = times.nextRun(new Date(start - 1000)); at !== null && at.getTime() < start + dayMs;) {
    found.push(at.getTime() - start);
    at = times.nextRun(at);
  }
  return found;
}

function zoneOf(name: string): TimeZone {
  try {
    return openTimeZone(name);
  } catch (error) {
    throw new Failure('ScheduleInvalid', `there is no time zone ${JSON.stringify(name)}`, { cause: error });
  }
}

/** The first slot after an instant, or undefined when there is none any more. */
export function nextSlot(schedule: Schedule, afterMs: number): number | undefined {
  return afterMs < lastMs ? gapAround(schedule, Math.max(afterMs, firstMs - 1)).next : undefined;
}

/** The last slot at or before an instant, or undefined when there is none. */
export function previousSlot(schedule: Schedule, atMs: number): number | undefined {
  return atMs >= firstMs ? gapAround(schedule, Math.min(atMs, lastMs)).previous : undefined;
}

/** The time from one slot until the next; undefined where there is none. */
interface Gap {
  readonly previous: number | undefined;
  readonly next: number | undefined;
}

const gaps = new WeakMap<Schedule, Gap[]>();
const gapsMax = 8;

/** Remembered: looks at policies ask for few gaps again and again, and the calendar is slow. */
function gapAround(schedule: Schedule, ms: number): Gap {
  const known = gaps.get(schedule) ?? [];
  const found = known.find(({ previous = -Infinity, next = Infinity }) => previous <= ms && ms < next);
  if (found !== undefined) return found;
  const gap = { previous: findPrevious(schedule, ms), next: findNext(schedule, ms) };
  gaps.set(schedule, [gap, ...known.slice(0, gapsMax - 1)]);
  return gap;
}

function findNext(schedule: Schedule, afterMs: number): number | undefined {
  const [from] = wallBounds(schedule, afterMs);
  let best: number | undefined;
  for (const wallMs of wallsFrom(schedule, from)) {
    const slots = slotsAt(schedule, wallMs);
    for (const slot of slots) if (slot > afterMs && (best === undefined || slot < best)) best = slot;
    const [first] = slots;
    if (best !== undefined && first !== undefined && first >= best) break;
  }
  return best;
}

function findPrevious(schedule: Schedule, atMs: number): number | undefined {
  const [, to] = wallBounds(schedule, atMs);
  let best: number | undefined;
  for (const wallMs of wallsBack(schedule, to)) {
    const slots = slotsAt(schedule, wallMs);
    for (const slot of slots) if (slot <= atMs && (best === undefined || slot > best)) best = slot;
    const last = slots.at(-1);
    if (best !== undefined && last !== undefined && last <= best) break;
  }
  return best;
}

/** Slots in (afterMs, nowMs]: the latest, and how many others there were: at least so many, where they are more than `mostCounted` or years old. */
export function dueSlots(
  schedule: Schedule,
  range: { readonly afterMs: number; readonly nowMs: number },
): { readonly latestMs: number | undefined; readonly missed: number } {
  const latestMs = previousSlot(schedule, range.nowMs);
  if (latestMs === undefined || latestMs <= range.afterMs) return { latestMs: undefined, missed: 0 };
  return { latestMs, missed: Math.min(countSlots(schedule, range.afterMs, latestMs) - 1, mostCounted) };
}

/** In (afterMs, nowMs], or a part of them that is large enough. */
function countSlots(schedule: Schedule, givenMs: number, nowMs: number): number {
  const afterMs = Math.max(givenMs, firstMs - 1);
  const [from] = wallBounds(schedule, afterMs);
  const [, to] = wallBounds(schedule, nowMs);
  const aroundChanges = new Set<number>();
  let plain = 0;
  let looked = 0;
  for (const day of daysFrom(schedule, from)) {
    if (day > to || looked === mostDays || plain + aroundChanges.size > mostCounted) break;
    looked += 1;
    const offset = schedule.zone.offsetMs(day);
    if (schedule.zone.changesNear(day) || schedule.zone.changesNear(day + dayMs)) {
      const slots = schedule.minutes.flatMap((minute) => slotsAt(schedule, day + minute * minuteMs));
      for (const slot of slots) if (slot > afterMs && slot <= nowMs) aroundChanges.add(slot);
      continue;
    }
    const start = day - offset;
    if (start > afterMs && start + dayMs <= nowMs) plain += schedule.minutes.length;
    else {
      const inside = (minute: number) => start + minute * minuteMs > afterMs && start + minute * minuteMs <= nowMs;
      plain += schedule.minutes.filter(inside).length;
    }
  }
  return plain + aroundChanges.size;
}

/**
 * The longest time between two slots in the coming weeks, clock changes aside: what "overdue" is measured by. Undefined when
 * no second slot comes.
 */
export function expectedIntervalMs(schedule: Schedule, givenMs: number): number | undefined {
  const fromMs = Math.min(Math.max(givenMs, firstMs), lastMs);
  const [first = 0] = schedule.minutes;
  let longest = 0;
  for (const [index, minute] of schedule.minutes.entries()) {
    longest = Math.max(longest, (minute - (schedule.minutes[index - 1] ?? minute)) * minuteMs);
  }
  const overNight = (first - (schedule.minutes.at(-1) ?? 0)) * minuteMs;
  let previous: number | undefined;
  let looked = 0;
  for (const day of daysFrom(schedule, fromMs)) {
    if (previous !== undefined) longest = Math.max(longest, day - previous + overNight);
    looked += 1;
    if (looked > 2 && day > fromMs + 35 * dayMs) break;
    previous = day;
  }
  return looked < 2 && schedule.minutes.length < 2 ? undefined : longest;
}

/** How much later than its slot a run starts: the same for the same key and slot, spread evenly (FNV-1a, 32 bits). */
export function jitterMs(key: string, slotMs: number, jitterSeconds: number): number {
  if (jitterSeconds === 0) return 0;
  let hash = 0x811c9dc5;
  for (const char of `${key}/${slotMs}`) {
    hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  }
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 0;
  return Math.floor(((hash ^ (hash >>> 13)) >>> 0) % (jitterSeconds * 1000));
}

function slotsAt(schedule: Schedule, wallMs: number): readonly number[] {
  const instants = schedule.zone.instants(wallMs);
  return schedule.everyHour ? instants : instants.slice(0, 1);
}

/** Wall times between which the slots around an instant lie, however clocks are changed there. */
function wallBounds(schedule: Schedule, instantMs: number): readonly [number, number] {
  const wallMs = instantMs + schedule.zone.offsetMs(instantMs);
  const margin = schedule.zone.changesNear(instantMs) ? 25 * 60 * minuteMs : minuteMs;
  return [wallMs - margin, wallMs + margin];
}

function* daysFrom(schedule: Schedule, wallMs: number): Generator<number> {
  const start = Math.floor(wallMs / dayMs) * dayMs;
  for (let day = schedule.days.nextRun(new Date(start - 1000)); day !== null; day = schedule.days.nextRun(day)) {
    yield day.getTime();
  }
}

function* wallsFrom(schedule: Schedule, wallMs: number): Generator<number> {
  for (const day of daysFrom(schedule, wallMs)) {
    for (const minute of schedule.minutes) if (day + minute * minuteMs >= wallMs) yield day + minute * minuteMs;
  }
}

function* wallsBack(schedule: Schedule, wallMs: number): Generator<number> {
  const end = Math.floor(wallMs / dayMs) * dayMs + dayMs;
  for (let [day] = schedule.days.previousRuns(1, new Date(end)); day !== undefined;) {
    for (const minute of schedule.minutes.toReversed()) {
      if (day.getTime() + minute * minuteMs <= wallMs) yield day.getTime() + minute * minuteMs;
    }
    [day] = schedule.days.previousRuns(1, day);
  }
}
