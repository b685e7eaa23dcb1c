import { describe, expect, it } from 'vitest';
import {
  dueSlots,
  expectedIntervalMs,
  jitterMs,
  nextSlot,
  parseSchedule,
  previousSlot,
} from '../../src/domain/schedule.ts';
import { listSlots, type Fields } from './slot-oracle.ts';

const range = (from: number, to: number, step = 1) =>
  new Set(Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, index) => from + index * step));
const all = { hours: range(0, 23), minutes: range(0, 59) };

const zones = ['Etc/UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kolkata', 'Africa/Cairo'];
const schedules: readonly (readonly [string, Fields])[] = [
  ['0 3 * * *', { ...all, minutes: new Set([0]), hours: new Set([3]) }],
  ['30 2 * * *', { ...all, minutes: new Set([30]), hours: new Set([2]) }],
  ['@hourly', { ...all, minutes: new Set([0]) }],
  ['*/20 * * * *', { ...all, minutes: range(0, 59, 20) }],
  ['15 */2 * * *', { ...all, minutes: new Set([15]), hours: range(0, 23, 2) }],
  ['*/30 0-3 * * *', { minutes: range(0, 59, 30), hours: range(0, 3) }],
  ['10 1 * * MON-FRI', { minutes: new Set([10]), hours: new Set([1]), daysOfWeek: range(1, 5) }],
  [
    '0 2 1,15 * 0',
    { minutes: new Set([0]), hours: new Set([2]), daysOfMonth: new Set([1, 15]), daysOfWeek: new Set([0]) },
  ],
];
const from = Date.UTC(2025, 0, 1);
const to = Date.UTC(2025, 11, 1);
const iso = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms).toISOString());

describe('slots over a year with both clock changes', () => {
  for (const zone of zones) {
    // The densest schedule takes the longest: the zone with half-hour changes stands for the others.
    const chosen = schedules.filter(([text]) => text !== '*/20 * * * *' || zone === 'Australia/Lord_Howe');
    it.each(chosen)(
      `${zone}: %s has the slots of the plain definition, forwards, backwards and counted`,
      (text, fields) => {
        const schedule = parseSchedule(text, zone);
        const expected = listSlots(fields, zone, from, to);
        const forwards: number[] = [];
        for (
          let slot = nextSlot(schedule, from - 1);
          slot !== undefined && slot < to;
          slot = nextSlot(schedule, slot)
        ) {
          forwards.push(slot);
        }
        expect(forwards.map(iso)).toEqual(expected.map(iso));
        for (const [index, slot] of expected.entries()) {
          if (index % 29 !== 0 && expected.length > 1000) continue;
          expect(iso(previousSlot(schedule, slot))).toBe(iso(slot));
          expect(iso(previousSlot(schedule, slot - 1)) ?? '').toBe(
            iso(expected[index - 1] ?? previousSlot(schedule, from - 1)),
          );
        }
        for (const [low, high] of [
          [0, 1],
          [3, 200],
          [190, 430],
          [7000, 7900],
          [100, 101],
          [5, 5],
        ] as const) {
          const [a, b] = [expected[low], expected[Math.min(high, expected.length - 1)]];
          if (a === undefined || b === undefined) continue;
          const due = dueSlots(schedule, { afterMs: a, nowMs: b + 59_000 });
          const others = expected.filter((slot) => slot > a && slot <= b).length - 1;
          expect(due).toEqual(others < 0 ? { latestMs: undefined, missed: 0 } : { latestMs: b, missed: others });
        }
      },
    );
  }
});

