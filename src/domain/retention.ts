import { dayMs, openPeriods, periodKinds, type PeriodKind, type Periods } from './retention-periods.ts';

/** How many points in time are kept. What is absent keeps nothing by itself; at least one must be there. */
export interface RetentionRule {
  /** The newest ones. */
  readonly keepLast?: number | undefined;
  /** The newest of each of so many hours, days, … in which something was backed up. */
  readonly keepHourly?: number | undefined;
  readonly keepDaily?: number | undefined;
  readonly keepWeekly?: number | undefined;
  readonly keepMonthly?: number | undefined;
  readonly keepYearly?: number | undefined;
  /** All of so many days before the newest one. */
  readonly keepWithinDays?: number | undefined;
  /** Of each database so many copies stay in any case. At least 1. */
  readonly minimum: number;
}

/** A backup of a policy that one place holds. */
export interface RetainedBackup {
  readonly id: string;
  /** Of when its data is (milliseconds since the epoch). */
  readonly timeMs: number;
  /** Undefined: nobody knows what is in it. Then it stays. */
  readonly stored: readonly string[] | undefined;
  /** Databases that the run tried and could not store. */
  readonly failed: readonly string[];
  /** Stays for this reason, whatever the rule says. */
  readonly held?: HoldReason | undefined;
}

/** Pinned: by somebody. InUse: something reads it. Ahead: its time has not come; some clock was wrong. */
export type HoldReason = 'Pinned' | 'InUse' | 'Ahead';

export interface KeptFor {
  readonly rule:
    | HoldReason
    /** Of unknown content. */
    | 'Unknown'
    /** There are too many for one decision. */
    | 'Unjudged'
    | 'Last'
    | 'Hourly'
    | 'Daily'
    | 'Weekly'
    | 'Monthly'
    | 'Yearly'
    | 'Within'
    | 'Minimum';
  /** Of the rules by time: `2026-11-30T04`, `2026-11-30`, `2026-W49`, `2026-11`, `2026`, in the policy's time zone. */
  readonly period?: string;
}

export interface Retained {
  readonly id: string;
  /** Why it stays; empty: it goes. */
  readonly keptFor: readonly KeptFor[];
}

export interface RetentionDecision {
  /** All of them, newest first. */
  readonly backups: readonly Retained[];
  /** Those that hold the newest copy of some database. */
  readonly floor: readonly string[];
}

/** Names that are read, and steps of walks, that one decision may cost; databases times different sets of them. */
const workMost = 4_000_000;
const comparedMost = 500_000;
/** The newest ones that are judged at once; the older ones are, when these have become fewer. */
const judgedMost = 10_000;

/**
 * Which backups of a policy stay at one place, and why. Each database is judged by itself and a backup stays if one of its databases wants
 * it: a run in which a database failed neither takes the place of that database's last good copy nor pushes it out. Where a database was
 * not even asked for (it was dropped), time goes on for it, and it keeps its last copies only.
 *
 * Periods count when something was backed up in them, as with restic: who makes no backups loses none. Nothing here depends on what time it
 * is, and days without backups do not make others older (`ageInBackupDays`): a clock that jumped takes nothing away.
 *
 * @returns undefined when there are too many different sets of databases to judge: then all must stay
 */
export function decideRetention(
  backups: readonly RetainedBackup[],
  rule: RetentionRule,
  timeZone: string,
): RetentionDecision | undefined {
  const sorted = backups.toSorted((a, b) => b.timeMs - a.timeMs || (a.id < b.id ? 1 : -1));
  const known = sorted.filter(({ held, stored }) => held !== 'Ahead' && stored !== undefined);
  const judged = known.slice(0, judgedMost);
  const unjudged = new Set(known.slice(judgedMost));
  const classes = classify(judged);
  if (classes === undefined) return undefined;
  const periods = openPeriods(timeZone);
  const ages = ageInBackupDays(judged);
  const reasons = new Map<string, KeptFor[]>(judged.map(({ id }) => [id, []]));
  const floor = new Set<string>();
  for (const presence of classes) {
    walk(judged, presence, rule, periods, ages, (backup, kept) => addReason(reasons.get(backup.id) ?? [], kept));
    const newest = judged.find((_, index) => presence(index) === 'stored');
    if (newest !== undefined) floor.add(newest.id);
  }
  return {
    backups: sorted.map((backup) => ({
      id: backup.id,
      keptFor: [...holdsOf(backup, unjudged.has(backup)), ...(reasons.get(backup.id) ?? [])],
    })),
    floor: [...floor],
  };
}

function holdsOf({ held, stored }: RetainedBackup, isUnjudged: boolean): readonly KeptFor[] {
  return [
    ...(held === undefined ? [] : [{ rule: held }]),
    ...(stored === undefined ? [{ rule: 'Unknown' } as const] : []),
    ...(isUnjudged ? [{ rule: 'Unjudged' } as const] : []),
  ];
}

