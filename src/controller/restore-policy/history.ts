import type { RestorePolicySpec } from '../../api/restore-policy.ts';
import type { DeleteAction } from '../action.ts';
import { resources } from '../resources.ts';
import type { RestoreRun } from './restore-run.ts';

/** Deletes ended requests beyond the limits, oldest first. `keep`: one that is still needed. */
export function deleteOldRequests(
  runs: readonly RestoreRun[],
  spec: Pick<RestorePolicySpec, 'successfulRestoresHistoryLimit' | 'failedRestoresHistoryLimit'>,
  keep: RestoreRun | undefined,
): readonly DeleteAction[] {
  const ended = runs
    .filter(({ isOwn, result }) => isOwn && result !== undefined)
    .toSorted((a, b) => (b.end ?? 0) - (a.end ?? 0) || b.start - a.start || b.name.localeCompare(a.name));
  const good = ended.filter(({ isGood }) => isGood).slice(spec.successfulRestoresHistoryLimit);
  const failed = ended.filter(({ isGood }) => !isGood).slice(spec.failedRestoresHistoryLimit);
  return [...good, ...failed]
    .filter((run) => run.uid !== keep?.uid && run.object.metadata.deletionTimestamp === undefined)
    .map(({ object: { metadata } }) => {
      const { namespace, name, uid } = metadata;
      const resource = resources.restoreRequest;
      return { type: 'delete', resource, namespace, name, uid, propagation: 'Background' };
    });
}
