import type { RestorePolicy } from '../../api/kinds.ts';
import { failureReasons, isFailureReason } from '../../api/reasons.ts';
import { pastOnly } from '../../domain/clocks.ts';
import { restoreRequestName } from '../../domain/names.ts';
import { findCondition } from '../conditions.ts';
import { isUntouched } from './last-restored.ts';
import type { RestoreRun } from './restore-run.ts';

export interface RetryDecision {
  /** Make this request now. */
  readonly start?: { readonly slot: number; readonly name: string; readonly retry: number } | undefined;
  /** The request's name belongs to something else. */
  readonly taken?: string | undefined;
  /** The failed request that is to be tried again: it must stay until then. */
  readonly failed?: RestoreRun | undefined;
  readonly wakeAt?: number | undefined;
}

/**
 * Whether the last request of the newest slot is tried again, and when: after a failure that time may heal, when the target is known to
 * be as it was (a second try over half of a first one could double rows), nothing goes on, and no newer slot has come.
 */
export function decideRetry(seen: {
  readonly nowMs: number;
  readonly policy: RestorePolicy;
  /** All, those of an earlier policy of this name included. */
  readonly runs: readonly RestoreRun[];
  readonly handledSlot: number | undefined;
  readonly isTaken: (name: string) => boolean;
}): RetryDecision {
  const { nowMs, policy, runs, handledSlot } = seen;
  const { retries, suspend } = policy.spec;
  if (suspend || runs.some(({ result }) => result === undefined)) return {};
  const [last] = runs
    .filter(({ isOwn, isNamedBySlot, slot }) => isOwn && isNamedBySlot && pastOnly(slot, nowMs) !== undefined)
    .toSorted((a, b) => (b.slot ?? 0) - (a.slot ?? 0) || b.retry - a.retry);
  const { slot, end } = last ?? {};
  if (last === undefined || slot === undefined || end === undefined || !mayHeal(last)) return {};
  if (last.retry >= retries.limit || (handledSlot ?? slot) > slot) return {};
  const retry = last.retry + 1;
  const at = end + retries.backoffSeconds * 1000 * 2 ** last.retry;
  if (nowMs < at) return { failed: last, wakeAt: at };
  const name = restoreRequestName(policy.metadata.name, slot, retry);
  if (seen.isTaken(name)) return { failed: last, taken: name };
  return { failed: last, start: { slot, name, retry } };
}

function mayHeal({ object, result }: RestoreRun): boolean {
  const { reason = '' } = findCondition(object.status?.conditions, 'Succeeded') ?? {};
  const isTransient = isFailureReason(reason) && failureReasons[reason].consequence === 'retry';
  return result === 'Failed' && isTransient && isUntouched(object);
}
