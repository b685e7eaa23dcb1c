import { createInformer } from '../../src/kube/informer.ts';
import type { KubeClient, ResourceType } from '../../src/kube/client.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';

/** All objects of a kind that were ever seen, by name: the uids of those that bore it, one after the other. */
export interface Recorded {
  uidsOf(name: string): readonly string[];
  names(): readonly string[];
}

/** Follows a kind in one namespace until the signal aborts: what is deleted again was there all the same. */
export function record(client: KubeClient, type: ResourceType, namespace: string, signal: AbortSignal): Recorded {
  const seen = new Map<string, Set<string>>();
  const informer = createInformer({
    client,
    type,
    namespace,
    clock: systemClock,
    random: systemRandom,
    onChange: ({ name, object }) => {
      if (object === undefined) return;
      const uids = seen.get(name) ?? new Set<string>();
      seen.set(name, uids.add(object.metadata.uid ?? ''));
    },
  });
  void informer.run(signal);
  return { uidsOf: (name) => [...(seen.get(name) ?? [])], names: () => [...seen.keys()] };
}
