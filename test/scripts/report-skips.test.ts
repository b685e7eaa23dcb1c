import { describe, expect, test } from 'vitest';
import { describeSkips } from '../../scripts/test-report/report-skips.ts';

const noServer = (title: string) => ({ title, reason: 'no sshd here' });

describe('the report of skipped tests', () => {
  test('says nothing and passes when every test ran', () => {
    expect(describeSkips([], 12, true)).toEqual({ lines: [], ok: true });
  });

  test('names each reason once with its tests', () => {
    const { lines, ok } = describeSkips(
      [noServer('a'), { title: 'b', reason: 'still to be written' }, noServer('c')],
      9,
      false,
    );
    expect(ok).toBe(true);
    expect(lines).toEqual([
      '',
      '3 skipped:',
      '  2 × no sshd here',
      '      a',
      '      c',
      '  1 × still to be written',
      '      b',
    ]);
  });

  test('shortens long lists for people, but not where a skip is a failure', () => {
    const skips = ['a', 'b', 'c', 'd', 'e'].map(noServer);
    expect(describeSkips(skips, 5, false).lines.at(-1)).toBe('      … and 2 more');
    expect(describeSkips(skips, 5, true).lines).toHaveLength(2 + 1 + 5);
  });

  test('fails a run with a skip where skips are forbidden', () => {
    expect(describeSkips([noServer('a')], 100, true).ok).toBe(false);
  });

  test('fails a run without tests where skips are forbidden', () => {
    expect(describeSkips([], 0, true)).toEqual({ lines: ['no test ran, which is forbidden here'], ok: false });
  });
});
