import { describe, expect, it } from 'vitest';
import { live } from './retained-life.ts';

const hour = 3_600_000;
/** With a factor of 73 the hourly policy lives a year; it takes minutes. */
const factor = Number(process.env['PGBACKUP_RETENTION_FACTOR'] ?? '1');
const destinations = [
  { location: 'near' },
  { location: 'far', retention: { keepWeekly: 5, keepMonthly: 12, keepWithinDays: 3 } },
];

describe('Retention through a life of failures of runs, places, clocks and prunes', { timeout: 600_000 }, () => {
  it.each([1])(
    'of a daily policy for a year keeps all last copies and what its rules say, and nothing else (seed %i)',
    async (seed) => {
      const spec = { retention: { keepLast: 3, keepDaily: 7, keepWeekly: 4, keepMonthly: 6 }, destinations };
      const { wrong, counts } = await live({ seed, stepMs: 24 * hour, steps: 365, spec });
      expect(wrong).toEqual([]);
      for (const what of [
        'goodRuns',
        'partlyFailedRuns',
        'failedRuns',
        'failedPlaces',
        'jumps',
        'troubledPrunes',
        'silentPrunes',
        'removals',
      ]) {
        expect(counts[what], what).toBeGreaterThan(2);
      }
    },
  );

  it('of an hourly one as well', async () => {
    const spec = { schedule: '0 * * * *', retention: { keepHourly: 24, keepDaily: 7, minimum: 2 }, destinations };
    const steps = Math.min(8760, 120 * factor);
    const { wrong, counts } = await live({ seed: 7, stepMs: hour, steps, spec });
    expect(wrong).toEqual([]);
    expect(counts['removals']).toBeGreaterThan(steps / 3);
  });
});
