import { Failure } from '../../api/failure.ts';
import type { RestoreTask } from '../../domain/task.ts';
import { findFallen } from '../../postgres/find-fallen.ts';
import type { OpenTarget } from './open-target.ts';
import type { PreparedInput } from './prepare-input.ts';

const mostNames = 20;

/**
 * Before what the archive holds is dropped in place: what would go besides, and would not come back.
 * @throws Failure ObjectConflict, unless `dropOthers` accepts it
 */
export async function checkClean(
  inputs: readonly Pick<PreparedInput, 'plan' | 'entries'>[],
  task: Pick<RestoreTask, 'clean' | 'dropOthers' | 'select'>,
  target: Pick<OpenTarget, 'connect'>,
  signal: AbortSignal,
): Promise<void> {
  if (!task.clean || task.dropOthers === true || task.select.dataOnly) return;
  for (const { plan, entries } of inputs) {
    const connection = await target.connect(plan.target, signal);
    try {
      const fallen = await findFallen(connection, entries ?? []);
      if (fallen.length === 0) continue;
      const shown = fallen.slice(0, mostNames).join(', ').replaceAll(/\s/g, ' ');
      const more = fallen.length > mostNames ? ` and ${fallen.length - mostNames} more` : '';
      throw new Failure('ObjectConflict', `clean would also drop what does not come back: ${shown}${more}`, {
        hint: 'set inPlace.dropOthers: true if that is meant; else restore to another database with mode Create, and take from there',
      });
    } finally {
      await connection.close();
    }
  }
}
