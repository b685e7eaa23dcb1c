import { Failure, toFailure } from '../../api/failure.ts';
import type { PruneVerdict } from '../../domain/report.ts';
import type { PruneTask } from '../../domain/task.ts';
import { abortFailure } from '../../storage/abortable.ts';
import type { Storage } from '../../storage/storage.ts';
import { bounded } from '../bounded.ts';
import { isoTime } from '../iso-time.ts';
import { nextBatch } from '../next-batch.ts';
import type { Workshop } from '../workshop.ts';
import { checkNewest } from './check-newest.ts';
import { isPlaceGone } from '../is-place-gone.ts';
import { proveFloor, type MustStay } from './prove-floor.ts';
import { judgePruned, tellPruned } from './prune-verdict.ts';
import { removeBackup, type Pruned } from './remove-backup.ts';
import { survey, type Survey } from './survey.ts';

const backupsAtOnce = 4;
/** One backup that takes longer has hung. */
const backupMilliseconds = 3_600_000;
/** For the backups at work when the run is asked to stop; less than it is given. */
const hurryMilliseconds = 8_000;
const mostFailuresInARow = 3;

/**
 * Removes backups from a place. All that speaks against it is looked at before the first of them goes; then each is looked at by itself.
 * The same task can be done again, wherever the one before was killed. The verdict tells how far it came; only an abort before the first
 * backup is thrown.
 */
export async function prune(task: PruneTask, workshop: Workshop): Promise<PruneVerdict> {
  const startedAt = isoTime(workshop.clock);
  let storage: Storage | undefined;
  let pruned: readonly Pruned[] = [];
  let stopped: Failure | undefined;
  try {
    checkTask(task);
    storage = await workshop.openLocation(task.location);
    const { seen, mustStay } = await decide(storage, task, workshop);
    ({ pruned, stopped } = await removeAll(storage, task, seen, mustStay, workshop));
  } catch (error) {
    workshop.signal.throwIfAborted();
    stopped = toFailure(error);
  } finally {
    await storage?.close();
  }
  tellPruned(pruned, workshop);
  return judgePruned(task, startedAt, pruned, stopped, workshop);
}

function checkTask({ accessMode, location, why, newest, floor = [], remove }: PruneTask): void {
  if (accessMode !== 'ReadWrite' || location.appendOnly === true) {
    const mode = accessMode === 'ReadWrite' ? 'AppendOnly' : accessMode;
    throw new Failure('DeletionNotAllowed', `location ${location.name} is ${mode}: nothing is deleted there`);
  }
  if (why === 'deletion') return;
  if (newest === undefined) throw new Failure('TaskInvalid', 'retention names no backup that stays');
  const stays = new Set([newest.id, ...floor.map(({ id }) => id)]);
  const both = remove.find(({ id }) => stays.has(id));
  if (both !== undefined) throw new Failure('TaskInvalid', `${both.id} is to stay, and to be removed`);
}

async function decide(
  storage: Storage,
  task: PruneTask,
  { signal, log }: Workshop,
): Promise<{ readonly seen: Survey; readonly mustStay: MustStay }> {
  if (task.why === 'deletion' || task.newest === undefined) {
    return { seen: await survey(storage, task, undefined, signal), mustStay: () => undefined };
  }
  const seen = await checkNewest(storage, task, task.newest, signal);
  return { seen, mustStay: await proveFloor(storage, task, seen, log, signal) };
}

/** Several at a time; stops between them when it is asked to, or when the place is gone. */
async function removeAll(
  storage: Storage,
  task: PruneTask,
  { named }: Survey,
  mustStay: MustStay,
  { clock, log, signal }: Workshop,
): Promise<{ readonly pruned: readonly Pruned[]; readonly stopped: Failure | undefined }> {
  const removing = { storage, namespace: task.namespace, policy: task.policy.name, mustStay, log };
  const remove = task.remove.map((given) => ({ given, bytes: named.get(given.id)?.bytes ?? 0 }));
  const pruned: Pruned[] = [];
  let inARow = 0;
  while (pruned.length < remove.length) {
    if (signal.aborted) return { pruned, stopped: abortFailure(signal) };
    const batch = nextBatch(remove, pruned.length, backupsAtOnce);
    const ends = await Promise.all(
      batch.map(({ given }) =>
        bounded(clock, backupMilliseconds, (limit) => removeBackup(given, removing, limit), {
          signal,
          milliseconds: hurryMilliseconds,
        }),
      ),
    );
    pruned.push(...ends);
    for (const end of ends) inARow = end.failure !== undefined && isPlaceGone(end.failure) ? inARow + 1 : 0;
    const last = ends.at(-1)?.failure;
    if (inARow >= mostFailuresInARow && pruned.length < remove.length) return { pruned, stopped: last };
  }
  return { pruned, stopped: undefined };
}
