import { resources } from '../src/controller/resources.ts';
import { isKubeError, type KubeObject } from '../src/kube/client.ts';
import type { HttpKubeClient } from '../src/kube/http-client.ts';

/** When Jobs came, in seconds after the slot. */
export interface Arrivals {
  /** By their creationTimestamp, which knows whole seconds only. */
  readonly lastStampSeconds: number;
  /** When a watch told of the first, the one in the middle and the last. */
  readonly firstSeconds: number;
  readonly middleSeconds: number;
  readonly lastSeconds: number;
}

/** Follows a namespace until so many Jobs of an owner of this kind were told of. @throws Error when they do not come in time */
export async function watchJobs(
  client: HttpKubeClient,
  namespace: string,
  owner: 'CronJob' | 'Backup',
  count: number,
  slotMs: number,
  limitMs: number,
): Promise<Arrivals> {
  const arrived = new Map<string, { readonly atMs: number; readonly stampMs: number }>();
  const limit = AbortSignal.timeout(slotMs - Date.now() + limitMs);
  const note = ({ metadata }: KubeObject): void => {
    if (metadata.ownerReferences?.[0]?.kind !== owner || arrived.has(metadata.uid ?? '')) return;
    arrived.set(metadata.uid ?? '', { atMs: Date.now(), stampMs: Date.parse(metadata.creationTimestamp ?? '') });
  };
  let { resourceVersion } = await client.list(resources.job, { namespace, limit: 1 }, limit);
  try {
    while (arrived.size < count) {
      for await (const event of client.watch(resources.job, { namespace, resourceVersion }, limit)) {
        if (event.type === 'BOOKMARK') resourceVersion = event.resourceVersion;
        else {
          resourceVersion = event.object.metadata.resourceVersion ?? resourceVersion;
          note(event.object);
        }
        if (arrived.size >= count) break;
      }
    }
  } catch (error) {
    if (!limit.aborted || isKubeError(error)) throw error;
    throw new Error(`only ${arrived.size} of ${count} Jobs came within ${limitMs / 1000} s`, { cause: error });
  }
  const times = [...arrived.values()].map(({ atMs }) => (atMs - slotMs) / 1000).toSorted((a, b) => a - b);
  const stamps = [...arrived.values()].map(({ stampMs }) => (stampMs - slotMs) / 1000);
  return {
    lastStampSeconds: Math.max(...stamps),
    firstSeconds: times[0] ?? NaN,
    middleSeconds: times[Math.floor(times.length / 2)] ?? NaN,
    lastSeconds: times.at(-1) ?? NaN,
  };
}
