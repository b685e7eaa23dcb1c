import type { ResultLine } from '../../domain/report.ts';
import { readStamp } from '../../domain/stamp.ts';
import { runnerState, type PodSeen } from './pods.ts';

/** How long details in the log of an ended pod are waited for. */
const resultsBudgetMs = 30_000;

/** Whether details that a verdict announces have not been read, and are still worth waiting for. */
export function mayComeYet(
  pod: PodSeen,
  verdict: { readonly resultLines: number },
  results: readonly ResultLine[] | undefined,
  nowMs: number,
): boolean {
  const endedAt = readStamp(runnerState(pod)?.terminated?.finishedAt) ?? nowMs;
  return verdict.resultLines > 0 && results === undefined && nowMs < endedAt + resultsBudgetMs;
}