function addReason(reasons: KeptFor[], kept: KeptFor): void {
  if (!reasons.some(({ rule, period }) => rule === kept.rule && period === kept.period)) reasons.push(kept);
}

type Presence = 'stored' | 'failed' | 'absent';

const ruleOf = {
  hour: { name: 'Hourly', member: 'keepHourly' },
  day: { name: 'Daily', member: 'keepDaily' },
  week: { name: 'Weekly', member: 'keepWeekly' },
  month: { name: 'Monthly', member: 'keepMonthly' },
  year: { name: 'Yearly', member: 'keepYearly' },
} as const satisfies Record<PeriodKind, { readonly name: KeptFor['rule']; readonly member: keyof RetentionRule }>;

/** One database (or several that are always together), newest backup first. */
function walk(
  backups: readonly RetainedBackup[],
  presence: (index: number) => Presence,
  rule: RetentionRule,
  periods: Periods,
  ages: readonly number[],
  keep: (backup: RetainedBackup, kept: KeptFor) => void,
): void {
  const kinds = periodKinds
    .map((kind) => ({ kind, ...ruleOf[kind], left: rule[ruleOf[kind].member] ?? 0, last: NaN, isKept: false }))
    .filter(({ left }) => left > 0);
  const withinDays = rule.keepWithinDays ?? 0;
  let lastLeft = rule.keepLast ?? 0;
  let minimumLeft = Math.max(1, rule.minimum);
  for (const [index, backup] of backups.entries()) {
    const is = presence(index);
    // A try that failed passes no time for it.
    if (is === 'failed') continue;
    const isStored = is === 'stored';
    const isWithin = withinDays > 0 && (ages[index] ?? Infinity) <= withinDays;
    const isOver = lastLeft <= 0 && minimumLeft <= 0 && !isWithin;
    if (isOver && kinds.every(({ left, isKept }) => left <= 0 && isKept)) return;

    if (lastLeft > 0) {
      lastLeft -= 1;
      if (isStored) keep(backup, { rule: 'Last' });
    }
    for (const each of kinds) {
      const period = periods.index(each.kind, backup.timeMs);
      if (period !== each.last) {
        if (each.left <= 0) {
          each.isKept = true;
          continue;
        }
        each.left -= 1;
        each.last = period;
        each.isKept = false;
      }
      if (!isStored || each.isKept) continue;
      each.isKept = true;
      keep(backup, { rule: each.name, period: periods.label(each.kind, backup.timeMs) });
    }
    if (isStored && isWithin) keep(backup, { rule: 'Within' });
    if (isStored && minimumLeft > 0) {
      minimumLeft -= 1;
      keep(backup, { rule: 'Minimum' });
    }
  }
}

/**
 * How many days before the newest one each backup is, where a time without backups counts no more than twice the usual distance (and a
 * day at least): after a month of suspension, or one run by a clock that was a year ahead, the backups before it are not old.
 */
function ageInBackupDays(backups: readonly RetainedBackup[]): readonly number[] {
  const gaps = backups.slice(1).map(({ timeMs }, index) => (backups[index]?.timeMs ?? timeMs) - timeMs);
  const sorted = gaps.toSorted((a, b) => a - b);
  const usual = sorted[Math.floor(sorted.length / 2)] ?? 0;
  const most = Math.max(dayMs, 2 * usual);
  let age = 0;
  return [0, ...gaps.map((gap) => (age += Math.min(gap, most)) / dayMs)];
}

/**
 * Databases that are in the same state in all backups are judged once. Sets of databases repeat from run to run, so it is the different
 * sets that are compared.
 */
function classify(backups: readonly RetainedBackup[]): readonly ((index: number) => Presence)[] | undefined {
  const forms = new Map<string, { readonly stored: ReadonlySet<string>; readonly failed: ReadonlySet<string> }>();
  const formOf: number[] = [];
  const indexOf = new Map<string, number>();
  const databases = new Set<string>();
  let names = 0;
  for (const { stored = [], failed } of backups) {
    names += stored.length + failed.length;
    if (names > workMost) return undefined;
    // No name of a database has these characters in it.
    const key = `${stored.join('\0')}\n\0${failed.join('\0')}`;
    const known = indexOf.get(key);
    formOf.push(known ?? forms.size);
    if (known !== undefined) continue;
    indexOf.set(key, forms.size);
    forms.set(key, { stored: new Set(stored), failed: new Set(failed) });
    for (const database of stored) databases.add(database);
    if (databases.size * forms.size > comparedMost) return undefined;
  }
  const classes = new Map<string, readonly Presence[]>();
  for (const database of databases) {
    const row = [...forms.values()].map(({ stored, failed }): Presence => {
      if (stored.has(database)) return 'stored';
      return failed.has(database) ? 'failed' : 'absent';
    });
    classes.set(row.map((each) => each[0]).join(''), row);
  }
  if (classes.size * backups.length > workMost) return undefined;
  return [...classes.values()].map((row) => (index) => row[formOf[index] ?? -1] ?? 'absent');
}
