import type { Reporter, TestCase, TestModule } from 'vitest/node';

/** The part of a test that is reported. */
export interface Skip {
  readonly title: string;
  readonly reason: string;
}

/**
 * Says which tests were skipped and why, at the end of a run. With PGBACKUP_FORBID_SKIPS=1 a skip fails the run, and so does
 * a run without tests: a green run then means that everything was tried.
 */
export class SkipReporter implements Reporter {
  private readonly forbid: boolean;

  constructor(forbid = process.env['PGBACKUP_FORBID_SKIPS'] === '1') {
    this.forbid = forbid;
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const text = describeSkips(tests.flatMap(findSkip), tests.length, this.forbid);
    if (text.lines.length > 0) process.stdout.write(`${text.lines.join('\n')}\n`);
    if (!text.ok) process.exitCode = 1;
  }
}

/** What to print, and whether the run may pass. */
export function describeSkips(
  skips: readonly Skip[],
  tests: number,
  forbid: boolean,
): { readonly lines: readonly string[]; readonly ok: boolean } {
  const byReason = new Map<string, string[]>();
  for (const { title, reason } of skips) byReason.set(reason, [...(byReason.get(reason) ?? []), title]);
  const shown = 3;
  const lines = [...byReason].flatMap(([reason, titles]) => [
    `  ${titles.length} × ${reason}`,
    ...titles.slice(0, forbid ? titles.length : shown).map((title) => `      ${title}`),
    ...(forbid || titles.length <= shown ? [] : [`      … and ${titles.length - shown} more`]),
  ]);
  const head = skips.length === 0 ? [] : ['', `${skips.length} skipped${forbid ? ', which is forbidden here' : ''}:`];
  const none = tests === 0 && forbid ? ['no test ran, which is forbidden here'] : [];
  return { lines: [...head, ...lines, ...none], ok: !forbid || (skips.length === 0 && tests > 0) };
}

function findSkip(test: TestCase): readonly Skip[] {
  const result = test.result();
  if (result.state === 'passed' || result.state === 'failed') return [];
  const reason = result.state === 'skipped' ? result.note : undefined;
  const unknown =
    test.options.mode === 'todo' ? 'still to be written' : `no reason given, in ${test.module.relativeModuleId}`;
  return [{ title: `${test.module.relativeModuleId} > ${test.fullName}`, reason: reason ?? unknown }];
}
