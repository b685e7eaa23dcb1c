import type { BenchRun } from './contenders.ts';

/** Runs of each contender, in the order of the pairs. */
export type Results = ReadonlyMap<string, readonly BenchRun[]>;

const measures = [
  ['wall s', ({ wallSeconds }: BenchRun) => wallSeconds],
  ['cpu s', ({ cpuSeconds }: BenchRun) => cpuSeconds],
  ['peak MB', ({ peakRssBytes }: BenchRun) => peakRssBytes / 1e6],
] as const;

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [low = NaN, high = NaN] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[Math.floor(sorted.length / 2)]];
  return (low + high) / 2;
}

/** Medians of each contender, and for each but the first how many times as much the first took, pair by pair. */
export function printResults(results: Results): readonly string[] {
  const width = Math.max(...[...results.keys()].map((name) => name.length));
  const [[first = '', own = []] = []] = results;
  const medians = [...results].map(([name, runs]) =>
    [
      name.padEnd(width),
      ...measures.map(([, read]) => median(runs.map(read)).toFixed(2).padStart(9)),
      (median(runs.map(({ storedBytes }) => storedBytes)) / 1e6).toFixed(0).padStart(9),
    ].join(''),
  );
  const ratios = [...results].slice(1).map(([name, runs]) => {
    const cells = measures.map(([title, read]) => {
      const pairs = own.flatMap((run, index) => {
        const other = runs[index];
        return other === undefined ? [] : [read(run) / read(other)];
      });
      const [low, high] = [Math.min(...pairs), Math.max(...pairs)];
      return `${title.split(' ')[0]} ${median(pairs).toFixed(3)} (${low.toFixed(2)}–${high.toFixed(2)})`;
    });
    return `${first} ÷ ${name}: ${cells.join('  ')}`;
  });
  const head =
    ''.padEnd(width) + [...measures.map(([title]) => title), 'stored MB'].map((title) => title.padStart(9)).join('');
  return [head, ...medians, '', ...ratios];
}
