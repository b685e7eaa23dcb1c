import type { KubeObject } from '../../kube/client.ts';

/** What `kubectl apply` writes of a whole object. */
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

/**
 * An object of ours as caches keep it: without a copy of itself. A status is written with its spec alone, and finalizers into the object as
 * it is then, so nothing is lost.
 */
export function keepOurs(raw: KubeObject): KubeObject {
  const { annotations } = raw.metadata;
  if (annotations?.[lastApplied] === undefined) return raw;
  const { [lastApplied]: _, ...kept } = annotations;
  return { ...raw, metadata: { ...raw.metadata, annotations: kept } };
}
