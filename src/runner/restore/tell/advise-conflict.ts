import { Failure } from '../../../api/failure.ts';
import type { RestoredSource } from '../../../api/restore-spec.ts';
import type { LoadWanted } from '../wanted.ts';

/** The failure with what helps against a conflict in this restore: not everything goes with every source and mode. */
export function adviseConflict(
  failure: Failure,
  { mode, clean, select }: Pick<LoadWanted, 'mode' | 'clean' | 'select'>,
  source: Pick<RestoredSource, 'format'> | undefined,
): Failure {
  if (failure.reason !== 'ObjectConflict' || failure.hint !== undefined) return failure;
  const advise = (hint: string): Failure =>
    new Failure(failure.reason, failure.message, { hint, cause: failure.cause });
  if (mode !== 'InPlace') {
    return advise(
      'The source itself makes it twice, or beforeSql has made it: take it out there (of an archive options.onError: Continue leaves out what is refused).',
    );
  }
  if (select.dataOnly) return advise(emptyFirst);
  const isScript = source?.format === 'Sql' || source?.format === 'Dumpall';
  if (!isScript && !clean) return failure;
  return advise('Use mode Replace, or drop what is there first, for example with beforeSql.');
}

export const emptyFirst = 'Empty the tables first, for example with beforeSql: [TRUNCATE …].';
