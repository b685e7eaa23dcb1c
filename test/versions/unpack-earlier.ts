import { execFile } from 'node:child_process';
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..', '..');

/** Lays the sources and definitions of an earlier commit into a folder, so that its `src/main.ts` runs with the packages of today. */
export async function unpackEarlier(commit: string, folder: string): Promise<void> {
  const archive = join(folder, 'earlier.tar');
  try {
    await run('git', ['-C', root, 'archive', '--output', archive, commit, 'src', 'crds', 'package.json']);
  } catch (cause) {
    const advice =
      'it is needed to try two versions beside each other: fetch the whole history (git fetch --unshallow)';
    throw new Error(`the commit ${commit} cannot be read from this clone; ${advice}`, { cause });
  }
  await run('tar', ['-xf', archive, '-C', folder]);
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
}
