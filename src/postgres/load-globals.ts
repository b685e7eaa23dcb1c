import { Failure } from '../api/failure.ts';
import type { Bytes } from '../pipeline/bytes.ts';
import type { Connection } from './connection.ts';

export interface LoadedGlobals {
  readonly rolesCreated: readonly string[];
  /** What was left out, without passwords. */
  readonly notes: readonly string[];
}

/**
 * Creates the roles of a script of pg_dumpall --globals-only that the server does not have. Roles that exist stay exactly as they are.
 * All in one transaction, after the script was read whole.
 * @throws Failure what `open` throws; PermissionDenied, RestoreFailed
 */
export async function loadGlobals(
  _connection: Connection,
  _open: (signal: AbortSignal) => Bytes,
  _signal: AbortSignal,
): Promise<LoadedGlobals> {
  return Promise.reject(new Failure('Internal', 'not built yet'));
}
