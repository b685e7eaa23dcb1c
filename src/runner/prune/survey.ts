import { Failure } from '../../api/failure.ts';
import { parseManifestKey } from '../../domain/layout.ts';
import type { PruneTask } from '../../domain/task.ts';
import type { ObjectStat, Storage } from '../../storage/storage.ts';

/** That are read to find out whether they are newer; a place that has more of them is one that the controller does not know. */
const mostCandidates = 1000;

/** What a place lists of a policy. */
export interface Survey {
  /** Manifests of the backups that the task names, by id. */
  readonly named: ReadonlyMap<string, ObjectStat>;
  /** Other manifests that were stored when the newest known one was, or later, or nobody knows when. */
  readonly candidates: readonly ObjectStat[];
}

/**
 * Lists the policy's folder to its end.
 * @param sinceMs when the place took the newest known manifest; undefined where no other ones are asked for
 * @throws Failure NewerBackupThere when there are too many candidates, and the store's own
 */
export async function survey(
  storage: Storage,
  task: PruneTask,
  sinceMs: number | undefined,
  signal: AbortSignal,
): Promise<Survey> {
  const { namespace, policy } = task;
  const known = new Set(namedBackups(task).map(({ id }) => id));
  const named = new Map<string, ObjectStat>();
  const candidates: ObjectStat[] = [];
  for await (const found of storage.list(`${namespace}/${policy.name}/`, undefined, signal)) {
    const about = parseManifestKey(found.key);
    if (about === undefined) continue;
    if (known.has(about.backup)) {
      named.set(about.backup, found);
    } else if (sinceMs !== undefined && (found.modifiedAtMs === 0 || found.modifiedAtMs >= sinceMs)) {
      if (candidates.length === mostCandidates) throw tooMany(storage);
      candidates.push(found);
    }
  }
  return { named, candidates };
}

/** All backups that a task speaks of; some perhaps twice. */
export function namedBackups({
  remove,
  newest,
  floor = [],
}: PruneTask): readonly { readonly id: string; readonly uid: string }[] {
  return [...remove, ...floor, ...(newest === undefined ? [] : [newest])];
}

function tooMany(storage: Storage): Failure {
  return new Failure(
    'NewerBackupThere',
    `${storage.name} holds more than ${mostCandidates} manifests of the policy that are not known and may be newer`,
  );
}
