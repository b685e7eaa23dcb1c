import type { NoteSum } from '../api/notes.ts';
import type { ConditionChange } from './conditions.ts';

/** False: the newest dump was made by programs of an older minor version than the server's. Absent until that was seen once. */
export const programsCurrent = 'ProgramsCurrent';

export function programsCondition(observedGeneration: number | undefined, outdated?: NoteSum): ConditionChange {
  const base = { type: programsCurrent, ...(observedGeneration === undefined ? {} : { observedGeneration }) };
  if (outdated === undefined) {
    return { ...base, status: 'True', reason: 'ProgramsCurrent', message: 'pg_dump is as new as the server' };
  }
  return { ...base, status: 'False', reason: outdated.reason, message: outdated.message ?? 'pg_dump is outdated' };
}
