import { copyFile, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

const keptLogs = 20;

/** Copies the log of a pod that failed below `folder`, and forgets the oldest of many. A log that is not there is not missed. */
export async function keepFailedLog(log: string, folder: string, pod: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  try {
    await copyFile(log, join(folder, `${pod}.log`));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return;
  }
  const names = await readdir(folder);
  const dated = await Promise.all(
    names.map(async (name) => ({ name, ms: (await stat(join(folder, name)).catch(() => undefined))?.mtimeMs ?? 0 })),
  );
  const old = dated.sort((a, b) => b.ms - a.ms).slice(keptLogs);
  for (const { name } of old) await rm(join(folder, name), { force: true });
}
