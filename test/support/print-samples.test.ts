import { describe, expect, it } from 'vitest';
import { printSamples, type Sample, type SampledMetric } from '../../src/support/print-samples.ts';

const metrics: readonly SampledMetric[] = [
  { name: 'size', help: 'How large; "C:\\".', type: 'gauge' },
  { name: 'runs_total', help: 'How often.', type: 'counter' },
];

describe('Samples', () => {
  it('are printed by metric, with what labels may hold written as the format wants it', async () => {
    const labels = { schedule: '0 3 * * *', policy: 'a "b" \\ c\nd' };
    const text = await printSamples(metrics, [
      { name: 'runs_total', labels: {}, value: 1 },
      { name: 'size', labels, value: 0.5 },
      { name: 'size', labels: {}, value: Infinity },
    ]);
    expect(text).toBe(
      [
        '# HELP size How large; "C:\\\\".',
        '# TYPE size gauge',
        'size{schedule="0 3 * * *",policy="a \\"b\\" \\\\ c\\nd"} 0.5',
        'size +Inf',
        '',
        '# HELP runs_total How often.',
        '# TYPE runs_total counter',
        'runs_total 1',
        '',
      ].join('\n'),
    );
  });

  it('of the same labels are one: a server refuses a series that is told twice', async () => {
    const twice = (name: string): readonly Sample[] => [1, 2].map((value) => ({ name, labels: { of: 'x' }, value }));
    const text = await printSamples(metrics, [...twice('size'), ...twice('runs_total')]);
    expect(text.split('\n').filter((line) => /^[a-z]/.test(line))).toEqual(['size{of="x"} 2', 'runs_total{of="x"} 3']);
  });

  it('of a metric that nobody described are a bug', async () => {
    await expect(printSamples(metrics, [{ name: 'other', labels: {}, value: 1 }])).rejects.toThrow(
      'other is no derived metric',
    );
  });

  it('let others in between: leases and probes are answered, however many there are', async () => {
    let turns = 0;
    let isOver = false;
    const count = (): void => {
      turns += 1;
      if (!isOver) setImmediate(count);
    };
    setImmediate(count);
    const many = Array.from({ length: 20_000 }, (_, index) => ({
      name: 'size',
      labels: { index: `${index}` },
      value: 1,
    }));
    await printSamples(metrics, many);
    isOver = true;
    expect(turns).toBeGreaterThan(50);
  });
});
