import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CopyVerdict, ResultLine } from '../../src/domain/report.ts';
import type { CopyTask } from '../../src/domain/task.ts';
import { copyBackups } from '../../src/runner/copy/copy-backups.ts';
import type { Workshop } from '../../src/runner/workshop.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { named, type PruneStand, type TestBackup } from './prune-stand.ts';
import { workshopOf } from './workshop-of.ts';

export type CopiedLine = Extract<ResultLine, { kind: 'copied' }>['backups'][number];

/** A task that copies these. */
export function copyOf(backups: readonly TestBackup[], changes: Partial<CopyTask> = {}): CopyTask {
  return {
    version: 1,
    kind: 'copy',
    namespace: 'shop',
    policy: { name: 'nightly', uid: 'uid-of-nightly' },
    from: { name: 'from', place: { directory: { path: '/nonexistent' } } },
    to: { name: 'to', place: { directory: { path: '/nonexistent' } } },
    backups: backups.map((backup) => {
      const { attempt: _attempt, ...rest } = named(backup);
      return rest;
    }),
    waitForSecretSeconds: 1,
    ...changes,
  };
}

/** Does a task between two storages, in this process. */
export async function copyBetween(
  from: Storage,
  to: Storage,
  task: CopyTask,
  changes: Partial<Workshop> = {},
): Promise<{ readonly verdict: CopyVerdict; readonly backups: readonly CopiedLine[] }> {
  const workshop = workshopOf({ from, to }, changes);
  const verdict = await copyBackups(task, workshop);
  const backups = workshop.results().flatMap((line) => (line.kind === 'copied' ? line.backups : []));
  return { verdict, backups };
}

/** Every object with its content. */
export async function contentOf(stand: PruneStand): Promise<ReadonlyMap<string, string>> {
  const keys = await stand.left();
  return new Map(
    await Promise.all(keys.map(async (key) => [key, await readFile(join(stand.folder, key), 'utf8')] as const)),
  );
}
