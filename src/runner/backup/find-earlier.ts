import { backupFolder, parseAttemptKey, parseUnfinishedKey } from '../../domain/layout.ts';
import { isAttemptOf } from '../../domain/attempt.ts';
import type { BackupTask } from '../../domain/task.ts';
import type { Storage } from '../../storage/storage.ts';
import { bounded } from '../bounded.ts';
import type { Workshop } from '../workshop.ts';

/** What takes longer could show a try that began after ours. */
const limitMilliseconds = 10_000;
const mostKeys = 10_000;

/**
 * The tries of this very Backup that have left something at a place when ours begins: Kubernetes ends one pod of a Job before it starts the
 * next, so that these are over. Never rejects and holds nobody up: what cannot be found out is left to inspections.
 */
export async function findEarlier(
  task: Pick<BackupTask, 'namespace' | 'policy' | 'backup'>,
  storage: Storage,
  { clock, attempt: own, log, signal }: Pick<Workshop, 'clock' | 'attempt' | 'log' | 'signal'>,
): Promise<ReadonlySet<string>> {
  const folder = backupFolder(task.namespace, task.policy.name, task.backup.name);
  const earlier = new Set<string>();
  const add = (attempt: string | undefined): void => {
    if (attempt !== undefined && attempt !== own && isAttemptOf(attempt, task.backup.uid)) earlier.add(attempt);
  };
  const beganMs = clock.nowMs();
  try {
    await bounded(clock, limitMilliseconds, async (limit) => {
      const until = AbortSignal.any([signal, limit]);
      let looked = 0;
      for await (const { key } of storage.list(folder, undefined, until)) {
        add(parseAttemptKey(key)?.attempt);
        looked += 1;
        if (looked === mostKeys) break;
      }
      for await (const { key, uploadId } of storage.listUnfinished(folder, until)) {
        add(parseUnfinishedKey(key, uploadId !== undefined)?.attempt);
        looked += 1;
        if (looked >= 2 * mostKeys) break;
      }
    });
  } catch (error) {
    log.debug('what earlier tries left is not known', { error: String(error) });
  }
  // A process that was frozen meanwhile may have seen a later one.
  return clock.nowMs() - beganMs > limitMilliseconds ? new Set() : earlier;
}
