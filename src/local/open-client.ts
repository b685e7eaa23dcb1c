import { kinds } from '../api/kinds.ts';
import { validateObject } from '../api/validate.ts';
import { createMemoryClient } from '../apiserver/memory-client.ts';
import type { MemoryType } from '../apiserver/memory-type.ts';
import { resources } from '../controller/resources.ts';
import type { KubeClient } from '../kube/client.ts';
import { leaseType } from '../kube/lease-record.ts';
import type { Clock, Random } from '../support/clock.ts';
import { uidFor } from './uid.ts';
import { jobType, podType, secretType } from './workload-types.ts';

/** The embedded client with all kinds that the controller and the executor use, ours validated as in a cluster. */
export function openLocalClient(options: {
  readonly clock: Clock;
  readonly random: Random;
  readonly readLog: KubeClient['readLog'];
  /** Uids that objects of these kinds, namespaces and names get when they are made first: they existed before. */
  readonly uids?: Map<string, string>;
}): KubeClient {
  const { location, policy, backup, restoreRequest, restorePolicy } = resources;
  const ours = [location, policy, backup, restoreRequest, restorePolicy].map((type): MemoryType => {
    const kind = kinds.find((one) => one.kind === type.kind);
    if (kind === undefined) throw new Error(`there is no kind ${type.kind}`);
    return { type, statusSubresource: true, validate: (object, old) => validateObject(kind, object, old) };
  });
  const { uids, ...rest } = options;
  const makeUid = uidFor(options.random);
  return createMemoryClient({
    ...rest,
    uidFor: (type, namespace, name) => {
      const key = `${type.kind} ${namespace}/${name}`;
      const known = uids?.get(key);
      uids?.delete(key);
      return known ?? makeUid(type, namespace, name);
    },
    types: [
      ...ours,
      { type: jobType, statusSubresource: true },
      { type: podType, statusSubresource: true },
      { type: secretType },
      { type: resources.event },
      { type: leaseType },
    ],
  });
}
