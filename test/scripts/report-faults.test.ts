import { describe, expect, test } from 'vitest';
import { describeFaults } from '../../scripts/test-report/report-faults.ts';

describe('the table of fault cases', () => {
  test('is not printed for a run that tried none', () => {
    expect(describeFaults([])).toEqual([]);
  });

  test('has each case by its room, and what was tried, passed and compared', () => {
    const lines = describeFaults([
      { room: 's3', name: 'part-lost', passed: true, seconds: 3.21, outcome: 'Succeeded', committedBytes: 20_400_000 },
      { room: 'pod', name: 'killed', passed: false, seconds: 200 },
      { room: 's3', name: 'flipped', passed: false, seconds: 1, committedBytes: 1_000_000, differingBytes: 1_000_000 },
    ]);
    expect(lines).toEqual([
      '',
      'faults, each met by a whole run:',
      `  ${'part-lost'.padEnd(41)}${'Succeeded'.padEnd(42)}     20 MB    3.2 s`,
      `  ${'flipped'.padEnd(41)}${'FAILED'.padEnd(42)}      1 MB    1.0 s`,
      `  ${'killed'.padEnd(41)}${'FAILED'.padEnd(42)}      0 MB  200.0 s`,
      '',
      '                tried passed failed      compared  differing bytes',
      '  s3                2      1      1        21 MB          1000000',
      '  pod               1      0      1         0 MB                0',
      '  all               3      1      2        21 MB          1000000',
    ]);
  });
});
