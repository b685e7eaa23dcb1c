import { expect, it } from 'vitest';
import { summarize } from '../../src/controller/run/progress.ts';

it.each([
  [{ plainBytes: 420_000_000, estimatedBytes: 1_000_000_000, bytesPerSecond: 18_240_000 }, '42% of 1.00 GB, 18.2 MB/s'],
  [{ plainBytes: 0, estimatedBytes: 1000, bytesPerSecond: 0 }, '0% of 1.00 kB, 0.00 MB/s'],
  [{ plainBytes: 999, estimatedBytes: 1000, bytesPerSecond: 1 }, '99% of 1.00 kB, 0.00 MB/s'],
  // An estimate that was too small says nothing any more.
  [{ plainBytes: 1_300_000_000, estimatedBytes: 1_000_000_000, bytesPerSecond: 5e6 }, '1.30 GB, 5.00 MB/s'],
  [{ plainBytes: 7, bytesPerSecond: 0 }, '7 B, 0.00 MB/s'],
])('says how far a run is: %j', (line, text) => {
  expect(summarize(line)).toBe(text);
  expect(text.length).toBeLessThanOrEqual(64);
});

it('fits its member however large the numbers are', () => {
  const most = Number.MAX_SAFE_INTEGER;
  const text = summarize({ plainBytes: most - 1, estimatedBytes: most, bytesPerSecond: most });
  expect(text.length).toBeLessThanOrEqual(64);
});
