import type { BenchRun, Contender } from './contenders.ts';

/** All of them once unmeasured, then in turns, every other round backwards, so that what drifts meets all alike. */
export async function runInTurns(
  contenders: readonly Contender[],
  rounds: number,
): Promise<ReadonlyMap<string, readonly BenchRun[]>> {
  const results = new Map<string, BenchRun[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 0; round <= rounds; round += 1) {
    for (const contender of round % 2 === 0 ? contenders : contenders.toReversed()) {
      const result = await contender.run();
      if (round > 0) results.get(contender.name)?.push(result);
      if (process.stdout.isTTY) process.stdout.write('.');
    }
  }
  return results;
}
