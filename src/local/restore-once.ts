import type { RestoreRequest } from '../api/kinds.ts';
import { resources } from '../controller/resources.ts';
import type { Clock } from '../support/clock.ts';
import type { LoadedObject } from './loaded-object.ts';
import type { LocalOperator } from './operator.ts';
import { hasEnded } from './progress.ts';

const lookAgainMs = 100;

/**
 * Waits until restores that were killed are cleared up and tells of their ends, creates the requests, and waits until they have ended. Resolves with them as they
 * ended; with what there is when the signal aborts.
 */
export async function restoreOnce(
  operator: LocalOperator,
  requests: readonly LoadedObject[],
  onRecovered: (request: RestoreRequest) => void,
  clock: Clock,
  signal: AbortSignal,
): Promise<readonly RestoreRequest[]> {
  const { client, recovery } = operator;
  const old = new Set(recovery.recovered.map(({ metadata }) => metadata.uid));
  const seen = (isOld: boolean): readonly RestoreRequest[] =>
    operator.restoreRequests().filter(({ metadata }) => old.has(metadata.uid) === isOld);
  const waitUntil = async (holds: () => boolean): Promise<void> => {
    while (!signal.aborted && !holds()) {
      operator.broken.throwIfAborted();
      await clock.sleep(lookAgainMs, signal).catch(() => undefined);
    }
  };
  await waitUntil(() => seen(true).length === old.size && seen(true).every(hasEnded));
  for (const request of signal.aborted ? [] : seen(true)) {
    onRecovered(request);
    const { namespace, name, uid } = request.metadata;
    await client.delete(resources.restoreRequest, namespace, name, { uid }, signal);
  }
  // The same file again makes a request of the same name.
  await waitUntil(() => seen(true).length === 0);
  for (const { object } of signal.aborted ? [] : requests) {
    await client.create(resources.restoreRequest, object, signal);
  }
  await waitUntil(() => seen(false).length === requests.length && seen(false).every(hasEnded));
  return seen(false);
}
