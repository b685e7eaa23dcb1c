import { Failure } from '../api/failure.ts';
import type { Archive, LoadHooks, LoadOptions, LoadResult, LoadTools } from './load-types.ts';

/**
 * Loads an archive into a database that exists. Resolves only after every byte of `open()` was read and every statement ran.
 * @throws Failure what `open` throws before all else; RoleMissing, ExtensionMissing, ObjectConflict, RestoreFailed …
 */
export async function loadArchive(
  _tools: LoadTools,
  _archive: Archive,
  _options: LoadOptions,
  _signal: AbortSignal,
  _hooks: LoadHooks = {},
): Promise<LoadResult> {
  return Promise.reject(new Failure('Internal', 'not built yet'));
}
