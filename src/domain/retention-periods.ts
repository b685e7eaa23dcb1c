import { openTimeZone } from './time-zone.ts';

export const periodKinds = ['hour', 'day', 'week', 'month', 'year'] as const;
export type PeriodKind = (typeof periodKinds)[number];

export const dayMs = 86_400_000;
const hourMs = 3_600_000;

/** Hours, days, weeks of ISO 8601, months and years by the clocks of a time zone. */
export interface Periods {
  /** The same number for two instants if and only if they are in the same period. */
  index(kind: PeriodKind, instantMs: number): number;
  /** `2026-11-30T04`, `2026-11-30`, `2026-W49`, `2026-11`, `2026`. */
  label(kind: PeriodKind, instantMs: number): string;
}

/** @throws RangeError when there is no such zone */
export function openPeriods(timeZone: string): Periods {
  const zone = openTimeZone(timeZone);
  // Asked twice for a day, not for each of its backups.
  const atMidnight = new Map<number, number>();
  const offsetAt = (day: number): number => {
    const known = atMidnight.get(day) ?? zone.offsetMs(day * dayMs);
    atMidnight.set(day, known);
    return known;
  };
  const offsetMs = (instantMs: number): number => {
    const day = Math.floor(instantMs / dayMs);
    const offset = offsetAt(day);
    return offset === offsetAt(day + 1) ? offset : zone.offsetMs(instantMs);
  };

  const index = (kind: PeriodKind, instantMs: number): number => {
    const offset = offsetMs(instantMs);
    const wallMs = instantMs + offset;
    switch (kind) {
      case 'hour':
        // The hour that clocks show twice is two.
        return Math.floor(wallMs / hourMs) * 1440 + (Math.round(offset / 60_000) % 1440);
      case 'day':
        return Math.floor(wallMs / dayMs);
      case 'week':
        return weekOf(wallMs);
      case 'month': {
        const wall = new Date(wallMs);
        return wall.getUTCFullYear() * 12 + wall.getUTCMonth();
      }
      case 'year':
        break;
    }
    return new Date(wallMs).getUTCFullYear();
  };

  const label = (kind: PeriodKind, instantMs: number): string => {
    const wallMs = instantMs + offsetMs(instantMs);
    const text = new Date(wallMs).toISOString();
    switch (kind) {
      case 'hour':
        return text.slice(0, 13);
      case 'day':
        return text.slice(0, 10);
      case 'week':
        return labelWeek(wallMs);
      case 'month':
        return text.slice(0, 7);
      case 'year':
        break;
    }
    return text.slice(0, 4);
  };
  return { index, label };
}

/** Weeks begin on Mondays; 1970-01-01 was a Thursday. */
const weekOf = (wallMs: number): number => Math.floor((Math.floor(wallMs / dayMs) + 3) / 7);

/** A week is of the year that its Thursday is in. */
function labelWeek(wallMs: number): string {
  const thursday = new Date(weekOf(wallMs) * 7 * dayMs);
  const year = thursday.getUTCFullYear();
  const week = Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / (7 * dayMs)) + 1;
  return `${year}-W${String(week).padStart(2, '0')}`;
}
