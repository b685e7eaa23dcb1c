import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Writes a list for pg_restore --use-list into the folder. The ids alone are what it takes of it. */
export async function writeList(folder: string, ids: readonly number[], key: string): Promise<string> {
  const path = join(folder, `list-${key}`);
  await writeFile(path, ids.map((id) => `${id};\n`).join(''), { mode: 0o600, flag: 'wx' });
  return path;
}