describe('clock changes', () => {
  const between = (text: string, zone: string, start: string, end: string) => {
    const schedule = parseSchedule(text, zone);
    const found: string[] = [];
    for (
      let at = nextSlot(schedule, Date.parse(start));
      at !== undefined && at < Date.parse(end);
      at = nextSlot(schedule, at)
    ) {
      found.push(new Date(at).toISOString().slice(0, 16));
    }
    return found;
  };

  it('runs a slot in the gap once, when the gap ends', () => {
    expect(between('30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00Z', '2026-03-30T12:00Z')).toEqual([
      '2026-03-29T01:00',
      '2026-03-30T00:30',
    ]);
  });

  it('runs a slot in the overlap once, the first time', () => {
    expect(between('30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00Z', '2026-10-26T12:00Z')).toEqual([
      '2026-10-25T00:30',
      '2026-10-26T01:30',
    ]);
  });

  it('runs hourly slots every real hour, at both changes', () => {
    expect(between('0 * * * *', 'Europe/Berlin', '2026-10-24T23:00Z', '2026-10-25T03:30Z')).toHaveLength(4);
    expect(between('0 * * * *', 'Europe/Berlin', '2026-03-28T23:00Z', '2026-03-29T03:30Z')).toHaveLength(4);
  });

  it('runs the slot of a day that a zone left out (Samoa, 30 December 2011) when the next day begins', () => {
    expect(between('0 15 * * *', 'Pacific/Apia', '2011-12-29T12:00Z', '2011-12-31T12:00Z')).toEqual([
      '2011-12-30T01:00',
      '2011-12-30T10:00',
      '2011-12-31T01:00',
    ]);
  });
});

describe('a clock that is moved', () => {
  it.each(zones)('%s: over three years each slot runs once or is counted as missed, none twice, none lost', (zone) => {
    const schedule = parseSchedule('40 1,13 * * *', zone);
    let seed = 7;
    const random = () => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) / 2 ** 32;
    const start = Date.UTC(2024, 11, 31);
    const runs = new Set<number>();
    let [last, missed, real] = [start, 0, start];
    while (real < Date.UTC(2028, 0, 1)) {
      real += Math.floor(random() * 20 * 3_600_000);
      const skew = random() < 0.2 ? (random() < 0.5 ? -1 : 1) * 86_400_000 : 0;
      const due = dueSlots(schedule, { afterMs: last, nowMs: real + skew });
      if (due.latestMs === undefined) continue;
      expect(runs.has(due.latestMs)).toBe(false);
      runs.add(due.latestMs);
      missed += due.missed;
      last = due.latestMs;
    }
    let every = 0;
    for (let at = nextSlot(schedule, start); at !== undefined && at <= last; at = nextSlot(schedule, at)) every += 1;
    expect(runs.size + missed).toBe(every);
    expect(missed).toBeGreaterThan(0);
  });

  it('counts no more than a thousand slots, nor those of more than 250 days', () => {
    const minutes = parseSchedule('* * * * *', 'America/New_York');
    const range = { afterMs: Date.UTC(2020, 0, 1), nowMs: Date.UTC(2026, 0, 1) };
    expect(dueSlots(minutes, range)).toEqual({ latestMs: Date.UTC(2026, 0, 1), missed: 1000 });
    const days = dueSlots(parseSchedule('0 0 * * *', 'Etc/UTC'), range);
    expect(days.latestMs).toBe(Date.UTC(2026, 0, 1));
    expect(days.missed).toBeGreaterThan(240);
    expect(days.missed).toBeLessThanOrEqual(250);
  });

  const ends = [-Infinity, -8.64e15, Date.parse('0001-01-01T00:00:00Z'), 0, Date.UTC(2000, 0, 1)].concat([
    Date.parse('2999-12-31T23:59:59Z'),
    Date.parse('9999-12-31T23:59:59Z'),
    8.64e15,
    Infinity,
  ]);
  it.each(['* * * * *', '0 3 * * *', '0 0 29 2 *', '0 0 31 12 5'])(
    'has slots only where a calendar is one, and asks for them in little time: %s',
    (text) => {
      for (const zone of ['Etc/UTC', 'Australia/Lord_Howe']) {
        const schedule = parseSchedule(text, zone);
        for (const at of ends) {
          const [before, after] = [previousSlot(schedule, at), nextSlot(schedule, at)];
          expect(before === undefined).toBe(at < Date.UTC(2000, 0, 1));
          expect(after === undefined).toBe(at >= Date.UTC(2900, 0, 1));
          expect(expectedIntervalMs(schedule, at)).toBeGreaterThan(0);
          for (const to of [0, Date.UTC(2000, 0, 2), 8.64e15]) {
            const { latestMs, missed } = dueSlots(schedule, { afterMs: at, nowMs: to });
            expect(missed).toBeLessThanOrEqual(1000);
            expect(latestMs === undefined).toBe((previousSlot(schedule, to) ?? -Infinity) <= at);
          }
        }
      }
    },
  );
});

