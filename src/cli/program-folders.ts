import { delimiter, isAbsolute } from 'node:path';
import { standardBinDirs } from '../postgres/programs.ts';

/**
 * Folders in which PostgreSQL's client programs may be: PGBACKUP_PROGRAMS first, then where Debian puts them, then PATH. Each once;
 * whether they hold programs is found out later.
 */
export async function listProgramFolders(
  env: Readonly<Record<string, string | undefined>>,
  standard: () => Promise<readonly string[]> = standardBinDirs,
): Promise<readonly string[]> {
  const split = (list: string | undefined): readonly string[] =>
    (list ?? '').split(delimiter).filter((folder) => isAbsolute(folder));
  return [...new Set([...split(env['PGBACKUP_PROGRAMS']), ...(await standard()), ...split(env['PATH'])])];
}
