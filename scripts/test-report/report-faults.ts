import type { Reporter, TestCase, TestModule } from 'vitest/node';

/** One fault case, as it was tried. */
export interface TriedFault {
  readonly room: string;
  readonly name: string;
  readonly passed: boolean;
  readonly seconds: number;
  /** How the run with the fault ended; undefined when the case broke off. */
  readonly outcome?: string;
  /** Under committed manifests, all compared with the database. */
  readonly committedBytes?: number;
  readonly differingBytes?: number;
}

/** Prints the table of fault cases at the end of a run that tried any: tests leave what they did in `meta.fault`. */
export class FaultReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const lines = describeFaults(tests.flatMap(findFault));
    if (lines.length > 0) process.stdout.write(`${lines.join('\n')}\n`);
  }
}

export function describeFaults(tried: readonly TriedFault[]): readonly string[] {
  if (tried.length === 0) return [];
  const rooms = [...new Set(tried.map(({ room }) => room))];
  const cases = rooms.flatMap((room) =>
    tried
      .filter((one) => one.room === room)
      .map(({ name, passed, seconds, outcome = '', committedBytes = 0 }) => {
        const end = passed ? outcome : `FAILED ${outcome}`.trim();
        return `  ${name.padEnd(41)}${end.padEnd(42)}${megabytes(committedBytes)} ${seconds.toFixed(1).padStart(6)} s`;
      }),
  );
  const totals = [...rooms.map((room) => tried.filter((one) => one.room === room)), tried].map((rows, index) => {
    const sum = (key: 'committedBytes' | 'differingBytes'): number =>
      rows.reduce((total, row) => total + (row[key] ?? 0), 0);
    const passed = rows.filter((row) => row.passed).length;
    const columns = [rows.length, passed, rows.length - passed].map((count) => String(count).padStart(7)).join('');
    const bytes = `${megabytes(sum('committedBytes'))}${String(sum('differingBytes')).padStart(17)}`;
    return `  ${(rooms[index] ?? 'all').padEnd(12)}${columns}   ${bytes}`;
  });
  const head = `  ${''.padEnd(12)}  tried passed failed      compared  differing bytes`;
  return ['', 'faults, each met by a whole run:', ...cases, '', head, ...totals];
}

const megabytes = (bytes: number): string => `${String(Math.round(bytes / 1e6)).padStart(7)} MB`;

function findFault(test: TestCase): readonly TriedFault[] {
  const { fault } = test.meta() as { readonly fault?: Omit<TriedFault, 'passed' | 'seconds'> };
  if (fault === undefined) return [];
  const seconds = (test.diagnostic()?.duration ?? 0) / 1000;
  return [{ ...fault, passed: test.result().state === 'passed', seconds }];
}
