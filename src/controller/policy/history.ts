import type { BackupPolicySpec } from '../../api/backup-policy.ts';
import type { Backup } from '../../api/kinds.ts';
import { findNothingLeft, mayGoAt, type NothingLeft } from '../backup/nothing-left.ts';
import { earliest, type Plan } from '../action.ts';
import { resources } from '../resources.ts';
import type { BackupRun } from './backup-run.ts';
import { endedRuns, lastSuccess } from '../schedule/run.ts';

/** Objects that one look deletes; each deletion brings the next look. */
const deletionsMax = 50;

/**
 * Deletes Backups that stand for no data in storage, oldest first, beyond the limits of their policy. Never the newest success, the newest
 * run that ended, the run of the newest slot (what is due is told by them), or one that `isNeeded`.
 */
export function deleteOldBackups(
  runs: readonly BackupRun[],
  spec: Pick<BackupPolicySpec, 'successfulRunsHistoryLimit' | 'failedRunsHistoryLimit'>,
  nowMs: number,
  isNeeded: (backup: Backup) => boolean,
): Plan {
  const { failed = [], vanished = [], removed = [] } = Object.groupBy(runs.flatMap(readLeft), ({ kind }) => kind);
  const { successfulRunsHistoryLimit: goodMax, failedRunsHistoryLimit: failedMax } = spec;
  // Most looks find nothing to do, and sort nothing.
  if (failed.length <= failedMax && vanished.length <= goodMax && removed.length === 0) return { actions: [] };

  const beyond = [
    ...newestFirst(vanished).slice(goodMax),
    ...newestFirst(failed).slice(failedMax),
    ...newestFirst(removed),
  ];
  const newest = [lastSuccess(runs)?.run, endedRuns(runs)[0], newestSlot(runs)];
  const kept = new Set(newest.map((run) => run?.uid));
  const old = beyond.filter(({ run }) => !kept.has(run.uid) && !isNeeded(run.object));
  const due = old.filter((one) => mayGoAt(one) <= nowMs).toReversed();
  const later = old.map(mayGoAt).filter((time) => time > nowMs);
  const actions = due.slice(0, deletionsMax).map(({ run: { object } }) => {
    const { namespace, name, uid } = object.metadata;
    return { type: 'delete', resource: resources.backup, namespace, name, uid, propagation: 'Background' } as const;
  });
  return { actions, wakeAt: earliest(...later) };
}

type Left = NothingLeft & { readonly run: BackupRun };

function readLeft(run: BackupRun): readonly Left[] {
  const left = findNothingLeft(run.object);
  return left === undefined ? [] : [{ ...left, run }];
}

function newestFirst(left: readonly Left[]): readonly Left[] {
  const order = new Map(endedRuns(left.map(({ run }) => run)).map(({ uid }, index) => [uid, index]));
  return left.toSorted((a, b) => (order.get(a.run.uid) ?? 0) - (order.get(b.run.uid) ?? 0));
}

function newestSlot(runs: readonly BackupRun[]): BackupRun | undefined {
  return runs
    .filter(({ isNamedBySlot }) => isNamedBySlot)
    .reduce<BackupRun | undefined>((a, b) => ((a?.slot ?? -Infinity) >= (b.slot ?? -Infinity) ? a : b), undefined);
}
