import { checkClean } from './check-clean.ts';
import { checkBound, checkExtensions, checkTablespaces } from './check-needs.ts';
import { checkPowers } from './check-powers.ts';
import type { OpenTarget } from '../target/open-target.ts';
import type { LoadWanted } from '../wanted.ts';
import type { PreparedInput } from './prepare-input.ts';

/**
 * What the tables of contents and the server tell before anything is made or changed; roles come later, some may be created. What a restore
 * that goes on (`onError: Continue`) can do without is not asked for.
 * @throws Failure ObjectConflict, SpecInvalid, TablespaceMissing, ExtensionMissing, PermissionDenied
 */
export async function checkInputs(
  inputs: readonly PreparedInput[],
  wanted: LoadWanted,
  target: OpenTarget,
  signal: AbortSignal,
): Promise<void> {
  await checkClean(inputs, wanted, target, signal);
  await checkTablespaces(inputs, wanted, target.session);
  if (wanted.options.onError === 'Continue') return;
  await checkExtensions(inputs, wanted, target.session);
  await checkBound(inputs, wanted, target.session);
  await checkPowers(inputs, wanted, target, signal);
}
