import type { RestoreRequest } from '../api/kinds.ts';
import { resources } from '../controller/resources.ts';
import { stamp } from '../domain/stamp.ts';
import type { KubeClient } from '../kube/client.ts';
import { listSecretNames } from './list-secret-names.ts';
import type { LoadedObject } from './loaded-object.ts';

export interface Recovery {
  /** What the controller now clears up after. */
  readonly recovered: readonly RestoreRequest[];
  /** Lines about what cannot be cleared up with these files. */
  readonly stranded: readonly string[];
}

/**
 * Makes RestoreRequests that a killed operator left again, with their uids and as dead ones: the controller then does what it does in a
 * cluster when a runner died. Its cleanup finds out what the target is, and drops what lies beside it.
 */
export async function recoverRestores(
  client: KubeClient,
  left: readonly RestoreRequest[],
  objects: readonly LoadedObject[],
  nowMs: number,
  signal: AbortSignal,
): Promise<Recovery> {
  const recovered: RestoreRequest[] = [];
  const stranded: string[] = [];
  for (const request of left) {
    const { namespace, name, finalizers = [], labels = {} } = request.metadata;
    const missing = listSecretNames(request.spec.target).filter((secret) => !hasSecret(objects, namespace, secret));
    if (missing.length > 0) {
      stranded.push(
        `RestoreRequest ${name} was killed, and may have left a database beside its target: it is cleared up when the files have ` +
          `Secret ${missing.join(', ')} in namespace ${namespace}`,
      );
      continue;
    }
    const { apiVersion, kind, spec } = request;
    const metadata = { name, namespace, finalizers, labels };
    const created = await client.create(resources.restoreRequest, { apiVersion, kind, metadata, spec }, signal);
    const at = stamp(nowMs);
    const status = {
      ...request.status,
      // Nobody knows how far it came: as far as possible.
      startedAt: request.status?.startedAt ?? request.metadata.creationTimestamp,
      failure: { reason: 'RunnerKilled', message: 'pgbackup was killed while it went on', at },
    };
    await client.putStatus(resources.restoreRequest, { ...created, status }, signal);
    recovered.push(request);
  }
  return { recovered, stranded };
}

const hasSecret = (objects: readonly LoadedObject[], namespace: string, name: string): boolean =>
  objects.some(
    ({ object: { kind, metadata } }) => kind === 'Secret' && metadata.name === name && metadata.namespace === namespace,
  );
