import type { Kind } from '../api/kind.ts';
import {
  apiGroup,
  apiVersionName,
  backupKind,
  backupLocationKind,
  backupPolicyKind,
  restorePolicyKind,
  restoreRequestKind,
} from '../api/kinds.ts';
import type { ResourceType } from '../kube/client.ts';

const ours = (kind: Kind): ResourceType => ({
  group: apiGroup,
  version: apiVersionName,
  kind: kind.kind,
  plural: kind.plural,
  namespaced: true,
});

/** The kinds that the controller watches and writes. */
export const resources = {
  policy: ours(backupPolicyKind),
  backup: ours(backupKind),
  location: ours(backupLocationKind),
  restoreRequest: ours(restoreRequestKind),
  restorePolicy: ours(restorePolicyKind),
  job: { group: 'batch', version: 'v1', kind: 'Job', plural: 'jobs', namespaced: true },
  pod: { group: '', version: 'v1', kind: 'Pod', plural: 'pods', namespaced: true },
  event: { group: '', version: 'v1', kind: 'Event', plural: 'events', namespaced: true },
} as const satisfies Readonly<Record<string, ResourceType>>;

/** On every Job and Pod of ours; the controller watches no others. */
export const managedBy = { key: 'app.kubernetes.io/managed-by', value: 'pgbackup-operator' } as const;
