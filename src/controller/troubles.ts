import { isKubeError, type KubeClient, type KubeObject } from '../kube/client.ts';
import type { Clock } from '../support/clock.ts';
import type { Log } from '../support/log.ts';
import { ShortMemory } from '../support/short-memory.ts';
import { resources } from './resources.ts';
import type { RunSeen } from './run/run-state.ts';

/** What events tell that neither Job nor Pod does: a pod that is refused (quota, admission), a volume that cannot be mounted. */
export interface Troubles {
  /** Why a Job has no pod (`podUid` absent), or why its pod does not start. */
  find(namespace: string, jobUid: string, podUid: string | undefined, signal: AbortSignal): Promise<RunSeen['trouble']>;
  /** The Job or pod is gone. */
  forget(uid: string): void;
  /** About how many objects something is remembered. */
  size(): number;
}

/** The events of one object are read at most this often. */
const readEveryMs = 30_000;
/** Equal events are counted up by who sends them: nobody makes so many of one object within the hour that a server keeps them. */
const eventsMax = 500;
const creatingReasons: ReadonlySet<string> = new Set(['FailedCreate']);
const startingReasons: ReadonlySet<string> = new Set([
  'FailedMount',
  'FailedAttachVolume',
  'FailedMapVolume',
  'FailedCreatePodSandBox',
  'FailedCreatePodContainer',
  'NetworkNotReady',
]);

interface Trouble {
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
  const known = new ShortMemory<{ readonly trouble: Trouble | undefined }>(clock, readEveryMs);

  /** The newest with one of the reasons. */
  const read = async (
    namespace: string,
    uid: string,
    reasons: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<Trouble | undefined> => {
    const fieldSelector = `involvedObject.uid=${uid},type=Warning`;
    try {
      const { items } = await client.list(resources.event, { namespace, fieldSelector, limit: eventsMax }, signal);
      const troubles = items.flatMap(readEvent).filter(({ reason }) => reasons.has(reason));
      return troubles.toSorted((a, b) => b.atMs - a.atMs)[0];
    } catch (error) {
      signal.throwIfAborted();
      if (!isKubeError(error)) throw error;
      log.warn('events cannot be read', { namespace, error: error.message });
      return undefined;
    }
  };

  const ask = async (
    namespace: string,
    uid: string,
    reasons: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<Trouble | undefined> => {
    const before = known.get(uid);
    if (before !== undefined) return before.trouble;
    const trouble = await read(namespace, uid, reasons, signal);
    known.set(uid, { trouble });
    return trouble;
  };

  return {
    find: async (namespace, jobUid, podUid, signal) => {
      if (podUid === undefined) {
        return { creating: (await ask(namespace, jobUid, creatingReasons, signal))?.message };
      }
      const trouble = await ask(namespace, podUid, startingReasons, signal);
      return { starting: trouble && `${trouble.reason}: ${trouble.message}` };
    },
    forget: (uid) => known.delete(uid),
    size: () => known.size,
  };
}

function readEvent(event: KubeObject): readonly Trouble[] {
  const { reason, message } = event as { readonly reason?: string; readonly message?: string };
  if (reason === undefined) return [];
  const at = event['lastTimestamp'] ?? event['eventTime'] ?? event['firstTimestamp'];
  const atMs = typeof at === 'string' ? Date.parse(at) : 0;
  return [{ reason, message: message ?? reason, atMs: Number.isNaN(atMs) ? 0 : atMs }];
}
