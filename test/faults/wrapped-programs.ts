import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Client programs that are the true ones, but for databases that have a script: then they are the script. */
export interface WrappedPrograms {
  readonly folder: string;
  /** Undefined takes the script away. In it, `$REAL` is the true program and `$@` its arguments. */
  wrap(database: string, script: string | undefined): Promise<void>;
}

export async function installPrograms(folder: string, binDir: string): Promise<WrappedPrograms> {
  const [programs, scripts] = [join(folder, 'programs'), join(folder, 'scripts')];
  for (const path of [programs, scripts]) await mkdir(path);
  for (const name of ['pg_dump', 'pg_dumpall', 'pg_restore']) {
    const text = [
      '#!/bin/bash',
      `REAL=${join(binDir, name)}`,
      'DATABASE="$PGDATABASE"',
      // pg_dumpall is told where to look from in an argument.
      `for arg in "$@"; do case "$arg" in --database=dbname=*) DATABASE="globals-$(echo "$arg" | cut -d"'" -f2)";; esac; done`,
      `if [ "$1" != --version ] && [ -n "$DATABASE" ] && [ -f "${scripts}/$DATABASE" ]; then . "${scripts}/$DATABASE"; fi`,
      'exec "$REAL" "$@"',
      '',
    ].join('\n');
    await writeFile(join(programs, name), text);
    await chmod(join(programs, name), 0o755);
  }
  return {
    folder: programs,
    wrap: async (database, script) => {
      if (script === undefined) await rm(join(scripts, database), { force: true });
      else await writeFile(join(scripts, database), `${script}\n`);
    },
  };
}
