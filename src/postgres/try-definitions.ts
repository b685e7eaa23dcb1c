import { Failure } from '../api/failure.ts';
import type { Archive, LoadOptions, LoadResult, LoadTools } from './load-types.ts';

/**
 * Creates everything but rows in one transaction that is rolled back, when the archive comes from a newer PostgreSQL than the server's.
 * @throws Failure VersionUnsupported with the first statement that the server does not know
 */
export async function tryDefinitions(
  _tools: LoadTools,
  _archive: Archive,
  _options: LoadOptions,
  _signal: AbortSignal,
): Promise<LoadResult> {
  return Promise.reject(new Failure('Internal', 'not built yet'));
}
