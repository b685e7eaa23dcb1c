import { loadGlobals } from '../../postgres/load-globals.ts';
import type { Workshop } from '../workshop.ts';
import type { OpenTarget } from './open-target.ts';
import type { RestoreSource } from './source.ts';

const namesInLine = 100;

/** Creates the roles of the source that the server does not have, and tells which. They stay, whatever becomes of the restore. @returns notes */
export async function createRoles(
  source: RestoreSource,
  target: OpenTarget,
  { lines, log, signal }: Workshop,
): Promise<readonly string[]> {
  const { openGlobals } = source;
  if (openGlobals === undefined) return ['the source has no globals: no roles were created'];
  const connection = await target.connect(target.server.database, signal);
  try {
    const { rolesCreated, notes } = await loadGlobals(connection, (until) => openGlobals(until), signal);
    for (let at = 0; at < rolesCreated.length; at += namesInLine) {
      lines.result({ kind: 'roles', names: rolesCreated.slice(at, at + namesInLine) });
    }
    log.info('roles created', { roles: rolesCreated.length });
    return notes;
  } finally {
    await connection.close();
  }
}
