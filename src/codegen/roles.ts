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

const noSecrets = 'No Secrets: the controller never reads one.';
const plurals = kinds.map(({ plural }) => plural);

/** What the controller does in the namespaces that it sees, and nothing else. There are no Secrets in it: only runners mount them. */
export const controllerRules: readonly Rule[] = [
  { apiGroups: [apiGroup], resources: plurals, verbs: ['get', 'list', 'watch'] },
  // Update: one with deletionPolicy Delete is held (finalizer) until its data is gone. Delete: those with nothing in storage.
  { apiGroups: [apiGroup], resources: [backupKind.plural], verbs: ['create', 'update', 'delete'] },
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

const apiVersion = 'rbac.authorization.k8s.io/v1';

/** Of a controller that sees all namespaces: roles and their bindings, each with the comment that stands above it. */
export function makeClusterRoles(options: RolesOptions): readonly (readonly [string, Document])[] {
  const { name, labels } = options;
  const metadata = { name, labels };
  return [
    [noSecrets, { apiVersion, kind: 'ClusterRole', metadata, rules: controllerRules }],
    ['', { apiVersion, kind: 'ClusterRoleBinding', metadata, ...bind('ClusterRole', options) }],
    ...makeRole('Who leads.', leaseRules(name), options),
  ];
}

const reading = ['get', 'list', 'watch'];
const writing = ['create', 'update', 'patch', 'delete', 'deletecollection'];

/** What people may do with these kinds, as part of the cluster's own roles view, edit and admin. */
export function makeUserRoles({ name, labels }: RolesOptions): readonly (readonly [string, Document])[] {
  const role = (part: string, of: readonly string[], verbs: readonly string[]): Document => {
    const aggregates = Object.fromEntries(of.map((each) => [`rbac.authorization.k8s.io/aggregate-to-${each}`, 'true']));
    const metadata = { name: `${name}-${part}`, labels: { ...labels, ...aggregates } };
    return { apiVersion, kind: 'ClusterRole', metadata, rules: [{ apiGroups: [apiGroup], resources: plurals, verbs }] };
  };
  return [
    ['Whoever has the role view in a namespace sees these kinds there.', role('view', ['view'], reading)],
    [
      'Whoever has edit or admin, and so may create pods, may write them; status is written by the controller only.',
      role('edit', ['edit', 'admin'], writing),
    ],
  ];
}

/** The same in one namespace, for whoever is bound to them there: what adds to the cluster's own roles would hold in all namespaces. */
export function makeNamespacedUserRoles(options: RolesOptions): readonly (readonly [string, Document])[] {
  const { name, namespace, labels } = options;
  const role = (part: string, verbs: readonly string[]): Document => {
    const metadata = { name: `${name}-${part}`, namespace, labels };
    return { apiVersion, kind: 'Role', metadata, rules: [{ apiGroups: [apiGroup], resources: plurals, verbs }] };
  };
  return [
    ['For people: nobody is bound to it yet. Sees these kinds here.', role('view', reading)],
    ['Writes them, too: for whom may create pods here.', role('edit', [...reading, ...writing])],
  ];
}

/** Of a controller that sees its own namespace: the same rules, in it. */
export function makeNamespacedRoles(options: RolesOptions): readonly (readonly [string, Document])[] {
  return makeRole(
    `${noSecrets} The last two rules: who leads.`,
    [...controllerRules, ...leaseRules(options.name)],
    options,
  );
}

function makeRole(
  comment: string,
  rules: readonly Rule[],
  options: RolesOptions,
): readonly (readonly [string, Document])[] {
  const metadata = { name: options.name, namespace: options.namespace, labels: options.labels };
  return [
    [comment, { apiVersion, kind: 'Role', metadata, rules }],
    ['', { apiVersion, kind: 'RoleBinding', metadata, ...bind('Role', options) }],
  ];
}

const bind = (kind: 'ClusterRole' | 'Role', { name, namespace }: RolesOptions): object => ({
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name },
  subjects: [{ kind: 'ServiceAccount', name, namespace }],
});
