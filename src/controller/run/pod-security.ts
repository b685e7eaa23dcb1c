import type { z } from 'zod';
import type { runnerOptions } from '../../api/parts.ts';
import { optional } from './optional.ts';

/** User and group of the image. */
const runnerUser = 65_532;
const ownerCanRead = 0o440;
const anyoneCanRead = 0o444;

interface PodSecurity {
  /** As in a Pod's spec. */
  readonly securityContext: object;
  /** Mode of files from Secrets. */
  readonly secretMode: number;
}

/**
 * Who a runner's pod runs as: the image's user, or what `securityContext` says and the platform adds. Secrets are read through the
 * group of volumes; where we set none it may be that nobody does, and then all may read what only this pod's one container sees.
 */
export function podSecurity(given: z.infer<ReturnType<typeof runnerOptions>>['securityContext']): PodSecurity {
  const ids: NonNullable<typeof given> = given ?? {
    runAsUser: runnerUser,
    runAsGroup: runnerUser,
    fsGroup: runnerUser,
  };
  return {
    securityContext: {
      runAsNonRoot: true,
      ...optional('runAsUser', ids.runAsUser),
      ...optional('runAsGroup', ids.runAsGroup),
      ...optional('fsGroup', ids.fsGroup),
      // Volumes with millions of files are not walked through each time.
      ...optional('fsGroupChangePolicy', ids.fsGroup === undefined ? undefined : 'OnRootMismatch'),
      ...optional('supplementalGroups', ids.supplementalGroups),
      seccompProfile: { type: 'RuntimeDefault' },
    },
    secretMode: ids.fsGroup === undefined ? anyoneCanRead : ownerCanRead,
  };
}
