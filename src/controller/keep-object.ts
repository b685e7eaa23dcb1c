import type { KubeObject } from '../kube/client.ts';

/** What `kubectl apply` writes of a whole object. */
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

/**
 * An object of ours as caches keep it: without what is only said to others (who wrote which member, what was applied last). A status
 * is written with its spec alone, and finalizers into the object as it is then, so nothing of that is lost.
 */
export function keepOurs(raw: KubeObject): KubeObject {
  const {
    managedFields: _,
    annotations,
    ...metadata
  } = raw.metadata as KubeObject['metadata'] & {
    readonly managedFields?: unknown;
  };
  if (annotations === undefined) return { ...raw, metadata };
  const { [lastApplied]: __, ...kept } = annotations;
  return { ...raw, metadata: { ...metadata, annotations: kept } };
}
