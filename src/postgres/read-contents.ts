import { Failure } from '../api/failure.ts';
import type { Archive, ArchiveContents, LoadTools } from './load-types.ts';

/**
 * Reads the table of contents at the head of an archive, and nothing more of it.
 * @throws Failure FileDamaged or BackupDamaged (`tools.damaged`), ProgramMissing (newer than all programs), and what `open` throws
 */
export async function readContents(
  _tools: LoadTools,
  _archive: Archive,
  _signal: AbortSignal,
): Promise<ArchiveContents> {
  return Promise.reject(new Failure('Internal', 'not built yet'));
}
