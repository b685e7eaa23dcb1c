import { describe, expect, it } from 'vitest';
import { decideRetention, type RetainedBackup, type RetentionRule } from '../../src/domain/retention.ts';
import { seededRandom } from '../kube/manual-clock.ts';

const hour = 3_600_000;
const day = 24 * hour;

const backup = (time: string | number, more: Partial<RetainedBackup> = {}): RetainedBackup => {
  const timeMs = typeof time === 'number' ? time : Date.parse(time);
  return { id: new Date(timeMs).toISOString().slice(0, 16), timeMs, stored: ['app'], failed: [], ...more };
};

/** `id: reasons` of what stays, newest first. */
function kept(
  backups: readonly RetainedBackup[],
  rule: Partial<RetentionRule>,
  timeZone = 'Etc/UTC',
): Record<string, string> {
  const decision = decideRetention(backups, { minimum: 1, ...rule }, timeZone);
  if (decision === undefined) throw new Error('not decided');
  const stay = decision.backups.filter(({ keptFor }) => keptFor.length > 0);
  return Object.fromEntries(
    stay.map(({ id, keptFor }) => [
      id,
      keptFor.map(({ rule: name, period }) => [name, period].filter((each) => each !== undefined).join(' ')).join(', '),
    ]),
  );
}

const every = (from: string, stepMs: number, count: number): RetainedBackup[] =>
  Array.from({ length: count }, (_, index) => backup(Date.parse(from) + index * stepMs));

