import { Failure } from '../api/failure.ts';
import type { Bytes } from '../pipeline/bytes.ts';
import type { LoadHooks, LoadOptions, LoadResult, LoadTools } from './load-types.ts';

export type ScriptOptions = Pick<LoadOptions, 'database' | 'role' | 'singleTransaction'>;

/**
 * Runs a script of plain SQL (with the rows of COPY) that has no command of psql itself. Stops at the first error.
 * @throws Failure what `open` throws before all else; ObjectConflict, RoleMissing, RestoreFailed …
 */
export async function loadScript(
  _tools: LoadTools,
  _open: (signal: AbortSignal) => Bytes,
  _options: ScriptOptions,
  _signal: AbortSignal,
  _hooks: LoadHooks = {},
): Promise<LoadResult> {
  return Promise.reject(new Failure('Internal', 'not built yet'));
}
