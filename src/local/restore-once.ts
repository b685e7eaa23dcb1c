import type { BackupLocation, RestoreRequest } from '../api/kinds.ts';
import { resources } from '../controller/resources.ts';
import type { Clock } from '../support/clock.ts';
import type { LoadedObject } from './load.ts';
import type { LocalOperator } from './operator.ts';
import { hasEnded } from './progress.ts';
import { isInspected } from './run-once.ts';

const lookAgainMs = 100;
/** Who cannot list a place in this time is told by the request itself that nothing was found there. */
const inspectionBudgetMs = 5 * 60_000;

/**
 * Waits until the locations that may hold wanted Backups were looked at, creates the requests, and waits until they have ended. Resolves
 * with them as they ended; with what there is when the signal aborts.
 */
export async function restoreOnce(
  operator: LocalOperator,
  requests: readonly LoadedObject[],
  clock: Clock,
  signal: AbortSignal,
): Promise<readonly RestoreRequest[]> {
  const waitUntil = async (holds: () => boolean): Promise<void> => {
    while (!signal.aborted && !holds()) {
      operator.broken.throwIfAborted();
      await clock.sleep(lookAgainMs, signal).catch(() => undefined);
    }
  };
  const ended = (): readonly RestoreRequest[] => operator.restoreRequests();
  const patience = clock.monotonicMs() + inspectionBudgetMs;
  await waitUntil(
    () => clock.monotonicMs() >= patience || locationsOf(operator.locations(), requests).every(isInspected),
  );
  for (const { object } of signal.aborted ? [] : requests) {
    await operator.client.create(resources.restoreRequest, object, signal);
  }
  await waitUntil(() => ended().length === requests.length && ended().every(hasEnded));
  return ended();
}

/** A file is found by its runner: no listing of Backups is waited for. */
function locationsOf(
  locations: readonly BackupLocation[],
  requests: readonly LoadedObject[],
): readonly BackupLocation[] {
  const wanted = requests.map(({ object: { metadata, spec } }) => {
    const { source } = spec as RestoreRequest['spec'];
    return { namespace: metadata.namespace, byBackup: source.backup ?? source.policy };
  });
  return locations.filter(({ metadata: { namespace, name } }) =>
    wanted.some(
      (one) => one.namespace === namespace && one.byBackup !== undefined && (one.byBackup.location ?? name) === name,
    ),
  );
}