describe('what is read as CronJob reads it', () => {
  it.each([
    ['5/15 * * * *', '5-59/15 * * * *'],
    ['0/20,7 3/6 * * *', '0-59/20,7 3-23/6 * * *'],
    ['0 3 1/7 2/3 *', '0 3 1-31/7 2-12/3 *'],
    ['0 3 * feb/5 mon/2', '0 3 * 2-12/5 1-6/2'],
    ['0 3 ? * ?', '0 3 * * *'],
    ['0 3 * Jan-mar SUN', '0 3 * 1-3 0'],
    ['0 3 * * 7', '0 3 * * 0'],
  ])('%s is %s', (text, plain) => {
    const starts = (each: string): readonly (number | undefined)[] => {
      const schedule = parseSchedule(each, 'Etc/UTC');
      let at: number | undefined = Date.UTC(2026, 0, 1);
      return Array.from({ length: 40 }, () => (at = at === undefined ? undefined : nextSlot(schedule, at)));
    };
    expect(starts(text)).toEqual(starts(plain));
    expect(starts(text).at(-1)).toBeDefined();
  });
});

describe('what is refused', () => {
  it.each([
    ['61 * * * *', 'Etc/UTC', /61/],
    ['* 24 * * *', 'Etc/UTC', /24/],
    ['0 3 30 2 *', 'Etc/UTC', /never comes/],
    ['0 3 * *', 'Etc/UTC', /five fields/],
    ['0 0 3 * * *', 'Etc/UTC', /five fields/],
    ['0 0 L * *', 'Etc/UTC', /not a cron field/],
    ['0 0 LW * *', 'Etc/UTC', /LW is not a cron field/],
    ['0 0 15W * *', 'Etc/UTC', /15W is not a cron field/],
    ['0 0 * * 5L', 'Etc/UTC', /5L is not a cron field/],
    ['0 0 * JANUARY *', 'Etc/UTC', /JANUARY is not a cron field/],
    ['0 0 * MON *', 'Etc/UTC', /MON is not a cron field/],
    ['H 3 * * *', 'Etc/UTC', /H is not a cron field/],
    ['0/0 * * * *', 'Etc/UTC', /stepping/],
    ['0 0 * * 1#2', 'Etc/UTC', /not a cron field/],
    ['@every 5m', 'Etc/UTC', /five fields/],
    ['0 3 * * *', 'Europe/Atlantis', /no time zone/],
    ['0 3 * * *', '+01', /no time zone/],
    ['0 3 * * *', 'Local', /no time zone/],
  ])('%s in %s', (text, zone, message) => {
    expect(() => parseSchedule(text, zone)).toThrow(
      expect.objectContaining({ reason: 'ScheduleInvalid', message: expect.stringMatching(message) }),
    );
  });

  it.each(['0 3 * * 7', '0 3 * JAN-JUL sun', '5,10-20/5 3 * * ?', '@weekly'])('%s is accepted', (text) => {
    expect(nextSlot(parseSchedule(text, 'Etc/UTC'), 0)).toBeGreaterThan(0);
  });
});

describe('jitter and interval', () => {
  it('is the same for the same key and slot, differs between keys, and spreads evenly', () => {
    const values = Array.from({ length: 1000 }, (_, index) => jitterMs(`uid-${index}`, 1_000_000, 600));
    expect(jitterMs('uid-5', 1_000_000, 600)).toBe(values[5]);
    expect(Math.min(...values)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...values)).toBeLessThan(600_000);
    const tenths = Array.from(
      { length: 10 },
      (_, tenth) => values.filter((v) => Math.floor(v / 60_000) === tenth).length,
    );
    for (const share of tenths) expect(share).toBeGreaterThan(60);
  });

  it('expects the longest distance between slots', () => {
    const hours = (text: string) =>
      (expectedIntervalMs(parseSchedule(text, 'Etc/UTC'), Date.UTC(2026, 0, 1)) ?? 0) / 3_600_000;
    expect(hours('@daily')).toBe(24);
    expect(hours('0 3 * * MON-FRI')).toBe(72);
    expect(hours('@yearly')).toBe(365 * 24);
    expect(hours('*/15 9-17 * * *')).toBe(15.25);
    expect(hours('0 9-17 * * MON-FRI')).toBe(64);
    expect(hours('@hourly')).toBe(1);
  });
});
