import { Failure } from '../../../api/failure.ts';
import type { RestoreTaskTarget } from '../../../domain/task.ts';
import type { RestoreVerdict } from '../../../domain/report.ts';
import { tellRefused } from '../tell/count-refusals.ts';
import { judgeInPart, judgeRestored, type DatabaseEnd } from '../tell/restore-verdict.ts';
import type { Settled } from './settle.ts';

/** What the targets are when this try has changed nothing. */
export function untried(
  databases: RestoreTaskTarget['databases'],
  settled: Settled | undefined,
): readonly DatabaseEnd[] {
  if (settled !== undefined) return settled.databases;
  return databases.map(({ source, target }) => ({ source, target, outcome: 'Untouched', notes: [] }));
}

/** @throws Failure RestoreFailed when a script has committed in the middle, and nobody came to tell it */
export function refuseChanged({ databases }: Settled): void {
  const changed = databases.find(({ outcome }) => outcome === 'Changed');
  if (changed === undefined) return;
  throw new Failure('RestoreFailed', `an earlier try committed a part of its script into "${changed.target}"`, {
    hint: 'put the target right by hand, then make another request with mode Replace or Create',
  });
}

/** All of it was done. */
export function tellRecovered(
  settled: Settled,
  tell: (end: DatabaseEnd) => void,
  totals: () => Parameters<typeof judgeRestored>[0],
): RestoreVerdict {
  for (const database of settled.databases) tell(database);
  const message = 'RecoveredAfterSwap: an earlier try had restored; what was left of it is finished';
  const all = { ...totals(), source: settled.source };
  const refused = tellRefused(settled.databases.flatMap((database) => database.refused ?? []));
  if (refused === undefined) return judgeRestored(all, 'Restored', { message });
  return judgeInPart(all, 'Restored', `${message}; ${refused}`);
}
