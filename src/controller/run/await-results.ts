import type { ResultLine } from '../../domain/report.ts';
import { pastOnly } from '../../domain/clocks.ts';
import { readStamp } from '../../domain/stamp.ts';
import { runnerState, type PodSeen } from './pods.ts';

/** How long details in the log of an ended pod are waited for. */
const resultsBudgetMs = 30_000;

/** Whether details that a verdict announces have not been read, and are still worth waiting for. A node whose clock is ahead does not prolong it. */
export function mayComeYet(
  pod: PodSeen,
  verdict: { readonly resultLines: number },
  results: readonly ResultLine[] | undefined,
  nowMs: number,
): boolean {
  const { finishedAt } = runnerState(pod)?.terminated ?? {};
  const endedAt = pastOnly(readStamp(finishedAt), nowMs) ?? readStamp(pod.metadata.creationTimestamp) ?? 0;
  return verdict.resultLines > 0 && results === undefined && nowMs < endedAt + resultsBudgetMs;
}
