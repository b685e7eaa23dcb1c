import { expect, test } from 'vitest';
import { median, printResults } from '../../bench/print-results.ts';

const run = (wallSeconds: number, peakMegabytes: number) => ({
  wallSeconds,
  cpuSeconds: 1,
  peakRssBytes: peakMegabytes * 1e6,
  storedBytes: 5e6,
});

test('the median is the middle, or the mean of the two in the middle', () => {
  expect(median([9, 1, 4])).toBe(4);
  expect(median([9, 1, 4, 2])).toBe(3);
  expect(median([7])).toBe(7);
});

test('ratios are taken pair by pair, not of medians: a slow hour counts for both', () => {
  const results = new Map([
    ['ours', [run(1, 100), run(10, 100), run(3, 100)]],
    ['pipe', [run(2, 200), run(20, 50), run(3, 100)]],
  ]);
  const lines = printResults(results);
  expect(lines[1]).toMatch(/^ours +3\.00 +1\.00 +100\.00 +5$/);
  expect(lines.at(-1)).toBe('ours ÷ pipe: wall 0.500 (0.50–1.00)  cpu 1.000 (1.00–1.00)  peak 1.000 (0.50–2.00)');
});
