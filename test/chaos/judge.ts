import type { Backup, BackupPolicy } from '../../src/api/kinds.ts';
import { findCondition } from '../../src/controller/conditions.ts';
import { backupJobName, backupName } from '../../src/domain/names.ts';
import type { Recorded } from './record.ts';

const minuteMs = 60_000;

export interface Judged {
  readonly slots: number;
  readonly runs: number;
  /** Counted in the policy's status as never run. */
  readonly missed: number;
  readonly ends: Readonly<Record<string, number>>;
  /** What must not be. */
  readonly faults: readonly string[];
}

/** Holds a policy of every minute to its word: each slot up to the last that was handled has one run with one Job, or is counted as missed. */
export function judgePolicy(
  policy: BackupPolicy,
  seen: { readonly backups: Recorded; readonly jobs: Recorded; readonly now: ReadonlyMap<string, Backup> },
): Judged {
  const { name, creationTimestamp } = policy.metadata;
  const { handledSlot = '', missedRuns = 0 } = policy.status ?? {};
  const from = Math.floor(Date.parse(creationTimestamp ?? '') / minuteMs) * minuteMs + minuteMs;
  const faults: string[] = [];
  const ends: Record<string, number> = {};
  let [slots, runs] = [0, 0];
  for (let slot = from; slot <= Date.parse(handledSlot); slot += minuteMs) {
    slots += 1;
    const run = backupName(name, slot);
    const uids = seen.backups.uidsOf(run);
    if (uids.length > 1) faults.push(`${run} was made ${uids.length} times`);
    if (uids.length === 0) continue;
    runs += 1;
    const jobs = seen.jobs.uidsOf(backupJobName(run));
    if (jobs.length !== 1) faults.push(`${run} had ${jobs.length} Jobs`);
    const ending = findCondition(seen.now.get(run)?.status?.conditions, 'Succeeded');
    const reason = ending === undefined || ending.status === 'Unknown' ? 'not ended' : ending.reason;
    ends[reason] = (ends[reason] ?? 0) + 1;
  }
  if (slots !== runs + missedRuns) faults.push(`${name}: of ${slots} slots ${runs} ran and ${missedRuns} are missed`);
  return { slots, runs, missed: missedRuns, ends, faults };
}
