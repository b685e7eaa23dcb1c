import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runnerFiles } from '../domain/task.ts';
import type { Random } from '../support/clock.ts';

/** A folder for files with secrets in them, and its end. */
export interface SecretFolder {
  readonly path: string;
  remove(): Promise<void>;
}

/**
 * For what programs of others want as files: password file, keys. In a pod it lies in memory, so that no secret ever comes to the disk of a
 * node or to a volume; in `pgbackup local` in the pod's own folder, which goes with it. Readable by us alone, empty, and one at a time.
 * Nobody can guess where: what those programs read may name files, too.
 */
export async function makeSecretFolder(root: string, random: Pick<Random, 'bytes'>): Promise<SecretFolder> {
  const base = join(root, runnerFiles.private, 'libpq');
  const path = join(base, Buffer.from(random.bytes(16)).toString('hex'));
  const remove = (): Promise<void> => rm(base, { recursive: true, force: true });
  await remove();
  await mkdir(path, { recursive: true, mode: 0o700 });
  return { path, remove };
}
