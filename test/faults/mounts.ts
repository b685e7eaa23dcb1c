import { execFile } from 'node:child_process';
import { mkdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { FaultStand } from './fault-stand.ts';

const run = promisify(execFile);

/** A small file system of its own, until the stand goes. `size` as mount has it (`12m`). */
export async function mountTmpfs(stand: FaultStand, name: string, size: string): Promise<string> {
  const root = join(stand.folder, 'mounts', name);
  await mkdir(root, { recursive: true });
  await run('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', root]);
  // Last of all, when nobody works there any more.
  stand.onStop(() => run('umount', ['--lazy', root]));
  return root;
}

export async function growTmpfs(root: string, size: string): Promise<void> {
  await run('mount', ['-o', `remount,size=${size}`, root]);
}

export async function makeReadOnly(root: string, readOnly: boolean): Promise<void> {
  await run('mount', ['-o', `remount,${readOnly ? 'ro' : 'rw'}`, root]);
}

/** A folder that a location reaches by a symbolic link, so that it can vanish and what it holds still be looked at. */
export async function linkFolder(stand: FaultStand, name: string) {
  const root = join(stand.folder, 'linked', name);
  const path = `${root}-link`;
  await mkdir(root, { recursive: true });
  const link = (): Promise<void> => symlink(root, path);
  await link();
  return { root, path, link, unlink: () => rm(path) };
}
