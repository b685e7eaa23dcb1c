import { toFailure } from '../../../api/failure.ts';
import { dropRoles, loadGlobals } from '../../../postgres/load-globals.ts';
import { bounded } from '../../bounded.ts';
import type { Workshop } from '../../workshop.ts';
import type { OpenTarget } from '../target/open-target.ts';
import type { RestoreSource } from '../source/source.ts';
import type { DatabaseEnd } from '../tell/restore-verdict.ts';
import { Unsettled } from '../unsettled.ts';
import type { LoadWanted } from '../wanted.ts';

const namesInLine = 100;
/** Beside the scratch databases, a pod has 30 s between SIGTERM and SIGKILL. */
const dropMilliseconds = 5_000;

export interface CreatedRoles {
  readonly names: readonly string[];
  readonly notes: readonly string[];
}

/** Creates the roles of the source that the server does not have, if that is wanted: they are needed before the first object is. */
export async function createRoles(
  { openGlobals }: Pick<RestoreSource, 'openGlobals'>,
  { globals, privilegedGlobals = false }: Pick<LoadWanted['options'], 'globals' | 'privilegedGlobals'>,
  target: OpenTarget,
  { log, signal }: Workshop,
): Promise<CreatedRoles> {
  if (!globals) return { names: [], notes: [] };
  if (openGlobals === undefined) return { names: [], notes: ['the source has no globals: no roles were created'] };
  const connection = await target.connect(target.server.database, signal);
  try {
    const { rolesCreated, notes } = await loadGlobals(
      connection,
      (until) => openGlobals(until),
      privilegedGlobals,
      signal,
    );
    log.info('roles created', { roles: rolesCreated.length });
    return { names: rolesCreated, notes };
  } finally {
    await connection.close();
  }
}

/** They stay if anything was restored by `work`, or may have been; else they are taken back. */
export async function withRoles(
  roles: CreatedRoles,
  target: OpenTarget,
  workshop: Workshop,
  work: () => Promise<readonly DatabaseEnd[]>,
): Promise<readonly DatabaseEnd[]> {
  try {
    const ends = await work();
    if (ends.every(({ outcome }) => outcome === 'Untouched')) await takeBackRoles(roles, target, workshop);
    else tellRoles(roles, workshop);
    return ends;
  } catch (error) {
    // What may have been swapped may need them.
    if (error instanceof Unsettled) tellRoles(roles, workshop);
    else await takeBackRoles(roles, target, workshop);
    throw error;
  }
}

/** They stay. */
function tellRoles({ names }: CreatedRoles, { lines }: Workshop): void {
  for (let at = 0; at < names.length; at += namesInLine) {
    lines.result({ kind: 'roles', names: names.slice(at, at + namesInLine) });
  }
}

/** After a restore that left its target as it was: the roles go as well, and those that cannot are told. Never throws. */
async function takeBackRoles(roles: CreatedRoles, target: OpenTarget, workshop: Workshop): Promise<void> {
  const { names } = roles;
  if (names.length === 0) return;
  try {
    const kept = await bounded(workshop.clock, dropMilliseconds, async (limit) => {
      const connection = await target.connect(target.server.database, limit);
      try {
        return await dropRoles(connection, names);
      } finally {
        await connection.close();
      }
    });
    if (kept.length > 0) workshop.log.warn('roles that were created are in use by now and stay', { roles: kept });
    tellRoles({ ...roles, names: kept }, workshop);
  } catch (error) {
    workshop.log.warn('roles that were created could not be dropped', {
      roles: names,
      error: toFailure(error).message,
    });
    tellRoles(roles, workshop);
  }
}
