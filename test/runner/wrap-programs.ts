import { chmod, mkdtemp, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * A folder of client programs whose pg_dump is a script; `$REAL` in it is the true one. The others are the true ones. `version` is
 * what it says of itself; the true one if absent.
 */
export async function wrapPgDump(folder: string, binDir: string, script: string, version?: string): Promise<string> {
  const wrapped = await mkdtemp(join(folder, 'programs-'));
  await chmod(wrapped, 0o755);
  for (const name of ['pg_dumpall', 'pg_restore']) await symlink(join(binDir, name), join(wrapped, name));
  const text = [
    '#!/bin/bash',
    `REAL=${join(binDir, 'pg_dump')}`,
    `if [ "$1" = --version ]; then ${version === undefined ? 'exec "$REAL" --version' : `echo 'pg_dump (PostgreSQL) ${version}'; exit`}; fi`,
    script,
    '',
  ].join('\n');
  await writeFile(join(wrapped, 'pg_dump'), text, { mode: 0o755 });
  return wrapped;
}
