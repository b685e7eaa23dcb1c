import type { RestoreRequest } from '../api/kinds.ts';
import { resources } from '../controller/resources.ts';
import type { Clock } from '../support/clock.ts';
import type { LoadedObject } from './load.ts';
import type { LocalOperator } from './operator.ts';
import { hasEnded } from './progress.ts';

const lookAgainMs = 100;

/** Creates the requests, and waits until they have ended. Resolves with them as they ended; with what there is when the signal aborts. */
export async function restoreOnce(
  operator: LocalOperator,
  requests: readonly LoadedObject[],
  clock: Clock,
  signal: AbortSignal,
): Promise<readonly RestoreRequest[]> {
  for (const { object } of signal.aborted ? [] : requests) {
    await operator.client.create(resources.restoreRequest, object, signal);
  }
  const seen = (): readonly RestoreRequest[] => operator.restoreRequests();
  while (!signal.aborted && !(seen().length === requests.length && seen().every(hasEnded))) {
    operator.broken.throwIfAborted();
    await clock.sleep(lookAgainMs, signal).catch(() => undefined);
  }
  return seen();
}