describe('Retention keeps', () => {
  it('the newest ones', () => {
    expect(kept(every('2026-03-01T03:00Z', day, 5), { keepLast: 2 })).toEqual({
      '2026-03-05T03:00': 'Last, Minimum',
      '2026-03-04T03:00': 'Last',
    });
  });

  it('the newest of each hour, day, ISO week, month and year', () => {
    const backups = [
      '2024-12-29T23:00Z',
      '2024-12-30T01:00Z',
      '2025-12-31T22:00Z',
      '2026-01-01T02:10Z',
      '2026-01-01T02:50Z',
    ];
    expect(
      kept(
        backups.map((time) => backup(time)),
        { keepHourly: 2, keepDaily: 2, keepWeekly: 3, keepMonthly: 2, keepYearly: 9 },
      ),
    ).toEqual({
      '2026-01-01T02:50':
        'Hourly 2026-01-01T02, Daily 2026-01-01, Weekly 2026-W01, Monthly 2026-01, Yearly 2026, Minimum',
      // Wednesday and Thursday are in one week.
      '2025-12-31T22:00': 'Hourly 2025-12-31T22, Daily 2025-12-31, Monthly 2025-12, Yearly 2025',
      // A Monday of the year before belongs to the first week.
      '2024-12-30T01:00': 'Weekly 2025-W01, Yearly 2024',
      '2024-12-29T23:00': 'Weekly 2024-W52',
    });
  });

  it('days by the clocks of the time zone, and both hours that clocks show twice', () => {
    const late = [backup('2026-06-01T15:30Z'), backup('2026-06-01T14:30Z')];
    expect(kept(late, { keepDaily: 2 }, 'Asia/Tokyo')).toEqual({
      '2026-06-01T15:30': 'Daily 2026-06-02, Minimum',
      '2026-06-01T14:30': 'Daily 2026-06-01',
    });
    const twice = every('2026-10-24T23:30Z', hour, 4);
    expect(Object.keys(kept(twice, { keepHourly: 4 }, 'Europe/Berlin'))).toHaveLength(4);
  });

  it('all of so many days before the newest, not before now', () => {
    expect(Object.keys(kept(every('2020-01-01T00:00Z', day, 20), { keepWithinDays: 3 }))).toEqual([
      '2020-01-20T00:00',
      '2020-01-19T00:00',
      '2020-01-18T00:00',
      '2020-01-17T00:00',
    ]);
  });

  it('what was there before one run by a clock that was a year ahead', () => {
    const backups = [...every('2026-01-01T00:00Z', day, 10), backup('2027-03-01T00:00Z')];
    expect(Object.keys(kept(backups, { keepWithinDays: 8 }))).toHaveLength(8);
    expect(Object.keys(kept(backups, { keepDaily: 8 }))).toHaveLength(8);
  });

  it('what is pinned, in use, ahead of the clock, or of unknown content, and takes it for nothing else', () => {
    const backups = [
      backup('2026-01-09T00:00Z', { held: 'Ahead' }),
      backup('2026-01-08T00:00Z', { stored: undefined }),
      ...every('2026-01-01T00:00Z', day, 5),
      backup('2025-01-01T00:00Z', { held: 'Pinned' }),
      backup('2025-01-02T00:00Z', { held: 'InUse' }),
    ];
    expect(kept(backups, { keepLast: 1 })).toEqual({
      '2026-01-09T00:00': 'Ahead',
      '2026-01-08T00:00': 'Unknown',
      '2026-01-05T00:00': 'Last, Minimum',
      '2025-01-02T00:00': 'InUse',
      '2025-01-01T00:00': 'Pinned',
    });
  });

  it('the good copies of a database that fails, instead of runs without it', () => {
    const both = every('2026-01-01T00:00Z', day, 3).map((each) => ({ ...each, stored: ['app', 'crm'] }));
    const broken = every('2026-01-04T00:00Z', day, 3).map((each) => ({ ...each, failed: ['crm'] }));
    expect(kept([...both, ...broken], { keepLast: 2 })).toEqual({
      '2026-01-06T00:00': 'Last, Minimum',
      '2026-01-05T00:00': 'Last',
      '2026-01-03T00:00': 'Last, Minimum',
      '2026-01-02T00:00': 'Last',
    });
  });

  it('of a database that was dropped its last copy, when its time is over', () => {
    const both = every('2026-01-01T00:00Z', day, 3).map((each) => ({ ...each, stored: ['app', 'old'] }));
    const later = every('2026-01-04T00:00Z', day, 1);
    expect(Object.keys(kept([...both, ...later], { keepDaily: 3 }))).toEqual([
      '2026-01-04T00:00',
      '2026-01-03T00:00',
      '2026-01-02T00:00',
    ]);
    const muchLater = every('2026-01-04T00:00Z', day, 9);
    expect(Object.keys(kept([...both, ...muchLater], { keepDaily: 3 }))).toEqual([
      '2026-01-12T00:00',
      '2026-01-11T00:00',
      '2026-01-10T00:00',
      '2026-01-03T00:00',
    ]);
    expect(Object.keys(kept([...both, ...muchLater], { keepDaily: 3, minimum: 2 }))).toContain('2026-01-02T00:00');
  });

  it('everything, when there are too many different sets of databases to judge', () => {
    const names = (index: number): string[] => Array.from({ length: 500 }, (_, at) => `d${index}-${at}`);
    const backups = Array.from({ length: 200 }, (_, index) => backup(index * hour, { stored: names(index) }));
    expect(decideRetention(backups, { keepLast: 1, minimum: 1 }, 'Etc/UTC')).toBeUndefined();
  });
});

describe('Of very many backups', () => {
  it('the oldest wait until the others have become fewer', () => {
    const decision = decideRetention(
      every('2025-01-01T00:00Z', 60_000, 10_001),
      { keepLast: 1, minimum: 1 },
      'Etc/UTC',
    );
    const reasons = decision?.backups.map(({ keptFor }) => keptFor.map(({ rule }) => rule).join()) ?? [];
    expect([reasons.at(0), reasons.at(1), reasons.at(-2), reasons.at(-1)]).toEqual([
      'Last,Minimum',
      '',
      '',
      'Unjudged',
    ]);
  });
});

