import { execFileSync } from 'node:child_process';

/** Ends the benchmark, with the Debian package to install, when a program is missing. */
export function needPrograms(...programs: readonly string[]): void {
  for (const program of programs) {
    try {
      execFileSync(program, ['--help'], { stdio: 'ignore' });
    } catch {
      process.stdout.write(`${program} is missing; install the package ${program}\n`);
      process.exit(1);
    }
  }
}
