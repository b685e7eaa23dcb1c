import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const list = fileURLToPath(new URL('../../.cache/programs.json', import.meta.url));
const privatePrograms = z.object({ binDir: z.string().optional(), postgresBinDir: z.string().optional() });

/** Folders of programs that `make setup` unpacked privately because this machine does not have them. */
export type PrivatePrograms = z.infer<typeof privatePrograms>;

export function readPrivatePrograms(): PrivatePrograms {
  return existsSync(list) ? privatePrograms.parse(JSON.parse(readFileSync(list, 'utf8'))) : {};
}

/** Path of a program: on the PATH, in Debian's folders, else the private one; undefined when there is none. */
export function findProgram(name: 'sshd' | 'ssh-keygen' | 'zstd' | 'openssl' | 'pgbouncer'): string | undefined {
  const folders = [
    ...(process.env['PATH'] ?? '').split(delimiter),
    '/usr/sbin',
    '/usr/bin',
    readPrivatePrograms().binDir,
  ];
  return folders.flatMap((folder) => (folder ? [join(folder, name)] : [])).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