describe('Of any backups and any rule', () => {
  const source = seededRandom(20_261_201);
  const random = (): number => source.fraction();
  const pick = (most: number): number => Math.floor(random() * most);
  const maybe = (most: number): number | undefined => (random() < 0.5 ? undefined : 1 + pick(most));
  const names = ['a', 'b', 'c', 'd'];

  const anyBackups = (): RetainedBackup[] =>
    Array.from({ length: 1 + pick(60) }, (_, index) => {
      const state = names.map(() => random());
      const isUnknown = random() < 0.03;
      return {
        id: `run-${index}`,
        timeMs: Date.parse('2026-01-01T00:00Z') + pick(random() < 0.1 ? 4000 : 90) * day * random(),
        stored: isUnknown ? undefined : names.filter((_name, at) => (state[at] ?? 0) < 0.7),
        failed: isUnknown ? [] : names.filter((_name, at) => (state[at] ?? 0) > 0.85),
        ...(random() < 0.05 ? { held: 'Pinned' as const } : {}),
      };
    });
  const anyRule = (): RetentionRule => ({
    keepLast: maybe(5),
    keepHourly: maybe(5),
    keepDaily: maybe(9),
    keepWeekly: maybe(5),
    keepMonthly: maybe(5),
    keepYearly: maybe(3),
    keepWithinDays: maybe(30),
    minimum: 1 + pick(3),
  });
  const zones = ['Etc/UTC', 'Europe/Berlin', 'America/St_Johns', 'Pacific/Apia', 'Africa/Casablanca'];
  const anyZone = (): string => zones[pick(zones.length)] ?? 'Etc/UTC';
  const idsKept = (backups: readonly RetainedBackup[], rule: RetentionRule, zone: string): Set<string> =>
    new Set(Object.keys(kept(backups, rule, zone)));

  it('each is either kept or removed, and each database keeps its newest copies', () => {
    for (let round = 0; round < 400; round += 1) {
      const [backups, rule, zone] = [anyBackups(), anyRule(), anyZone()];
      const decision = decideRetention(backups, rule, zone);
      expect(decision?.backups.map(({ id }) => id).toSorted()).toEqual(backups.map(({ id }) => id).toSorted());
      const stay = idsKept(backups, rule, zone);
      const newest = backups.toSorted((a, b) => b.timeMs - a.timeMs || (a.id < b.id ? 1 : -1));
      for (const name of names) {
        const copies = newest.filter(({ stored }) => stored?.includes(name) === true);
        for (const { id } of copies.slice(0, rule.minimum)) expect(stay).toContain(id);
        if (copies[0] !== undefined) expect(decision?.floor).toContain(copies[0].id);
      }
      for (const { id, held, stored } of backups)
        if (held !== undefined || stored === undefined) expect(stay).toContain(id);
      for (const id of decision?.floor ?? []) expect(stay).toContain(id);
    }
  });

  it('the order in which they are given changes nothing', () => {
    for (let round = 0; round < 200; round += 1) {
      const [backups, rule, zone] = [anyBackups(), anyRule(), anyZone()];
      const shuffled = backups.map((each) => ({ each, at: random() })).toSorted((a, b) => a.at - b.at);
      expect(
        decideRetention(
          shuffled.map(({ each }) => each),
          rule,
          zone,
        ),
      ).toEqual(decideRetention(backups, rule, zone));
    }
  });

  it('more retention never removes more', () => {
    for (let round = 0; round < 400; round += 1) {
      const [backups, rule, zone] = [anyBackups(), anyRule(), anyZone()];
      const members = [
        'keepLast',
        'keepHourly',
        'keepDaily',
        'keepWeekly',
        'keepMonthly',
        'keepYearly',
        'keepWithinDays',
        'minimum',
      ] as const;
      const member = members[pick(members.length)] ?? 'keepLast';
      const more = { ...rule, [member]: (rule[member] ?? 0) + 1 + pick(4) };
      const [less, larger] = [idsKept(backups, rule, zone), idsKept(backups, more, zone)];
      expect([...less].filter((id) => !larger.has(id))).toEqual([]);
    }
  });

  it('once done, doing it again removes nothing more', () => {
    for (let round = 0; round < 300; round += 1) {
      const [backups, rule, zone] = [anyBackups(), { ...anyRule(), keepWithinDays: undefined }, anyZone()];
      const stay = idsKept(backups, rule, zone);
      const left = backups.filter(({ id }) => stay.has(id));
      expect(idsKept(left, rule, zone)).toEqual(stay);
    }
  });
});
