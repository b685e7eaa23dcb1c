import { setTimeout as delay } from 'node:timers/promises';
import type { Backup } from '../../src/api/kinds.ts';
import type { LocalOperator } from '../../src/local/operator.ts';
import { isInspected } from '../../src/local/run-once.ts';

/**
 * What takes longer hangs: two tries with long dumps and the Job's ten seconds in between, six cases at a time, take a minute, and two and
 * a half on a machine that is slow or does other things. Less than a case may take (try-faults.ts).
 */
const hangsMs = 450_000;

/** Looks again and again until there is an answer. */
export async function until<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const giveUp = performance.now() + hangsMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > giveUp) throw new Error(`never happened: ${what}`);
    await delay(20);
  }
}

export function backupNamed(operator: LocalOperator, name: string): Backup | undefined {
  return operator.backups().find(({ metadata }) => metadata.name === name);
}

export async function untilInspected(operator: LocalOperator, names: readonly string[]): Promise<void> {
  await until(`${names.join(', ')} inspected`, () => {
    const found = operator.locations().filter(({ metadata }) => names.includes(metadata.name));
    return found.length === names.length && found.every(isInspected);
  });
}
