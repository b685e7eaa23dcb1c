import { stringify } from 'yaml';
import { kinds } from '../api/kinds.ts';
import { makeCrd } from './crd.ts';
import { makeJobGuard } from './job-guard.ts';
import { makeClusterRoles, makeNamespacedRoles, makeNamespacedUserRoles, makeUserRoles } from './roles.ts';
import { makeWorkload } from './workload.ts';

/** Where the released image lies; whoever builds one puts another name here. */
export const imageName = 'ghcr.io/pgbackup/pgbackup-operator';

const name = 'pgbackup-operator';
const labels = { 'app.kubernetes.io/name': name, 'app.kubernetes.io/part-of': name };
/** Of the controller's pods. */
const selector = { 'app.kubernetes.io/name': name };
const guardComment =
  'Its right to create Jobs is a right to runners of its own image, and to nothing else (docs/security.md).';

type Document = Readonly<Record<string, unknown>>;
type Commented = readonly [comment: string, document: Document];

/** manifests/install.yaml: everything that `kubectl apply` needs to run the operator of a version in a cluster. */
export function printInstall(version: string): string {
  const common = { name, namespace: 'pgbackup-system', labels };
  return print([
    ['', makeNamespace(common.namespace)],
    ...kinds.map((kind): Commented => ['', makeCrd(kind)]),
    ['', makeAccount(common.namespace)],
    ...makeClusterRoles(common),
    ...makeUserRoles(common),
    ...makeGuard(common.namespace, `${name}-jobs`),
    ...makeWorkload({ ...common, selector, image: `${imageName}:${version}`, oneNamespace: false }),
  ]);
}

/**
 * manifests/install-namespaced.yaml: the operator of one namespace, which is called `my-namespace` in it, with rights in this namespace only.
 * The definitions (crds/) are there already, once for the cluster.
 */
export function printNamespacedInstall(version: string): string {
  const common = { name, namespace: 'my-namespace', labels };
  return print([
    ['', makeAccount(common.namespace)],
    ...makeNamespacedRoles(common),
    ...makeNamespacedUserRoles(common),
    ...makeGuard(common.namespace, `${name}-jobs.${common.namespace}`),
    ...makeWorkload({ ...common, selector, image: `${imageName}:${version}`, oneNamespace: true }),
  ]);
}

const print = (documents: readonly Commented[]): string =>
  documents
    .map(
      ([comment, document]) =>
        `${comment === '' ? '' : `# ${comment}\n`}${stringify(document, { lineWidth: 0, aliasDuplicateObjects: false })}`,
    )
    .join('---\n');

const makeNamespace = (namespace: string): Document => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name: namespace, labels: { ...labels, 'pod-security.kubernetes.io/enforce': 'restricted' } },
});

const makeAccount = (namespace: string): Document => ({
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  metadata: { name, namespace, labels },
});

const makeGuard = (namespace: string, guardName: string): readonly Commented[] =>
  makeJobGuard({ name, namespace, guardName, labels, podLabels: selector }).map((document, index) => [
    index === 0 ? guardComment : '',
    document,
  ]);
