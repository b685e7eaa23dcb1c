import { isKubeError, type KubeClient, type KubeObject } from '../kube/client.ts';
import type { Clock } from '../support/clock.ts';
import type { Log } from '../support/log.ts';
import { resources } from './resources.ts';
import type { RunSeen } from './run-state.ts';

/** What events tell that neither Job nor Pod does: a pod that is refused (quota, admission), a volume that cannot be mounted. */
export interface Troubles {
  find(namespace: string, jobUid: string, podUid: string | undefined, signal: AbortSignal): Promise<RunSeen['trouble']>;
}

/** A namespace's events are read at most this often. */
const readEveryMs = 30_000;
const pagesMax = 20;
const startingReasons = new Set([
  'FailedMount',
  'FailedAttachVolume',
  'FailedMapVolume',
  'FailedCreatePodSandBox',
  'FailedCreatePodContainer',
  'NetworkNotReady',
]);

interface Trouble {
  readonly uid: string;
  readonly reason: string;
  readonly message: string;
  readonly atMs: number;
}

export function openTroubles(options: {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Log;
}): Troubles {
  const { client, clock, log } = options;
  const known = new Map<string, { readonly atMs: number; readonly troubles: Promise<readonly Trouble[]> }>();

  const read = async (namespace: string, signal: AbortSignal): Promise<readonly Trouble[]> => {
    const found: Trouble[] = [];
    let token: string | undefined;
    try {
      for (let pages = 0; pages < pagesMax; pages += 1) {
        const page = await client.list(resources.event, { namespace, limit: 500, continue: token }, signal);
        found.push(...page.items.flatMap(readEvent));
        token = page.continue;
        if (token === undefined) break;
      }
    } catch (error) {
      signal.throwIfAborted();
      if (!isKubeError(error)) throw error;
      log.warn('events cannot be read', { namespace, error: error.message });
    }
    return found.toSorted((a, b) => b.atMs - a.atMs);
  };

  return {
    find: async (namespace, jobUid, podUid, signal) => {
      const now = clock.monotonicMs();
      const before = known.get(namespace);
      const fresh = before !== undefined && now - before.atMs < readEveryMs;
      const asked = fresh ? before : { atMs: now, troubles: read(namespace, signal) };
      known.set(namespace, asked);
      let troubles: readonly Trouble[];
      try {
        troubles = await asked.troubles;
      } catch (error) {
        known.delete(namespace);
        throw error;
      }
      const creating = troubles.find(({ uid, reason }) => uid === jobUid && reason === 'FailedCreate');
      const starting = troubles.find(({ uid, reason }) => uid === podUid && startingReasons.has(reason));
      return { creating: creating?.message, starting: starting && `${starting.reason}: ${starting.message}` };
    },
  };
}

function readEvent(event: KubeObject): readonly Trouble[] {
  const { involvedObject, type, reason, message } = event as {
    readonly involvedObject?: { readonly uid?: string };
    readonly type?: string;
    readonly reason?: string;
    readonly message?: string;
  };
  if (type !== 'Warning' || involvedObject?.uid === undefined || reason === undefined) return [];
  const at = event['lastTimestamp'] ?? event['eventTime'] ?? event['firstTimestamp'];
  const atMs = typeof at === 'string' ? Date.parse(at) : 0;
  return [{ uid: involvedObject.uid, reason, message: message ?? reason, atMs: Number.isNaN(atMs) ? 0 : atMs }];
}
