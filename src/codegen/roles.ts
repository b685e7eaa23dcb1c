import { apiGroup, backupKind, kinds, restoreRequestKind } from '../api/kinds.ts';

export interface RolesOptions {
  /** Of the ServiceAccount, and of the Lease. */
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

type Document = Readonly<Record<string, unknown>>;

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

const plurals = kinds.map(({ plural }) => plural);

/** What the controller does in all namespaces, and nothing else. There are no Secrets in it: only runners mount them. */
export const clusterRules: readonly Rule[] = [
  { apiGroups: [apiGroup], resources: plurals, verbs: ['get', 'list', 'watch'] },
  // Delete: those with nothing in storage, beyond what their policy keeps.
  { apiGroups: [apiGroup], resources: [backupKind.plural], verbs: ['create', 'delete'] },
  // Update: a request is held (finalizer) until what its runner left is cleared up. Delete: those that have had their time.
  { apiGroups: [apiGroup], resources: [restoreRequestKind.plural], verbs: ['create', 'update', 'delete'] },
  { apiGroups: [apiGroup], resources: plurals.map((plural) => `${plural}/status`), verbs: ['update'] },
  // Where OwnerReferencesPermissionEnforcement is on, children may not be made without it.
  { apiGroups: [apiGroup], resources: plurals.map((plural) => `${plural}/finalizers`), verbs: ['update'] },
  { apiGroups: ['batch'], resources: ['jobs'], verbs: ['get', 'list', 'watch', 'create', 'delete'] },
  { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch'] },
  { apiGroups: [''], resources: ['pods/log'], verbs: ['get'] },
  { apiGroups: [''], resources: ['events'], verbs: ['get', 'list', 'create', 'update'] },
];

/** In its own namespace: the Lease of who leads. A creation cannot be limited to a name. */
export const leaseRules = (name: string): readonly Rule[] => [
  { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['create'] },
  { apiGroups: ['coordination.k8s.io'], resources: ['leases'], resourceNames: [name], verbs: ['get', 'update'] },
];

/** Roles and their bindings, each with the comment that stands above it. */
export function makeRoles({ name, namespace, labels }: RolesOptions): readonly (readonly [string, Document])[] {
  const apiVersion = 'rbac.authorization.k8s.io/v1';
  const apiGroup = 'rbac.authorization.k8s.io';
  const subjects = [{ kind: 'ServiceAccount', name, namespace }];
  return [
    [
      'No Secrets: the controller never reads one.',
      { apiVersion, kind: 'ClusterRole', metadata: { name, labels }, rules: clusterRules },
    ],
    [
      '',
      {
        apiVersion,
        kind: 'ClusterRoleBinding',
        metadata: { name, labels },
        roleRef: { apiGroup, kind: 'ClusterRole', name },
        subjects,
      },
    ],
    ['Who leads.', { apiVersion, kind: 'Role', metadata: { name, namespace, labels }, rules: leaseRules(name) }],
    [
      '',
      {
        apiVersion,
        kind: 'RoleBinding',
        metadata: { name, namespace, labels },
        roleRef: { apiGroup, kind: 'Role', name },
        subjects,
      },
    ],
  ];
}
