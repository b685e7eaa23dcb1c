import { Failure } from '../../../api/failure.ts';
import { findFallen } from '../../../postgres/find-fallen.ts';
import { emptyFirst } from '../tell/advise-conflict.ts';
import type { OpenTarget } from '../target/open-target.ts';
import type { LoadWanted } from '../wanted.ts';
import type { PreparedInput } from './prepare-input.ts';

const mostNames = 20;

/**
 * Before what the archive holds is dropped in place: what would go besides and not come back, and what keeps the server from dropping it.
 * SQL of the request (`beforeSql`) may take the latter away: then the server is asked.
 * @throws Failure ObjectConflict, unless `dropOthers` accepts what goes; SpecInvalid for rows alone
 */
export async function checkClean(
  inputs: readonly Pick<PreparedInput, 'plan' | 'entries'>[],
  wanted: Pick<LoadWanted, 'clean' | 'dropOthers' | 'select' | 'options' | 'beforeSql'>,
  target: Pick<OpenTarget, 'connect' | 'facts'>,
  signal: AbortSignal,
): Promise<void> {
  if (!wanted.clean) return;
  if (wanted.select.dataOnly) {
    throw new Failure('SpecInvalid', 'clean drops definitions, and select.dataOnly restores none', {
      hint: emptyFirst,
    });
  }
  for (const { plan, entries } of inputs) {
    const connection = await target.connect(plan.target, signal);
    try {
      const { noPrivileges } = wanted.options;
      const { goes, holds } = await findFallen(connection, entries ?? [], noPrivileges, target.facts.major);
      if (holds.length > 0 && wanted.beforeSql === undefined) {
        throw new Failure('ObjectConflict', `clean cannot drop what others need: ${list(holds)}`, {
          hint: 'restore these as well, or drop them by beforeSql and make them again by afterSql',
        });
      }
      if (goes.length > 0 && !wanted.dropOthers) {
        throw new Failure('ObjectConflict', `clean would also drop what does not come back: ${list(goes)}`, {
          hint: 'set inPlace.dropOthers: true if that is meant (afterSql can make it again); else restore to another database with mode Create, and take from there',
        });
      }
    } finally {
      await connection.close();
    }
  }
}

function list(what: readonly string[]): string {
  const shown = what.slice(0, mostNames).join(', ').replaceAll(/\s/g, ' ');
  return what.length > mostNames ? `${shown} and ${what.length - mostNames} more` : shown;
}
