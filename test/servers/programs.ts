import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const list = fileURLToPath(new URL('../../.cache/programs.json', import.meta.url));
const privateProgramsSchema = z.object({
  postgresBinDir: z.string().optional(),
  sshd: z.string().optional(),
  sftpServer: z.string().optional(),
  sshKeygen: z.string().optional(),
  zstd: z.string().optional(),
});

/** Programs that `make setup` unpacked privately because this machine does not have them; absolute paths. */
export type PrivatePrograms = z.infer<typeof privateProgramsSchema>;

export function readPrivatePrograms(): PrivatePrograms {
  return existsSync(list) ? privateProgramsSchema.parse(JSON.parse(readFileSync(list, 'utf8'))) : {};
}

/** Path of a program of this machine (`PATH`, /usr/sbin), else of the private one; undefined when there is none. */
export function findProgram(name: 'sshd' | 'ssh-keygen' | 'zstd'): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/bin'];
  const found = folders.map((folder) => join(folder, name)).find((path) => path.startsWith('/') && isExecutable(path));
  const { sshd, sshKeygen, zstd } = readPrivatePrograms();
  return found ?? { sshd, 'ssh-keygen': sshKeygen, zstd }[name];
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
